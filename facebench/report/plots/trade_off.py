"""Plot of identity kept against expression gained over the strengths of an edit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from facebench.evaluation.record import Run
from facebench.metrics.arrays import Floats
from facebench.report.plots import svg
from facebench.report.plots.curves import PERCENT, Plot


def trade_off_plots(runs: Sequence[Run], text: dict[str, Any], prefix: str) -> list[Plot]:
    """Draw one plot for each metric, with a curve for each run and 95 % intervals at each strength."""
    curves = [
        (index, curve) for index, run in enumerate(runs) for curve in (run.curves or {}).get("edits", [])
    ]
    return [
        _plot(
            [(index, curve) for index, curve in curves if curve["metric"] == metric],
            text,
            f"{prefix}-{metric}",
        )
        for metric in dict.fromkeys(curve["metric"] for _, curve in curves)
    ]


def _plot(curves: list[tuple[int, dict[str, Any]]], text: dict[str, Any], name: str) -> Plot:
    with svg.drawing(name) as (figure, (ax,)):
        for index, curve in curves:
            bars: dict[str, Any] = {
                "xerr": _ends(curve, "gained"),
                "yerr": _ends(curve, "kept"),
                "elinewidth": 0.7,
            }
            ax.errorbar(
                curve["gained"], curve["kept"], fmt="o-", markersize=3, color=svg.run_colour(index), **bars
            )
            for x, y, strength in zip(curve["gained"], curve["kept"], curve["strengths"], strict=True):
                ax.annotate(f"{strength:g}", (x, y), (3, 3), textcoords="offset points", fontsize=7)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(PERCENT)
        ax.set_xlim(-0.03, 1.05)
        ax.set_ylim(-0.03, 1.05)
        ax.set_xlabel(text["gained"])
        ax.set_ylabel(text["kept"])
    note = text["trade_off_note"].format(metric=curves[0][1]["metric"])
    indices = tuple(dict.fromkeys(index for index, _ in curves))
    return Plot(text["trade_off"], svg.inline(figure, name, text["trade_off"]), note, indices)


def _ends(curve: dict[str, Any], key: str) -> Floats:
    """Distances of the ends of the intervals from the values, (2, k)."""
    value, low, high = (np.asarray(curve[f"{key}{end}"]) for end in ("", "_low", "_high"))
    return np.stack([value - low, high - value]).clip(0.0)
