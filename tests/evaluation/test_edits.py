"""Metrics of edits at several strengths, from the manifest to the record."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import facebench
from facebench.core.errors import InputError
from facebench.evaluation.edits import EditRows, edit_tables, series_of_scores
from facebench.evaluation.record import Run
from tests.helpers.paths import GOLDENS_FOLDER
from tests.helpers.records import make_run

METRICS = [f"edit_benchmark_{name}_faceapi" for name in ("mscr", "accuracy", "linearity", "harmonic")]


def rows(**change: object) -> EditRows:
    """Two sources, each edited towards two expressions at three strengths, in shuffled order."""
    order = np.random.default_rng(0).permutation(12)
    source, wanted, strength = (
        np.array(part)[order]
        for part in zip(
            *[(s, w, a) for s in (0, 1) for w in ("angry", "happy") for a in (0.0, 0.5, 1.0)], strict=True
        )
    )
    content = {
        "predicted": wanted,
        "wanted": wanted,
        "score": strength * 0.8,
        "strength": strength,
        "source": source,
        "valid": np.ones(12, dtype=np.bool_),
    }
    return EditRows(**{**content, **change})  # type: ignore[arg-type]


def test_the_strongest_edit_of_each_source_and_expression_counts() -> None:
    edits = rows()
    chosen = edits.strongest()
    assert chosen.sum() == 4
    assert (edits.strength[chosen] == 1.0).all()
    pairs = {(s, w) for s, w in zip(edits.source[chosen], edits.wanted[chosen], strict=True)}
    assert len(pairs) == 4


def test_series_are_sorted_by_strength_and_complete() -> None:
    strengths, scores, chosen = series_of_scores(rows())
    assert strengths.tolist() == [[0.0, 0.5, 1.0]] * 4
    assert scores == pytest.approx(strengths * 0.8)
    assert chosen.sum() == 4
    edits = rows()
    valid = edits.valid.copy()
    valid[int(np.flatnonzero(edits.strength == 0.5)[0])] = False
    assert len(series_of_scores(rows(valid=valid))[0]) == 3


def test_without_strengths_every_edit_counts_and_there_is_no_series() -> None:
    edits = rows(strength=np.full(12, np.nan))
    assert edits.strongest().sum() == 12
    with pytest.raises(InputError, match="two strengths or more"):
        series_of_scores(edits)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Neutral faces as edits of strength 0, and their expressions as edits of strength 1."""
    folder = tmp_path_factory.mktemp("edits")
    lines = ["image,source,expression,strength"]
    for person in range(8):
        source = f"id{person:03d}_neutral.png"
        shutil.copy(GOLDENS_FOLDER / "images" / "a" / source, folder)
        for expression in ("happy", "angry"):
            for strength, shown in ((0, "neutral"), (1, expression)):
                name = f"{person}-{expression}-{strength}.png"
                shutil.copy(GOLDENS_FOLDER / "images" / "a" / f"id{person:03d}_{shown}.png", folder / name)
                lines.append(f"{name},{source},{expression},{strength}")
    (folder / "manifest.csv").write_text("\n".join(lines))
    return facebench.evaluate(folder, protocol="edit-benchmark", metrics=METRICS)


def test_real_expressions_have_numbers_with_intervals_over_sources(run: Run) -> None:
    for metric in METRICS:
        result = run.metrics[metric]
        assert result.value is not None, result.reason
        assert result.low is not None
        assert result.low <= result.value <= result.high
    assert run.metrics[METRICS[0]].n == {"generated": 16}
    assert run.metrics[METRICS[2]].n == {"generated": 32, "faces": 16}
    assert run.metrics[METRICS[2]].value > 0.5
    assert (
        "source" in run.metrics[METRICS[1]].method
        or run.metrics[METRICS[1]].low < run.metrics[METRICS[1]].high
    )


def test_unchanged_images_have_no_linearity_and_a_small_harmonic_score(tmp_path: Path, run: Run) -> None:
    lines = ["image,source,attribute,strength"]
    for person in range(4):
        source = f"id{person:03d}_neutral.png"
        shutil.copy(GOLDENS_FOLDER / "images" / "a" / source, tmp_path)
        for strength in (0, 1):
            shutil.copy(tmp_path / source, tmp_path / f"{person}-{strength}.png")
            lines.append(f"{person}-{strength}.png,{source},happy,{strength}")
    (tmp_path / "manifest.csv").write_text("\n".join(lines))
    unchanged = facebench.evaluate(tmp_path, protocol="edit-benchmark", metrics=METRICS)
    linearity = unchanged.metrics[METRICS[2]]
    assert linearity.value is None
    assert "does not vary" in linearity.reason
    harmonic, edited = unchanged.metrics[METRICS[3]].value, run.metrics[METRICS[3]].value
    assert harmonic is not None
    assert edited is not None
    assert harmonic < edited


def test_a_manifest_without_expressions_is_a_reason(tmp_path: Path) -> None:
    for name in ("id000_neutral.png", "id001_happy.png"):
        shutil.copy(GOLDENS_FOLDER / "images" / "a" / name, tmp_path)
    (tmp_path / "manifest.csv").write_text("image,source\nid001_happy.png,id000_neutral.png\n")
    run = facebench.evaluate(tmp_path / "manifest.csv", protocol="edit-benchmark", metrics=METRICS[:1])
    assert "'expression' or 'attribute'" in run.metrics[METRICS[0]].reason


def test_the_confusion_matrix_and_the_strength_curve_follow_the_metrics(run: Run) -> None:
    confusion, curve = edit_tables(run)
    assert [column.key for column in confusion.columns[:3]] == ["wanted", "angry", "happy"]
    shares = {row[0].text: [cell.number for cell in row[1:]] for row in confusion.rows}
    assert np.sum(list(shares.values()), axis=1) == pytest.approx([1.0, 1.0])
    accuracy = (shares["angry"][0] + shares["happy"][1]) / 2
    assert accuracy == pytest.approx(run.metrics[METRICS[1]].value)
    assert [column.key for column in curve.columns] == ["wanted", "0", "1"]
    assert all(row[2].number > row[1].number for row in curve.rows)


def test_runs_without_edits_have_no_tables() -> None:
    assert edit_tables(make_run("other")) == []
