"""Report page: it contains all results, and neither loads nor runs anything from the input."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from facebench.core.errors import InputError
from facebench.evaluation.record import Run
from facebench.evaluation.record_reading import load_run
from facebench.report.galleries import browser
from facebench.report.pages.run import report_page
from facebench.report.pages.texts import texts
from tests.helpers.records import make_run
from tests.helpers.run_folders import HOSTILE, make_report_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_report_run(tmp_path_factory.mktemp("report"), "ours <b>bold</b>")


@pytest.fixture(scope="module")
def page(run: Run) -> str:
    return report_page([run])


def test_every_metric_has_its_interval_or_its_reason(page: str) -> None:
    assert "20.00" in page
    assert "[18.00, 22.00]" in page
    assert "needs a reference set: vendi_lite0" in page


def test_the_page_loads_nothing(page: str) -> None:
    assert not re.search(r"""(src|href|url\()\s*=?\s*["']?(https?:|//|file:)""", page)
    assert "http" not in page.replace("http-equiv", "").replace("https?", "")


def test_the_footer_says_what_the_page_loads(
    run: Run, page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "This page is self-contained and loads nothing." in page
    monkeypatch.setattr(browser, "SELF_CONTAINED", 10)
    beside = report_page([run], folder=tmp_path)
    assert list((tmp_path / "thumbnails").iterdir())
    assert "loads nothing" not in beside
    assert "This page loads the thumbnails of its folder and nothing else" in beside
    assert "サムネイル" in report_page([run], "ja", tmp_path).partition("<footer>")[2]


def test_names_are_escaped(page: str) -> None:
    assert "<b>bold" not in page
    assert "ours &lt;b&gt;bold&lt;/b&gt;" in page
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;.png" in page
    assert "<script>.png" not in page


def test_the_page_has_plots_of_scores_rates_quality_map_and_distance_by_n(page: str) -> None:
    english = texts("en")
    for title in ("scores_generated", "roc", "det", "map", "against_n"):
        assert f"<h3>{english[title]}</h3>" in page
    assert page.count("<svg ") == 7


def test_plots_use_the_colours_of_the_page(page: str) -> None:
    drawn = re.findall(r"<svg .*?</svg>", page, flags=re.DOTALL)
    assert drawn
    assert not [colour for svg in drawn for colour in re.findall(r"(?:fill|stroke): (#\w+)", svg)]


def test_the_same_runs_give_the_same_page(run: Run, page: str) -> None:
    assert report_page([run]) == page


def test_two_runs_are_compared_with_intervals_and_verdicts(tmp_path: Path, run: Run) -> None:
    worse = make_report_run(tmp_path, "theirs", seed=1, shift=0.5)
    both = report_page([run, worse])
    assert "+20.00" in both
    assert 'class="verdict worse"' in both
    assert "paired over 40 images: face_found" in both
    assert "independent intervals: fd_lite0" in both


def test_runs_that_are_not_comparable_get_separate_sections(run: Run) -> None:
    other = make_run("paper", fd_lite0=1.0).model_copy(update={"suite": "paper"})
    both = report_page([run, other])
    assert "Not comparable with the first table: suite paper, not compact" in both
    assert 'id="differences' not in both


def test_a_record_alone_gives_a_page_without_plots(tmp_path: Path) -> None:
    record = make_run("ours", fd_lite0=1.0).save_record(tmp_path / "baseline.json")
    page = report_page([load_run(record)])
    assert "<svg " not in page
    assert "1.00" in page


def test_the_page_is_translated_to_japanese(run: Run) -> None:
    page = report_page([run], "ja")
    assert '<html lang="ja">' in page
    assert "評価結果" in page
    assert "本人ペア" in page


def test_an_unknown_language_is_an_error_that_lists_the_languages(run: Run) -> None:
    with pytest.raises(InputError, match="Known: en, ja"):
        report_page([run], "xx")


def test_the_command_writes_a_folder(tmp_path: Path, run: Run) -> None:
    run.save(tmp_path / "run")
    command = [sys.executable, "-m", "facebench", "report", "run", "--html", "run/report", "--lang", "ja"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert HOSTILE not in (tmp_path / "run" / "report" / "index.html").read_text(encoding="utf-8")
