"""Plot of identity kept against expression gained."""

from __future__ import annotations

from facebench.report.pages.run import report_page
from facebench.report.pages.texts import texts
from facebench.report.plots.trade_off import trade_off_plots
from tests.helpers.records import make_run


def test_each_metric_has_a_plot_with_a_point_for_each_strength_of_each_run() -> None:
    curve = {
        "metric": "edit_trade_off_faceapi",
        "strengths": [0.4, 0.8],
        "n": 50,
        "gained": [0.3, 0.9],
        "gained_low": [0.2, 0.8],
        "gained_high": [0.4, 1.0],
        "kept": [1.0, 0.7],
        "kept_low": [0.9, 0.6],
        "kept_high": [1.0, 0.8],
    }
    runs = [make_run("ours", fd_lite0=1.0), make_run("theirs", fd_lite0=1.0), make_run("none", fd_lite0=1.0)]
    for run in runs[:2]:
        run.with_curves({"scores": [], "frechet": [], "edits": [curve], "map": None})
    (plot,) = trade_off_plots(runs, texts("en"), "b0")
    assert plot.runs == (0, 1)
    assert plot.picture.count(">0.8<") >= 2  # the label of a strength, for each run
    assert "edit_trade_off_faceapi" in plot.note
    assert trade_off_plots(runs[2:], texts("en"), "b0") == []
    for lang in ("en", "ja"):
        assert texts(lang)["trade_off"] in report_page(runs, lang)
