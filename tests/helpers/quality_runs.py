"""Runs with a per-image table of face quality."""

from __future__ import annotations

import numpy as np
import pandas as pd

from facebench.evaluation.record import Run
from tests.helpers.records import make_result


def with_quality(run: Run, quality: np.ndarray, prefix: str = "") -> Run:
    """The run with a per-image table, and the metric that is its mean."""
    table = pd.DataFrame(
        {"role": "generated", "image": [f"{prefix}{i:04d}.png" for i in range(len(quality))]}
    )
    table["quality:sface-quality"] = np.asarray(quality, dtype=np.float32)
    valid = table["quality:sface-quality"].dropna().to_numpy(dtype=np.float64)
    mean, reach = float(valid.mean()), float(1.96 * valid.std() / np.sqrt(len(valid)))
    result = make_result("face_quality_sface", mean, len(valid), low=mean - reach, high=mean + reach)
    run.metrics["face_quality_sface"] = result
    return run.with_per_image(table)


def quality(n: int = 200, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.3, 0.9, n)
