"""Verdict: the headline metrics in which a run is better or worse, corrected together."""

from __future__ import annotations

from facebench.compare.verdict import verdict
from tests.helpers.records import make_run


def test_the_sentence_counts_better_and_worse_metrics() -> None:
    run = make_run("ours", fd_lite0=10.0, kd_lite0=0.5, precision_lite0=0.1, face_found=0.9)
    baseline = make_run("old", fd_lite0=20.0, kd_lite0=1.5, precision_lite0=0.8, face_found=0.9)
    found = verdict(run, baseline)
    assert (list(found.better), list(found.worse)) == (["fd_lite0", "kd_lite0"], ["precision_lite0"])
    assert str(found) == "better than old on 2 of 4 metrics, worse on 1"


def test_equal_runs_have_no_clear_difference() -> None:
    runs = [make_run(name, fd_lite0=10.0, kd_lite0=0.5) for name in ("ours", "old")]
    assert str(verdict(*runs)) == "no clear difference from old on 2 metrics"


def test_a_metric_without_an_interval_is_not_counted() -> None:
    runs = [make_run(name, fd_lite0=value) for name, value in (("ours", 1.0), ("old", 9.0))]
    bare = runs[0].metrics["fd_lite0"].model_copy(update={"low": None, "high": None})
    runs[0].metrics["fd_lite0"] = bare
    assert verdict(*runs).total == 0
    assert str(verdict(*runs)) == "no metric with an interval to compare with old"


def test_many_metrics_are_corrected_together() -> None:
    """A difference at p = 0.02 counts alone and not among seven metrics."""
    one = [make_run(name, fd_lite0=value) for name, value in (("ours", 10.0), ("old", 11.8))]
    further = {"kd_lite0": 1.0, "mmd_lite0": 1.0, "precision_lite0": 0.5, "recall_lite0": 0.5}
    many = [make_run(run.name, fd_lite0=run.metrics["fd_lite0"].value, **further) for run in one]
    assert list(verdict(*one).better) == ["fd_lite0"]
    assert list(verdict(*many).better) == []
