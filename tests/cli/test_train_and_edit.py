"""From faces to a trained model to edits to their evaluation, through the command line."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from facebench.cli import app
from facebench.core.errors import FacebenchError
from facebench.evaluation.record import load_run
from facebench.images.image_set import ImageSet

TINY = [
    "model.size=16", "model.channels=8", "model.multipliers=[1,2]", "model.time_channels=16", "model.attention=[8]",
    "data.identities=10", "data.images=4", "data.render=16", "data.align=false", "data.remember=false",
    "steps=2", "batch=8", "workers=0", "checkpoint_every=10", "sample_every=2", "evaluate_every=null", "shown=2",
]  # fmt: skip
CODED = [
    "model.encoder_multipliers=[1,2]", "model.code_channels=8", "encoder=null", "freeze_encoder=false",
]  # fmt: skip


def run(*words: object) -> Result:
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "diffae"
    run("train", "diffae", *TINY, *CODED, "--out", out, "--device", "cpu")
    return out


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("synth") / "faces"
    run("synth", out, "--identities", 2, "--images", 2, "--size", 32)
    return out


@pytest.fixture(scope="module")
def directions(autoencoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "directions"
    data = [
        "data.identities=20",
        "data.images=8",
        "data.render=16",
        "data.align=false",
        "data.remember=false",
    ]
    result = run("train", "classifier", f"checkpoint={autoencoder}", "method=lda", *data, "--out", out)
    assert "happy" in result.output
    return out


def test_a_run_leaves_its_settings_a_log_samples_and_the_model(autoencoder: Path) -> None:
    assert {"settings.yaml", "log.csv", "samples", "checkpoints", "model.safetensors"} <= {
        path.name for path in autoencoder.iterdir()
    }
    sample = np.asarray(Image.open(autoencoder / "samples" / "reconstructions-00000002.png"))
    assert sample.shape == (3 * 16 + 2 * 2, 2 * 16 + 2, 3)


def test_edits_come_with_what_the_edit_protocol_needs(
    autoencoder: Path, directions: Path, faces: Path, tmp_path: Path
) -> None:
    out = tmp_path / "edits"
    steps = ["--encode-steps", 2, "--render-steps", 2]
    run("edit", faces, out, "--checkpoint", autoencoder, "--directions", directions, "--attribute", "happy",
        "--strength", 0.3, "--strength", -0.3, *steps)  # fmt: skip
    with (out / "manifest.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 4
    assert {row["strength"] for row in rows} == {"0.3", "-0.3"}
    for row in rows:
        assert {Image.open(out / row[name]).size for name in ("image", "source", "reconstruction")} == {
            (16, 16)
        }
    assert rows[0]["identity"] == "id000"
    assert rows[0]["source_expression"]
    metrics = "identity_similarity_sface,face_found"
    run("evaluate", out, "--protocol", "edit", "--metrics", metrics, "--out", tmp_path / "run")
    assert load_run(tmp_path / "run").metrics["face_found"].value is not None


def test_edits_are_judged_by_what_they_should_look_like(
    autoencoder: Path, directions: Path, tmp_path: Path
) -> None:
    people = ["--identities", 3, "--images", 1, "--size", 32, "--seed", 4]
    run("synth", tmp_path / "neutral", *people, "--expressions", "neutral")
    run("synth", tmp_path / "happy", *people, "--expressions", "happy")
    words = ["--checkpoint", autoencoder, "--directions", directions, "--attribute", "happy"]
    words += ["--encode-steps", 2, "--render-steps", 2]
    run("edit", tmp_path / "neutral", tmp_path / "edits", *words, "--target", tmp_path / "happy")
    with (tmp_path / "edits" / "manifest.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["expression"] for row in rows] == ["happy"] * 3
    assert all(float(row["valence"]) > 0.3 and float(row["source_valence"]) == 0 for row in rows)
    target = np.asarray(Image.open(tmp_path / "edits" / rows[1]["target"]), float)
    source = np.asarray(Image.open(tmp_path / "edits" / rows[1]["source"]), float)
    other = np.asarray(Image.open(tmp_path / "edits" / rows[2]["source"]), float)
    # The same person, pose and light: only the face moves.
    assert 0 < np.abs(target - source).mean() < np.abs(other - source).mean() / 4

    (tmp_path / "happy" / "images" / "id001" / "00.png").unlink()
    with pytest.raises(FacebenchError, match=r"no target for .*id001/00\.png"):
        run("edit", tmp_path / "neutral", tmp_path / "more", *words, "--target", tmp_path / "happy")


def test_one_person_is_learnt_from_an_album_and_new_images_of_that_person_are_edited(
    autoencoder: Path, directions: Path, tmp_path: Path
) -> None:
    """The walk-through of docs/howto/one-person.md, small."""
    person = ["--identities", 1, "--images", 6, "--size", 32, "--seed", 7]
    run("synth", tmp_path / "album", *person)
    learnt = rows_of(tmp_path / "album", slice(4))
    new = {}
    for name in ("neutral", "happy"):
        run("synth", tmp_path / name, *person, "--expressions", name)
        new[name] = rows_of(tmp_path / name, slice(4, None))
    prior = [
        "prior_data.identities=4",
        "prior_data.render=16",
        "prior_data.align=false",
        "prior_data.remember=false",
        "prior_images=2",
    ]
    small = [word for word in TINY if not word.startswith("data.")] + ["batch=4", *CODED[:2], *prior]
    run("train", "diffae", learnt, "--config", "diffae-64-personal", *small, f"start={autoencoder}", "--out",
        tmp_path / "eve", "--device", "cpu")  # fmt: skip
    words = ["--checkpoint", tmp_path / "eve", "--directions", directions, "--attribute", "happy"]
    words += ["--encode-steps", 2, "--render-steps", 2]
    edits = tmp_path / "edits"
    run("edit", new["neutral"], edits, *words, "--target", new["happy"])
    run("evaluate", edits, "--protocol", "expression-transfer", "--suite", "compact", "--out", tmp_path / "expression",
        "--metrics", "identity_similarity_sface,valence_error_reader")  # fmt: skip
    run("evaluate", edits, "--reference", learnt, "--protocol", "leakage", "--out", tmp_path / "leakage",
        "--metrics", "authenticity_lite0")  # fmt: skip
    with (edits / "manifest.csv").open() as file:
        assert [row["identity"] for row in csv.DictReader(file)] == ["id000"] * 2
    assert set(load_run(tmp_path / "expression").metrics) == {
        "identity_similarity_sface",
        "valence_error_reader",
    }
    assert set(load_run(tmp_path / "leakage").metrics) == {"authenticity_lite0"}


def rows_of(folder: Path, part: slice) -> Path:
    """A manifest of some images of a synthetic set."""
    head, *rows = (folder / "manifest.csv").read_text().splitlines()
    path = folder / "part.csv"
    path.write_text("\n".join([head, *rows[part]]) + "\n")
    return path


def test_faces_are_reconstructed_interpolated_and_aligned(
    autoencoder: Path, faces: Path, tmp_path: Path
) -> None:
    steps = ["--encode-steps", 2, "--render-steps", 2]
    run("reconstruct", faces, tmp_path / "again", "--checkpoint", autoencoder, *steps)
    assert len(list((tmp_path / "again" / "images").rglob("*.png"))) == 4
    ends = sorted((faces / "images").rglob("*.png"))[:2]
    run("interpolate", *ends, tmp_path / "between", "--checkpoint", autoencoder, "--frames", 5, *steps)
    assert len(list((tmp_path / "between").iterdir())) == 5
    run("align", "tests/goldens/images/a", tmp_path / "aligned", "--size", 64)
    assert {Image.open(path).size for path in (tmp_path / "aligned").rglob("*.png")} == {(64, 64)}


def test_what_is_known_of_faces_is_known_of_them_aligned(tmp_path: Path) -> None:
    run("synth", tmp_path / "faces", "--identities", 2, "--images", 2, "--size", 128)
    run("align", tmp_path / "faces", tmp_path / "aligned", "--size", 64)
    before, after = (ImageSet.open(tmp_path / name) for name in ("faces", "aligned"))
    assert [item.name for item in after.items] == [item.name for item in before.items]
    for column in ("identity", "expression", "valence"):
        assert after.column(column) == before.column(column)
        assert None not in after.column(column)


def test_new_faces_come_from_the_latent_model_and_from_the_plain_one(
    autoencoder: Path, tmp_path: Path
) -> None:
    small = ["model.hidden=16", "model.layers=3", "model.time_channels=16", "batch=8", "steps=2", "workers=0"]
    data = [
        "data.identities=5",
        "data.images=4",
        "data.render=16",
        "data.align=false",
        "data.remember=false",
        "sample_every=100",
    ]
    latent = tmp_path / "latent"
    run("train", "latent-dpm", f"checkpoint={autoencoder}", *small, *data, "--out", latent, "--device", "cpu")
    run("sample", autoencoder, tmp_path / "a", "--latent", latent, "--count", 3, "--steps", 2)
    run("train", "ddim", *TINY, "--out", tmp_path / "ddim", "--device", "cpu")
    run("sample", tmp_path / "ddim", tmp_path / "b", "--count", 3, "--steps", 2)
    for folder in ("a", "b"):
        assert {Image.open(path).size for path in (tmp_path / folder).iterdir()} == {(16, 16)}
        assert len(list((tmp_path / folder).iterdir())) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (lambda at: ["train", "diffea"], "Did you mean 'diffae'?"),
        (
            lambda at: ["train", "diffae", "--config", "diffae-64-sinthface"],
            "Did you mean 'diffae-64-synthface'?",
        ),
        (lambda at: ["train", "ddim", "--config", "diffae-64-synthface"], "Say: facebench train diffae"),
        (lambda at: ["reconstruct", at, at / "o", "--checkpoint", at / "none"], "There is no model"),
        (lambda at: ["sample", at / "model.txt", at / "o"], "not a readable safetensors"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(
    words: Callable[[Path], list[object]], message: str, tmp_path: Path
) -> None:
    (tmp_path / "model.txt").write_text("weights")
    with pytest.raises(FacebenchError) as error:
        CliRunner().invoke(app, [str(word) for word in words(tmp_path)], catch_exceptions=False)
    assert message in str(error.value)
