"""Leakage: copies of training faces are found, and faces of other people are not matched."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import facebench
from facebench.cli import app
from facebench.evaluation.leakage import closest_table
from facebench.evaluation.record import Run
from facebench.evaluation.record_reading import load_run

COPIED = 3


@pytest.fixture(scope="module")
def generated(faces: Path, other_faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine other people and three faces of the training set, one of them a copy of its file."""
    folder = tmp_path_factory.mktemp("leakage") / "generated"
    folder.mkdir()
    for number in range(9):
        shutil.copy(other_faces / "images" / f"id{number:03d}" / "00.png", folder / f"stranger{number}.png")
    for number in range(COPIED):
        shutil.copy(faces / "images" / f"id{number:03d}" / "01.png", folder / f"copy{number}.png")
    return folder


@pytest.fixture(scope="module")
def run(generated: Path, faces: Path) -> Run:
    return facebench.evaluate(generated, faces, protocol="leakage", suite="compact")


def test_every_copy_of_a_training_face_is_counted(run: Run) -> None:
    share = run.metrics["leaked_share_sface"]
    rows = run.per_image[run.per_image["role"] == "generated"].set_index("image")
    found = rows.index[rows["closest_cosine:sface"] >= run.metrics["leak_threshold_sface"].value]
    assert share.value == len(found) / 12 < 0.5
    assert {f"copy{number}.png" for number in range(COPIED)} <= set(found)
    assert share.low <= share.value <= share.high
    assert share.n == {"generated": 12, "reference": 60}
    assert "12 people, a rate of 0.01 needs 500" in share.note
    assert 0 < run.metrics["leak_threshold_sface"].value < 1
    assert run.metrics["authenticity_lite0"].value < 100


def test_the_closest_training_face_of_each_generated_face_is_listed(run: Run) -> None:
    table = run.per_image
    rows = table[table["role"] == "generated"].set_index("image")
    for number in range(COPIED):
        assert rows.loc[f"copy{number}.png", "closest:sface"] == f"images/id{number:03d}/01.png"
        assert rows.loc[f"copy{number}.png", "closest_cosine:sface"] == pytest.approx(1, abs=1e-5)
    worst = closest_table(run)
    assert [row[0].text[:4] for row in worst.rows[:COPIED]] == ["copy"] * COPIED


def test_the_list_survives_saving(run: Run, tmp_path: Path) -> None:
    run.save(tmp_path)
    assert closest_table(load_run(tmp_path)).csv() == closest_table(run).csv()


def test_the_command_shows_the_worst_pairs(generated: Path, faces: Path, tmp_path: Path) -> None:
    options = ["--reference", str(faces), "--metrics", "leaked_share_sface", "--out", str(tmp_path / "run")]
    done = CliRunner().invoke(app, ["evaluate", str(generated), *options], env={"COLUMNS": "140"})
    assert done.exit_code == 0, done.output
    assert "most similar, by sface" in done.output
    assert "images/id000/01.png" in done.output


def test_copies_of_training_images_reveal_membership(faces: Path, other_faces: Path, tmp_path: Path) -> None:
    copies = [
        faces / "images" / f"id{number:03d}" / f"{image:02d}.png"
        for number in range(12)
        for image in (1, 2, 3)
    ]
    for place, copy in enumerate(copies):
        shutil.copy(copy, tmp_path / f"{place}.png")
    found = facebench.evaluate(tmp_path, faces, held_out=other_faces, metrics=["membership_pixels"])
    result = found.metrics["membership_pixels"]
    assert 0.6 < result.value <= result.high
    assert result.low <= result.value
    assert result.n == {"generated": 36, "reference": 60, "held_out": 60}
    assert found.inputs["held_out"].images == 60


def test_membership_without_usable_held_out_images_has_a_reason(
    generated: Path, faces: Path, run: Run
) -> None:
    missing = "needs images that were not trained on: --held-out DIR"
    assert run.metrics["membership_lite0"].reason == run.metrics["membership_pixels"].reason == missing
    found = facebench.evaluate(generated, faces, held_out=faces, metrics=["membership_pixels"])
    assert found.metrics["membership_pixels"].reason == (
        "60 held-out images are in the training set as well; remove them from one set"
    )


def test_without_a_training_set_metrics_have_a_reason_instead_of_a_value(generated: Path) -> None:
    found = facebench.evaluate(generated, metrics=["leaked_share_sface"])
    assert found.metrics["leaked_share_sface"].reason == "needs a reference set: --reference DIR"
    assert closest_table(found) is None
