"""Curve of an edit over its strengths: expression gained and identity kept, with intervals."""

from __future__ import annotations

from typing import Any

import numpy as np

from facebench.core.tables import Cell, Column, Table
from facebench.evaluation.cards import Card
from facebench.evaluation.record import Run
from facebench.evaluation.samples import EditGrid
from facebench.metrics import intervals
from facebench.metrics.arrays import Array
from facebench.metrics.intervals.shares import share_interval
from facebench.metrics.mean_std import mean_std


def trade_off_curve(card: Card, sample: EditGrid, seed: int) -> dict[str, Any]:
    """Return the shares at each strength with 95 % intervals for new sources.

    Args:
        card: card of the trade-off.
        sample: its sample.
        seed: seed of the bootstrap.
    """
    curve: dict[str, Any] = {
        "metric": card.id,
        "strengths": sample.strengths.tolist(),
        "n": len(sample.generated),
    }
    for name, rows in (("gained", sample.generated), ("kept", sample.partner)):
        shares = [_share(rows[:, step], sample, seed) for step in range(rows.shape[1])]
        for end, values in zip(("", "_low", "_high"), zip(*shares, strict=True), strict=True):
            curve[name + end] = [round(float(value), 6) for value in values]
    return curve


def _share(flags: Array, sample: EditGrid, seed: int) -> tuple[float, float, float]:
    value = float(np.mean(flags))
    interval = intervals.bootstrap_images(mean_std, flags, units=sample.units, seed=seed)["mean"]
    bounds = share_interval(value, interval, 1.0)
    return value, max(0.0, bounds.low), min(1.0, bounds.high)


def edit_curve_tables(run: Run) -> list[Table]:
    """Return a table for each curve of the record: one row for each strength."""
    columns = [
        Column("strength", "strength", numeric=False),
        Column("gained", "read as wanted"),
        Column("kept", "same person"),
    ]
    tables = []
    for curve in (run.curves or {}).get("edits", []):
        rows = [
            [
                Cell(f"{strength:g}"),
                *(
                    Cell(
                        f"{curve[name][step]:.2f}",
                        curve[name][step],
                        small=f"[{curve[f'{name}_low'][step]:.2f}, {curve[f'{name}_high'][step]:.2f}]",
                    )
                    for name in ("gained", "kept")
                ),
            ]
            for step, strength in enumerate(curve["strengths"])
        ]
        tables.append(Table(columns, rows, caption=f"{curve['metric']} by strength (n = {curve['n']} faces)"))
    return tables
