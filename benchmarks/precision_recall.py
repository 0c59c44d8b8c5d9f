"""Precision and recall, compared with torch-fidelity, scikit-learn, and the sgemm rate of the machine.

    python benchmarks/precision_recall.py [--images 10000] [--features 2048] [--sklearn]

The rate counts three complete matrices of distances (generated, reference, between) with 2 n² d operations each.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from sklearn.neighbors import NearestNeighbors
from torch_fidelity.metric_prc import calculate_precision_recall_full

from facebench.metrics import precision_recall


def sgemm_rate(n: int = 4096) -> float:
    """Measure float32 products of n x n matrices, best of five, in operations per second."""
    a = np.random.default_rng(0).standard_normal((n, n)).astype(np.float32)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - start)
    return 2 * n**3 / min(times)


def with_sklearn(generated: np.ndarray, reference: np.ndarray) -> float:
    """Compute precision only: radii from neighbours in the reference, membership from distances in blocks."""
    finder = NearestNeighbors(n_neighbors=4, algorithm="brute").fit(reference)
    radii = finder.kneighbors(reference)[0][:, 3]
    inside = 0
    for start in range(0, len(generated), 1000):
        distances, index = finder.radius_neighbors(generated[start : start + 1000], radius=float(radii.max()))
        inside += sum(bool((d <= radii[i]).any()) for d, i in zip(distances, index, strict=True))
    return inside / len(generated)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=10000)
    parser.add_argument("--features", type=int, default=2048)
    parser.add_argument("--sklearn", action="store_true", help="also measure scikit-learn (slow)")
    given = parser.parse_args()
    n, d = given.images, given.features
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, d)).astype(np.float32)
    y = (0.98 * rng.standard_normal((n, d))).astype(np.float32)
    peak = sgemm_rate()
    rows = [("facebench", *timed(lambda: precision_recall(x, y).precision))]
    left, right = torch.from_numpy(x), torch.from_numpy(y)
    rows.append(("torch-fidelity", *timed(lambda: calculate_precision_recall_full(left, right)[0])))
    if given.sklearn:
        rows.append(("scikit-learn (precision only)", *timed(lambda: with_sklearn(x, y))))
    peak = max(peak, sgemm_rate())
    table = Table(title=f"Precision and recall, {n} x {n} x {d}; sgemm {peak / 1e9:.0f} GFLOP/s")
    for column in ("", "s", "ratio to facebench", "share of sgemm", "precision"):
        table.add_column(column, justify="right")
    for name, seconds, value in rows:
        share = 6 * n**2 * d / seconds / peak
        table.add_row(name, f"{seconds:.1f}", f"{seconds / rows[0][1]:.1f}", f"{share:.0%}", f"{value:.4f}")
    Console().print(table)


def timed(function: object) -> tuple[float, float]:
    start = time.perf_counter()
    value = function()  # type: ignore[operator]
    return time.perf_counter() - start, float(value)


if __name__ == "__main__":
    main()
