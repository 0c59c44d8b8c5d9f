"""Table and notes of a run, and what a notebook shows of it."""

from __future__ import annotations

import csv
import io

import facebench
from facebench.compare.gate import check
from facebench.evaluation.record import RejectedFile
from facebench.evaluation.run_table import run_csv, run_notes, run_table
from tests.helpers.records import make_run

HOSTILE = "<script>alert(1)</script>"


def test_a_run_prints_as_one_short_line() -> None:
    run = make_run("ours", fd_lite0=1.25, recall_lite0=None)
    assert repr(run) == str(run) == "<Run 'ours': protocol quality, suite compact, 2 metrics>"
    assert repr(check(run, run)).startswith("<CheckReport 'ours' against 'ours': protocol quality, passed")
    assert repr(facebench.Leaderboard.from_runs([run])) == "<Leaderboard: 1 boards, 1 models, 1 runs>"


def test_notebooks_show_escaped_tables() -> None:
    run = make_run(HOSTILE, fd_lite0=1.25)
    run.metrics["fd_lite0"].note = HOSTILE
    for shown in (run, check(run, run), facebench.Leaderboard.from_runs([run])):
        html = shown._repr_html_()
        assert "<table" in html
        assert "1.25" in html
        assert "&lt;script&gt;" in html
        assert "<script" not in html


def test_each_sentence_of_the_notes_appears_once() -> None:
    run = make_run("ours", fd_lite0=1.25, recall_lite0=0.5, precision_lite0=None)
    run.metrics["fd_lite0"].note = "60 images, reliable from 2000; interval from 12 identities, below 50"
    run.metrics["recall_lite0"].note = "interval from 12 identities, below 50"
    notes = run_notes(run)
    assert "† 60 images, reliable from 2000: fd_lite0" in notes
    assert "† interval from 12 identities, below 50: all metrics" in notes
    assert "– no value, needs a reference set: precision_lite0" in notes


def test_the_headline_counts_the_other_metrics_and_shortens_lists() -> None:
    values = dict.fromkeys(("recall_lite0", "precision_lite0", "density_lite0", "coverage_lite0"))
    run = make_run("ours", fd_lite0=1.25, genuine_std_sface=0.1, **values)
    run.inputs["generated"].rejected = [RejectedFile(name=f"{i}.png", reason="damaged") for i in range(7)]
    table = run_table(run)
    assert [row[0].text for row in table.rows] == ["fd_lite0 ↓"]
    assert (
        table.notes[0] == "1 further metrics are in the record and the report (evaluate --all prints them)."
    )
    text = "\n".join(table.notes)
    assert "recall_lite0, precision_lite0, density_lite0 and 1 more" in text
    assert "generated: 2 further files not used; the record lists all" in text
    assert [row[0].text for row in run_table(run, show_all=True).rows] == ["fd_lite0 ↓", "genuine_std_sface"]


def test_the_csv_has_one_row_per_metric_and_group() -> None:
    run = make_run("=ours", fd_lite0=1.25, recall_lite0=None)
    rows = list(csv.DictReader(io.StringIO(run_csv(run))))
    assert [(row["model"], row["metric"], row["value"]) for row in rows] == [
        ("'=ours", "fd_lite0", "1.25"),
        ("'=ours", "recall_lite0", ""),
    ]
