"""Report page of an expression transfer: hostile names, breakdown, reference sets."""

from __future__ import annotations

import html
from pathlib import Path

import pytest

from facebench.core.language import languages
from facebench.evaluation.record import Run
from facebench.report.pages.run import report_page
from tests.helpers.transfer_runs import (
    EXPRESSION,
    HOSTILE,
    PERSON,
    make_transfer_run,
    with_closest,
    with_groups,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_transfer_run(tmp_path_factory.mktemp("transfer"), "ours")


@pytest.mark.parametrize("lang", languages())
def test_hostile_people_expressions_and_files_are_text_in_every_language(tmp_path: Path, lang: str) -> None:
    run = with_closest(with_groups(make_transfer_run(tmp_path, "ours")))
    page = report_page([run, make_transfer_run(tmp_path, "theirs", share=0.2, seed=1)], lang)
    for hostile in (PERSON, EXPRESSION, HOSTILE):
        assert hostile not in page
        assert html.escape(hostile) in page.replace("&#34;", "&quot;")
    assert "alert(3)</script>" not in page


def test_a_breakdown_lists_worst_and_best_groups_and_stars_differences(tmp_path: Path) -> None:
    page = report_page([with_groups(make_transfer_run(tmp_path, "ours"))])
    assert "bob 0.200*" in page
    assert "eve 0.300" in page
    assert "1 of 3" in page
    assert "corrected for the groups of the metric (Holm)" in page


def test_named_reference_sets_are_counted_by_name(tmp_path: Path) -> None:
    assert "TRAIN 24" in report_page([with_closest(make_transfer_run(tmp_path, "copies"))])


def test_a_protocol_with_blocks_and_joined_spreads_has_a_report(run: Run) -> None:
    booth = run.model_copy(update={"protocol": "id-booth", "tags": {"base": "SD", "prompt": "A"}})
    assert "valence_error_maxvit" in report_page([booth])
