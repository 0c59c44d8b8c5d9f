from __future__ import annotations

import numpy as np

from facebench.metrics.intervals import Interval


def covered(intervals: list[Interval], truth: float) -> float:
    """Share of the intervals that contain the truth."""
    return float(np.mean([interval.low <= truth <= interval.high for interval in intervals]))
