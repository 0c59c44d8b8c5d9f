"""Evaluation from folder to record: expected values, and reasons for missing values."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import facebench
from facebench.core.errors import InputError
from facebench.evaluation.record import Run


@pytest.fixture(scope="module")
def quality(faces: Path, other_faces: Path) -> Run:
    return facebench.evaluate(faces, other_faces, protocol="quality", suite="compact", max_rejected=0)


def test_sixty_good_faces_have_values_in_the_range_of_good_faces(quality: Run) -> None:
    values = {metric: result.value for metric, result in quality.metrics.items()}
    assert None not in values.values()
    assert values["face_found"] == 1.0
    assert values["fd_lite0"] == pytest.approx(29.9, abs=3)
    assert 0.2 < values["precision_lite0"] <= 1.0
    assert 0.5 < values["recall_lite0"] <= 1.0
    assert values["face_quality_sface"] == pytest.approx(0.83, abs=0.03)
    assert 1.0 < values["vendi_lite0"] < 60.0
    assert quality.inputs["generated"].images == quality.inputs["generated"].faces == 60
    assert quality.inputs["generated"].identities == 12


def test_every_number_has_an_interval_an_n_and_verified_weights(quality: Run) -> None:
    for metric, result in quality.metrics.items():
        assert result.low is not None, metric
        assert result.high is not None, metric
        assert result.low <= result.value <= result.high, metric
        assert result.n["generated"] == 60
        assert result.level == 0.95
    assert all(backbone.verified for backbone in quality.backbones.values())


def test_every_interval_is_within_the_range_of_its_metric(quality: Run) -> None:
    for metric in ("precision_lite0", "recall_lite0", "coverage_lite0"):
        assert 0 <= quality.metrics[metric].low <= quality.metrics[metric].high <= 1, metric


def test_a_share_of_one_has_the_bound_of_clopper_and_pearson(quality: Run) -> None:
    found = quality.metrics["face_found"]
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.025 ** (1 / found.units), abs=1e-9)
    assert "Clopper-Pearson" in found.method


def test_the_record_says_what_its_intervals_generalise_to(quality: Run) -> None:
    for result in quality.metrics.values():
        if result.low is not None:
            assert result.resampled
            assert result.generalises_to
            assert result.units


def test_blur_worsens_the_metrics_of_the_same_faces(
    quality: Run, blurred_faces: Path, other_faces: Path
) -> None:
    metrics = ["fd_lite0", "kd_lite0", "mmd_lite0", "face_quality_sface"]
    worse = facebench.evaluate(blurred_faces, other_faces, metrics=metrics).metrics
    for metric in metrics:
        better = quality.metrics[metric]
        sign = 1 if better.better == "lower" else -1
        assert sign * worse[metric].value > sign * better.value, metric


def test_a_set_against_itself_is_perfect(faces: Path) -> None:
    metrics = ["fd_lite0", "mmd_lite0", "precision_lite0", "recall_lite0", "coverage_lite0"]
    values = {m: r.value for m, r in facebench.evaluate(faces, faces, metrics=metrics).metrics.items()}
    assert values["fd_lite0"] == pytest.approx(0, abs=1e-4)
    assert values["mmd_lite0"] == pytest.approx(0, abs=1e-6)
    assert values["precision_lite0"] == values["recall_lite0"] == values["coverage_lite0"] == 1.0


def test_the_same_input_gives_the_same_metrics_bit_for_bit(
    quality: Run, faces: Path, other_faces: Path
) -> None:
    again = facebench.evaluate(faces, other_faces, protocol="quality", suite="compact")
    assert again.metrics == quality.metrics
    assert again.inputs["generated"].digest == quality.inputs["generated"].digest


def test_rendered_people_are_distinguished(faces: Path) -> None:
    run = facebench.evaluate(faces, protocol="identity", suite="compact")
    assert run.metrics["eer_sface"].value < 0.08
    assert run.metrics["fdr_sface"].value > 4
    assert run.metrics["genuine_mean_sface"].value > run.metrics["impostor_mean_sface"].value + 0.3
    assert run.metrics["eer_sface"].n == {"genuine": 120, "impostor": 1650, "identities": 12}
    assert run.metrics["eer_sface"].method.startswith("bca_bootstrap")
    assert run.metrics["eer_sface"].generalises_to == "new people"
    assert "12 identities, reliable from 50" in run.metrics["eer_sface"].note
    assert run.metrics["eer_sface_real"].value is None
    assert run.metrics["eer_sface_real"].reason == "needs a reference set: --reference DIR"


def test_generated_faces_are_most_similar_to_reference_faces_of_the_same_person(
    faces: Path, blurred_faces: Path
) -> None:
    names = ["genuine_mean_sface_real", "impostor_mean_sface_real", "eer_sface_real"]
    results = facebench.evaluate(blurred_faces, faces, metrics=names).metrics
    assert results["genuine_mean_sface_real"].value > results["impostor_mean_sface_real"].value + 0.1
    assert results["eer_sface_real"].value < 0.35
    assert results["eer_sface_real"].n == {"genuine": 12 * 25, "impostor": 12 * 11 * 25, "identities": 12}


def test_an_edit_is_compared_with_its_source(faces: Path, tmp_path: Path) -> None:
    folder = make_edits(faces, tmp_path)
    run = facebench.evaluate(folder, protocol="edit", suite="compact")
    assert run.metrics["identity_similarity_sface"].value > 0.5
    assert run.metrics["identity_similarity_sface"].n == {"generated": 8}
    assert run.metrics["face_quality_change_sface"].value < 0.02
    assert run.inputs["source"].images == 8


def test_the_per_image_table_names_every_image_with_its_numbers(quality: Run) -> None:
    table = quality.per_image
    assert table is not None
    assert table.groupby("role").size().to_dict() == {"generated": 60, "reference": 60}
    assert table["sha256"].str.len().eq(64).all()
    generated = table[table["role"] == "generated"]
    assert generated["quality:sface-quality"].mean() == pytest.approx(
        quality.metrics["face_quality_sface"].value
    )
    assert set(generated["expression"]) >= {"neutral", "happy"}


def test_unusable_files_are_listed_with_their_reason(faces: Path, tmp_path: Path) -> None:
    folder = flat_copy(faces, tmp_path / "set", 20)
    (folder / "broken.png").write_bytes((folder / "00.png").read_bytes()[:200])
    (folder / "empty.jpg").write_bytes(b"")
    Image.fromarray(np.full((112, 112, 3), 128, np.uint8)).save(folder / "grey.png")
    run = facebench.evaluate(
        folder, metrics=["face_quality_sface", "face_found", "vendi_lite0"], max_rejected=0.2
    )
    rejected = {file.name: (file.reason, file.scope) for file in run.inputs["generated"].rejected}
    assert rejected["broken.png"] == ("truncated", "all")
    assert rejected["empty.jpg"] == ("empty", "all")
    assert rejected["grey.png"] == ("no_face", "faces")
    assert run.metrics["vendi_lite0"].n == {"generated": 21}
    assert run.metrics["face_quality_sface"].n == {"generated": 20}
    assert run.metrics["face_found"].value == pytest.approx(20 / 21)


def test_too_many_unusable_files_stop_the_run(faces: Path, tmp_path: Path) -> None:
    folder = flat_copy(faces, tmp_path / "set", 4)
    (folder / "empty.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"1 of the 5 files .* --max-rejected 0\.02 .* empty\.jpg: empty"):
        facebench.evaluate(folder, metrics=["vendi_lite0"])


def test_too_few_images_give_a_reason_instead_of_a_value(faces: Path, tmp_path: Path) -> None:
    folder = flat_copy(faces, tmp_path / "set", 3)
    run = facebench.evaluate(folder, folder, metrics=["precision_lite0", "fd_lite0"])
    assert run.metrics["precision_lite0"].value is None
    assert run.metrics["precision_lite0"].reason == "3 images, at least 5 are needed"
    assert "3 images, reliable from 2000" in run.metrics["fd_lite0"].note


@pytest.mark.parametrize("images", [1, 2])
def test_one_identity_or_one_image_each_gives_reasons(faces: Path, tmp_path: Path, images: int) -> None:
    folder = tmp_path / "set"
    for person in ("ann",) if images == 2 else ("ann", "bob"):
        flat_copy(faces, folder / person, images)
    run = facebench.evaluate(folder, metrics=["eer_sface", "genuine_mean_sface"])
    for result in run.metrics.values():
        assert result.value is None
        assert result.reason


def test_a_reason_asks_for_identities_if_there_are_none(faces: Path, tmp_path: Path) -> None:
    run = facebench.evaluate(flat_copy(faces, tmp_path / "set", 5), metrics=["eer_sface"])
    assert "sub-folders" in run.metrics["eer_sface"].reason


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocol": "qualty"}, "Did you mean quality"),
        ({"suite": "compakt"}, "Did you mean compact"),
        ({"metrics": ["fd_lite"]}, "Did you mean fd_lite0"),
    ],
)
def test_unknown_names_suggest_close_matches(faces: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        facebench.evaluate(faces, **options)


def flat_copy(faces: Path, folder: Path, count: int) -> Path:
    """The first images of a set in one flat folder."""
    folder.mkdir(parents=True)
    for place, image in enumerate(sorted(faces.glob("images/*/*.png"))[:count]):
        shutil.copyfile(image, folder / f"{place:02}.png")
    return folder


def make_edits(faces: Path, folder: Path) -> Path:
    """Eight slightly darkened copies with a manifest that names their sources."""
    rows = []
    for place, source in enumerate(sorted(faces.glob("images/*/*.png"))[:8]):
        shutil.copyfile(source, folder / f"source{place}.png")
        with Image.open(source) as image:
            Image.fromarray((np.asarray(image) * 0.8).astype(np.uint8)).save(folder / f"edit{place}.png")
        rows.append({"image": f"edit{place}.png", "source": f"source{place}.png"})
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    return folder


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="file names are Unicode there")
def test_names_that_are_not_utf8_reach_the_record_as_escapes(faces: Path, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"bad\xff")
    folder.mkdir()
    for file in sorted(faces.rglob("*.png"))[:2]:
        shutil.copy(file, folder / os.fsdecode(file.stem.encode() + b"\xfe.png"))
    run = facebench.evaluate(folder, suite="compact", metrics="face_found", tags={"base": "x\udcff"})
    assert (run.name, run.tags["base"]) == (r"bad\xff", r"x\xff")
    assert run.save(tmp_path / "run").read_text(encoding="utf-8")
    assert facebench.load_run(tmp_path / "run").inputs["generated"].path.endswith(r"bad\xff")


def test_boards_and_runs_of_known_images_need_no_torch() -> None:
    code = "import facebench.evaluation.pipeline, facebench.compare.leaderboard, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
