"""Values of metrics without each group of units, kept beside the record for comparisons of two runs.

The difference of two runs is resampled with these values. Runs with the same units (people, images, reference images)
leave out the same groups, so that what they share cancels in the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from facebench.evaluation.cards import Card
from facebench.evaluation.metric_result import Estimate, field_of

COLUMNS = ("metric", "group", "value", "generated_units", "reference_units")


@dataclass(frozen=True)
class LeaveOut:
    """Values of one metric without each group of units.

    Attributes:
        metric: metric id.
        values: (G,) the metric without each group; empty where the interval is none or crossed.
        generated_units: digest of the names of the generated units.
        reference_units: digest of the names of the reference units; empty without a reference.
    """

    metric: str
    values: tuple[float, ...]
    generated_units: str
    reference_units: str


def leave_out_of(card: Card, estimate: Estimate) -> LeaveOut:
    """Return the leave-out values of the field that a card reports."""
    interval = estimate.intervals.get(field_of(card, estimate.values))
    return LeaveOut(card.id, () if interval is None else interval.leave_out, *estimate.digests)


def leave_out_table(leave_out: Sequence[LeaveOut]) -> pd.DataFrame:
    """Return one row for each metric and group, with the columns of `COLUMNS`."""
    rows = [
        (each.metric, group, value, each.generated_units, each.reference_units)
        for each in leave_out
        for group, value in enumerate(each.values)
    ]
    # Without rows, pandas would not know that groups and values are numbers.
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"group": np.int64, "value": np.float64})
