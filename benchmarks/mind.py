"""Cost and variance of MIND and of the Fréchet distance against the number of images: a table in Markdown.

    python benchmarks/mind.py [--width 256] [--sizes 250,1000,5000,20000,50000] [--repeats 5]

Features are Gaussian with a spectrum that falls as 1 / rank, as features of networks do. The second set is shifted by a
tenth of a standard deviation. Every repeat draws both sets anew.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from facebench.metrics import frechet_distance, mind

SHIFT = 0.1


def draw(seed: int, n: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([seed, n])
    scale = (1.0 / np.arange(1, width + 1)).astype(np.float32) ** 0.5
    rows = rng.standard_normal((2 * n, width), dtype=np.float32) * scale
    return rows[:n] + SHIFT * scale, rows[n:]


def measure(metric: Callable[..., float], n: int, width: int, repeats: int) -> tuple[float, float, float]:
    """Mean and standard deviation of the metric, and the median seconds of one call."""
    values, seconds = [], []
    for seed in range(repeats):
        sides = draw(seed, n, width)
        start = time.perf_counter()
        values.append(metric(*sides))
        seconds.append(time.perf_counter() - start)
    return float(np.mean(values)), float(np.std(values, ddof=1)), float(np.median(seconds))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--sizes", default="250,1000,5000,20000,50000")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    print("| images | MIND | spread | seconds | Fréchet | spread | seconds |")
    print("|---|---|---|---|---|---|---|")
    for n in map(int, given.sizes.split(",")):
        cells = []
        for metric in (mind, frechet_distance):
            mean, deviation, seconds = measure(metric, n, given.width, given.repeats)
            cells += [f"{mean:.3f}", f"{100 * deviation / mean:.1f} %", f"{seconds:.2f}"]
        print(f"| {n:,} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
