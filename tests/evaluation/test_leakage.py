"""Leakage: a training face among the generated ones is found, and strangers are not accused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import facebench
from facebench.cli import app
from facebench.core.errors import InputError
from facebench.evaluation.leakage import closest_table
from facebench.evaluation.record import Run, load_run
from facebench.metrics import closest_faces, leakage

COPIED = 3


@pytest.fixture(scope="module")
def generated(faces: Path, other_faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine strangers and three faces of the training set, one a straight copy of its file."""
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


def test_the_closest_training_face_of_each_generated_one_is_listed(run: Run) -> None:
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
    assert "most alike, by sface" in done.output
    assert "images/id000/01.png" in done.output


def test_without_a_training_set_there_is_a_reason(generated: Path) -> None:
    found = facebench.evaluate(generated, metrics=["leaked_share_sface"])
    assert found.metrics["leaked_share_sface"].reason == "needs a reference set: --reference DIR"
    assert closest_table(found) is None


def people(rng: np.random.Generator, count: int, images: int, spread: float = 0.5) -> np.ndarray:
    centres = rng.standard_normal((count, 1, 16))
    return (centres + spread * rng.standard_normal((count, images, 16))).reshape(-1, 16)


def test_strangers_are_found_at_about_the_stated_rate() -> None:
    rng = np.random.default_rng(0)
    training, names = people(rng, 400, 4), [str(i // 4) for i in range(1600)]
    answer = leakage(people(rng, 400, 4), training, names, rate=0.05)
    assert answer.share == pytest.approx(0.05, abs=0.025)
    assert leakage(training, training, names, rate=0.05).share == 1.0


def test_more_copies_mean_more_leakage() -> None:
    rng = np.random.default_rng(1)
    training, names = people(rng, 300, 3), [str(i // 3) for i in range(900)]
    strangers = people(rng, 100, 1)
    shares = [
        leakage(np.concatenate([strangers, training[:k]]), training, names).share for k in (0, 20, 100, 400)
    ]
    assert shares == sorted(shares)
    assert shares[-1] > 0.75


def test_a_training_set_without_names_says_what_that_means() -> None:
    rng = np.random.default_rng(2)
    training = people(rng, 50, 4)
    named = leakage(training[:5], training, [str(i // 4) for i in range(200)])
    unnamed = leakage(training[:5], training)
    assert "names no people" in unnamed.notes["share"]
    assert unnamed.threshold > named.threshold


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 100))
def test_the_closest_face_is_the_one_of_a_plain_search(n: int, m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    left, right = rng.standard_normal((n, 5)), rng.standard_normal((m, 5))
    scores = (left / np.linalg.norm(left, axis=1, keepdims=True)) @ (
        right / np.linalg.norm(right, axis=1, keepdims=True)
    ).T
    rows, cosines = closest_faces(left, right)
    assert np.allclose(cosines, scores.max(axis=1))
    assert np.allclose(scores[np.arange(n), rows], cosines)


def test_one_person_cannot_say_what_a_stranger_looks_like() -> None:
    with pytest.raises(InputError, match="at least two people"):
        leakage(np.eye(3), np.eye(3), ["a", "a", "a"])
    with pytest.raises(InputError, match="between 0 and 1"):
        leakage(np.eye(3), np.eye(3), rate=0.0)
