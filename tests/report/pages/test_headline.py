"""Headline numbers on their scale."""

from __future__ import annotations

import pytest

from facebench.compare.leaderboard import Leaderboard
from facebench.report.pages.headline import headline_tiles
from facebench.report.pages.texts import texts
from tests.helpers.records import make_run


def test_a_bounded_metric_has_its_range_and_a_distance_starts_at_zero() -> None:
    runs = [
        make_run("a", fd_lite0=20.0, precision_lite0=0.5),
        make_run("b", fd_lite0=40.0, precision_lite0=0.25),
    ]
    tiles = {tile.metric: tile for tile in headline_tiles(Leaderboard.from_runs(runs).boards[0], texts("en"))}
    distance, precision = tiles["fd_lite0"], tiles["precision_lite0"]
    assert (distance.name, distance.better, distance.low, distance.high) == (
        "FD (Lite0)",
        "lower is better",
        "0",
        "50",
    )
    assert [bar.dot for bar in distance.bars] == [40.0, 80.0]
    assert (precision.low, precision.high) == ("0", "1")
    assert precision.bars[0].left == pytest.approx(45)
    assert precision.bars[0].width == pytest.approx(10)
    assert precision.bars[0].interval == "[0.450, 0.550]"
