"""`facebench edit`: edits of faces and their manifests."""

from __future__ import annotations

import csv
import re
import shutil
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from facebench.cli.edit import (
    OFFICIAL_STRENGTH,
    VISIBLE_STRENGTH,
    Preset,
    default_directions,
    is_official,
    preset_steps,
)
from facebench.core.errors import InputError
from facebench.evaluation.record_reading import load_run
from facebench.training.editing.autoencoder import Steps
from facebench.training.editing.source_checks import refuse_photographs
from facebench.training.models import DiffAE
from facebench.training.models.diffae import FFHQ256
from facebench.training.models.official import official_names
from tests.cli.conftest import CODED, FEW_STEPS, TINY, Command, succeed
from tests.helpers.golden_networks import Golden, fill
from tests.helpers.paths import GOLDENS_FOLDER


def test_edits_have_the_columns_of_the_edit_protocol(
    autoencoder: Path, directions: Path, small_faces: Path, tmp_path: Path
) -> None:
    out = tmp_path / "edits"
    succeed("edit", small_faces, out, "--checkpoint", autoencoder, "--directions", directions, "--attribute", "happy",
        "--strength", 0.3, "--strength", -0.3, *FEW_STEPS)  # fmt: skip
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
    succeed("evaluate", out, "--protocol", "edit", "--metrics", metrics, "--out", tmp_path / "run")
    assert load_run(tmp_path / "run").metrics["face_found"].value is not None


