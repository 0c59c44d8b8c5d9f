"""Confusion matrices on the page."""

from __future__ import annotations

import pandas as pd

from facebench.evaluation.record import ClassRecall, Confusion
from facebench.report.pages.confusions import expression_tables
from facebench.report.pages.texts import texts
from tests.helpers.records import make_run

TEXT = texts("en")


def test_a_confusion_of_the_record_is_shown_in_shares_of_its_rows() -> None:
    run = make_run("ours <b>", fd_lite0=1.0)
    recalls = [ClassRecall(expression=name, value=0.5, low=0.1, high=0.9, n=4) for name in ("happy", "sad")]
    run.confusions["facereader"] = Confusion(
        classes=["happy", "sad"], counts=[[3, 1], [0, 4]], recalls=recalls
    )
    table = expression_tables(run, TEXT)[0]
    assert "FaceReader: rows are labels" in table
    assert "75%" in table
    assert "100%" in table
    assert "ours &lt;b&gt;" in table


def test_edits_are_counted_at_their_strongest_step() -> None:
    rows = [("0.png", "s", 0.5, "happy", "neutral"), ("1.png", "s", 1.0, "happy", "happy")]
    table = pd.DataFrame(
        rows, columns=["image", "source", "strength", "wanted:facereader", "predicted:facereader"]
    )
    run = make_run("ours", fd_lite0=1.0).with_per_image(table.assign(role="generated"))
    (shown,) = expression_tables(run, TEXT)
    assert "rows are wanted expressions" in shown
    assert "100%" in shown
    assert "neutral" not in shown


def test_a_run_without_expressions_has_none() -> None:
    assert expression_tables(make_run("ours", fd_lite0=1.0), TEXT) == []
