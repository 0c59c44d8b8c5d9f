"""Verdict on a board: the models that are best by the metric that sorts it."""

from __future__ import annotations

from facebench.compare.leaderboard import Leaderboard
from tests.helpers.records import make_run


def test_one_best_model_is_named_with_its_lead() -> None:
    runs = [make_run("ours", fd_lite0=1.0, kd_lite0=0.1), make_run("theirs", fd_lite0=9.0, kd_lite0=0.1)]
    assert Leaderboard.from_runs(runs).verdicts() == [
        "quality · compact: ours is best by fd_lite0; ours: better than theirs on 1 of 2 metrics, worse on none"
    ]


def test_models_that_cannot_be_distinguished_are_named_together() -> None:
    runs = [make_run(name, fd_lite0=1.0) for name in ("a", "b", "c", "d")]
    (line,) = Leaderboard.from_runs(runs).verdicts()
    assert line.startswith(
        "quality · compact: by fd_lite0, a, b, c and 1 more cannot be distinguished from the best"
    )


def test_a_board_of_one_model_has_no_verdict() -> None:
    assert Leaderboard.from_runs([make_run("ours", fd_lite0=1.0)]).verdicts() == []