def test_edits_with_targets_have_the_columns_of_expression_transfer(
    facebench: Command, autoencoder: Path, directions: Path, tmp_path: Path
) -> None:
    people = ["--identities", 3, "--images", 1, "--size", 32, "--seed", 4]
    succeed("synth", tmp_path / "neutral", *people, "--expressions", "neutral")
    succeed("synth", tmp_path / "happy", *people, "--expressions", "happy")
    words = ["--checkpoint", autoencoder, "--directions", directions, "--attribute", "happy", *FEW_STEPS]
    succeed("edit", tmp_path / "neutral", tmp_path / "edits", *words, "--target", tmp_path / "happy")
    with (tmp_path / "edits" / "manifest.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["expression"] for row in rows] == ["happy"] * 3
    assert all(float(row["valence"]) > 0.3 and float(row["source_valence"]) == 0 for row in rows)
    target = np.asarray(Image.open(tmp_path / "edits" / rows[1]["target"]), float)
    source = np.asarray(Image.open(tmp_path / "edits" / rows[1]["source"]), float)
    other = np.asarray(Image.open(tmp_path / "edits" / rows[2]["source"]), float)
    # Identity, pose and light are equal: only the expression differs.
    assert 0 < np.abs(target - source).mean() < np.abs(other - source).mean() / 4

    (tmp_path / "happy" / "images" / "id001" / "00.png").unlink()
    done = facebench("edit", tmp_path / "neutral", tmp_path / "more", *words, "--target", tmp_path / "happy")
    assert done.returncode == 2
    assert re.search(r"have no target, such as .*id001/00\.png", done.stderr)


def test_a_model_fine_tuned_on_one_person_edits_new_images_of_that_person(
    autoencoder: Path, directions: Path, tmp_path: Path
) -> None:
    """A small version of docs/howto/one-person.md."""
    person = ["--identities", 1, "--images", 6, "--size", 32, "--seed", 7]
    succeed("synth", tmp_path / "album", *person)
    album = rows_of(tmp_path / "album", slice(4))
    new = {}
    for name in ("neutral", "happy"):
        succeed("synth", tmp_path / name, *person, "--expressions", name)
        new[name] = rows_of(tmp_path / name, slice(4, None))
    prior = [
        "prior_data.identities=4",
        "prior_data.render=16",
        "prior_data.align=false",
        "prior_data.cache_renders=true",
        "prior_images=2",
    ]
    small = [word for word in TINY if not word.startswith("data.")] + ["batch_size=4", *CODED[:2], *prior]
    succeed("train", "diffae", album, "--config", "diffae-64-personal", *small, f"start={autoencoder}", "--out",
        tmp_path / "eve", "--device", "cpu")  # fmt: skip
    words = ["--checkpoint", tmp_path / "eve", "--directions", directions, "--attribute", "happy", *FEW_STEPS]
    edits = tmp_path / "edits"
    succeed("edit", new["neutral"], edits, *words, "--target", new["happy"])
    words = ["--protocol", "expression-transfer", "--suite", "compact", "--out", tmp_path / "expression"]
    succeed("evaluate", edits, *words, "--metrics", "identity_similarity_sface,valence_error_reader")
    words = ["--reference", album, "--protocol", "leakage", "--out", tmp_path / "leakage"]
    succeed("evaluate", edits, *words, "--metrics", "authenticity_lite0")
    with (edits / "manifest.csv").open() as file:
        assert [row["identity"] for row in csv.DictReader(file)] == ["id000"] * 2
    assert set(load_run(tmp_path / "expression").metrics) == {
        "identity_similarity_sface",
        "valence_error_reader",
    }
    assert set(load_run(tmp_path / "leakage").metrics) == {"authenticity_lite0"}


@pytest.fixture
def official_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Checkpoints with the layout of the official ones and filled weights: a small autoencoder and its classifier."""
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path / "cache"))
    tiny = Golden("diffae_tiny").state()
    networks = {f"{copy}.{name}": value for copy in ("model", "ema_model") for name, value in tiny.items()}
    widths = {"weight": (40, 64), "bias": (40,)}
    layers = {
        f"{copy}.{name}": shape for copy in ("classifier", "ema_classifier") for name, shape in widths.items()
    }
    statistics = {"conds_mean": torch.zeros(1, 64), "conds_std": torch.ones(1, 64)}
    contents = {
        "last": {**networks, "x_T": torch.zeros(8, 3, 32, 32)},
        "classifier": {**fill(layers), **statistics},
    }
    # PyTorch Lightning stores classes of its own as keys of the callbacks.
    name = "pytorch_lightning.callbacks.model_checkpoint"
    callback = type("ModelCheckpoint", (), {"__module__": name})
    module = types.ModuleType(name)
    module.ModelCheckpoint = callback
    files = []
    with monkeypatch.context() as patched:
        for part in ("pytorch_lightning", "pytorch_lightning.callbacks", name):
            patched.setitem(sys.modules, part, module)
        for stem, state in contents.items():
            files.append(tmp_path / f"{stem}.ckpt")
            settings = {"callbacks": {callback: {"monitor": None}}, "hyper_parameters": {"seed": 0}}
            torch.save({"state_dict": state, "global_step": 1, **settings}, files[-1])
    return files[0], files[1]


def test_photographs_are_edited_with_the_official_autoencoder_and_its_classifier(
    facebench: Command, official_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """The way of the README with filled weights: download by hand, import, align, edit, evaluate."""
    succeed("synth", tmp_path / "photographs", "--identities", 3, "--images", 1, "--size", 160)
    wide = tmp_path / "wide"
    wide.mkdir()
    for path in sorted((tmp_path / "photographs").rglob("*.png")):
        pixels = np.pad(np.asarray(Image.open(path)), ((80, 80), (80, 80), (0, 0)))
        Image.fromarray(pixels).save(wide / f"{path.parent.name}.png")
    words = ["--checkpoint", "ffhq256-autoenc", "--attribute", "Smiling", *FEW_STEPS, "--device", "cpu"]

    missing = facebench("edit", wide, tmp_path / "edits", *words)
    assert missing.returncode == 2
    assert "facebench weights import ffhq256-autoenc FILE" in missing.stderr
    succeed("weights", "import", "ffhq256-autoenc", official_files[0])
    missing = facebench("edit", wide, tmp_path / "edits", *words)
    assert "facebench weights import ffhq256-autoenc-cls FILE" in missing.stderr
    succeed("weights", "import", "ffhq256-autoenc-cls", official_files[1])

    refused = facebench("edit", wide, tmp_path / "edits", *words)
    assert refused.returncode == 2
    assert "not aligned" in refused.stderr
    assert f"facebench align {wide} NEW --size 32" in refused.stderr.replace("\n", " ")
    succeed("align", wide, tmp_path / "aligned", "--size", 128)
    succeed("edit", tmp_path / "aligned", tmp_path / "edits", *words)

    with (tmp_path / "edits" / "manifest.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["strength"] for row in rows] == ["0.3"] * 3
    for row in rows:
        edit, unedited = (
            np.asarray(Image.open(tmp_path / "edits" / row[name]), float)
            for name in ("image", "reconstruction")
        )
        assert edit.shape == (32, 32, 3)
        assert np.abs(edit - unedited).mean() > 0.5
    run = ["--protocol", "edit", "--metrics", "face_found", "--out", tmp_path / "run"]
    succeed("evaluate", tmp_path / "edits", *run)


def test_the_official_checkpoint_of_256_pixels_has_the_layout_that_is_read() -> None:
    with torch.device("meta"):
        names = official_names(DiffAE(FFHQ256))
        shapes = {names[key]: list(value.shape) for key, value in DiffAE(FFHQ256).state_dict().items()}
    assert shapes == dict(Golden("diffae_ffhq256_autoenc").facts["parameters"])


def test_the_default_strength_is_that_of_the_model() -> None:
    assert is_official(Path("ffhq256-autoenc"))
    assert is_official(Path("downloads/last.ckpt"))
    assert not is_official(Path("diffae-64-synthface"))
    assert default_directions(Path("ffhq256-autoenc")) == Path("ffhq256-autoenc-cls")
    assert (OFFICIAL_STRENGTH, VISIBLE_STRENGTH) == (0.3, 0.8)


def rows_of(folder: Path, part: slice) -> Path:
    """Write a manifest of some images of a synthetic set."""
    head, *rows = (folder / "manifest.csv").read_text().splitlines()
    path = folder / "part.csv"
    path.write_text("\n".join([head, *rows[part]]) + "\n")
    return path


def test_presets_give_the_steps_of_the_official_code() -> None:
    assert preset_steps(Preset.auto, "cpu") == preset_steps(Preset.fast, "cuda") == Steps(20, 20)
    assert preset_steps(Preset.official, "cpu") == preset_steps(Preset.auto, "cuda") == Steps(250, 100)


def test_photographs_are_refused_by_the_shipped_model_of_rendered_faces(tmp_path: Path) -> None:
    shutil.copytree(GOLDENS_FOLDER / "images" / "a", tmp_path / "faces")
    refuse_photographs(tmp_path / "faces", "the model")  # rendered faces
    names = sorted(path.name for path in (tmp_path / "faces").glob("*.png"))
    rows = [f"{name},photographs" for name in names]
    (tmp_path / "faces" / "manifest.csv").write_text("\n".join(["image,domain", *rows]))
    with pytest.raises(InputError, match=r"are photographs \(declared\).*--force"):
        refuse_photographs(tmp_path / "faces", "the model")
