"""Plots and images of a run in a notebook."""

from __future__ import annotations

from pathlib import Path

import pytest

import facebench
from facebench import Run
from facebench.core.errors import InputError
from facebench.core.language import use_language
from facebench.report.notebook import RunImages

GOLDENS = Path(__file__).parents[1] / "goldens" / "images"
METRICS = ["face_quality_sface", "eer_sface"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Two runs over the same kind of images, with their images in place."""
    folder = tmp_path_factory.mktemp("runs")
    written = []
    for name in ("a", "b"):
        people = {path.stem.split("_")[0] for path in (GOLDENS / name).glob("*.png")}
        for person in people:
            (folder / name / person).mkdir(parents=True)
        for path in (GOLDENS / name).glob("*.png"):
            (folder / name / path.stem.split("_")[0] / path.name).write_bytes(path.read_bytes())
        run = facebench.evaluate(folder / name, metrics=METRICS, protocol="identity")
        run.save(folder / f"run-{name}")
        written.append(facebench.load_run(folder / f"run-{name}"))
    return written


def test_the_distribution_of_a_metric_over_the_images_is_drawn(runs: list[Run], tmp_path: Path) -> None:
    plot = runs[0].plot("face_quality")
    assert repr(plot).startswith("<RunPlot 'Face quality")
    page = plot._repr_html_()
    assert "<svg" in page
    assert "32 images. Line: mean" in page
    assert plot.save(tmp_path / "plot.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_first_metric_that_can_be_drawn_is_the_default(runs: list[Run]) -> None:
    assert runs[0].plot().title == runs[0].plot("face_quality_sface").title


@pytest.mark.parametrize("name", ["scores", "roc", "det"])
def test_verification_scores_are_drawn(runs: list[Run], name: str) -> None:
    assert "<svg" in runs[0].plot(name)._repr_html_()


def test_a_metric_that_is_no_mean_over_images_is_refused(runs: list[Run]) -> None:
    with pytest.raises(InputError, match="'eer_sface' is not a mean over images"):
        runs[0].plot("eer_sface")


def test_an_unknown_name_suggests_metrics_and_plots(runs: list[Run]) -> None:
    with pytest.raises(InputError, match="Did you mean roc"):
        runs[0].plot("rocs")


def test_the_worst_and_best_images_are_ranked(runs: list[Run]) -> None:
    worst, best = runs[0].images(worst="face_quality", n=5), runs[0].images(best="face_quality", n=5)
    assert isinstance(worst, RunImages)
    assert len(worst) == 5
    assert list(worst.values) == sorted(worst.values)
    assert list(best.values) == sorted(best.values, reverse=True)
    assert worst._repr_html_().count("data:image/jpeg") == 5
    assert repr(worst) == "<RunImages: 5 images by face_quality_sface>"


@pytest.mark.parametrize("names", [{}, {"worst": "face_quality", "best": "face_quality"}])
def test_one_metric_ranks_the_images(runs: list[Run], names: dict[str, str]) -> None:
    with pytest.raises(InputError, match="Give one metric"):
        runs[0].images(**names)


def test_a_record_without_its_folder_has_no_images(runs: list[Run], tmp_path: Path) -> None:
    record = facebench.load_run(runs[0].save_record(tmp_path / "alone.json"))
    with pytest.raises(InputError, match="no per-image table"):
        record.images(worst="face_quality")


def test_the_views_are_japanese(runs: list[Run]) -> None:
    with use_language("ja"):
        assert "画像 32 枚の分布" in runs[0].plot("face_quality")._repr_html_()


def test_two_runs_are_compared(runs: list[Run]) -> None:
    comparison = facebench.compare(runs[0], runs[1])
    assert repr(comparison).startswith("<RunComparison 'b': ")
    page = comparison._repr_html_()
    assert str(comparison.verdict) in page
    assert "<table" in page
    assert len(facebench.compare(*runs, show_all=True).table.rows) >= len(comparison.table.rows)


def test_the_package_of_comparisons_stays_importable() -> None:
    from facebench.compare.gate import check

    assert check is facebench.check
    assert facebench.compare.gate.check is check
