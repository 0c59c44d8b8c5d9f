"""Verification statistics of many scores, compared with pyeer, and of all pairs without storing them.

    python benchmarks/verification.py [--scores 10000000] [--peer-python PATH] [--images 20000]

pyeer is not a dependency: name an interpreter that has it. Its time is measured in that interpreter.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

import numpy as np
from rich.console import Console
from rich.table import Table

from facebench.metrics import blocked_verification, verification

DRAW = """
import time, numpy as np
rng = np.random.default_rng(0)
genuine, impostor = rng.normal(0.6, 0.15, {genuine}), rng.normal(0.0, 0.12, {impostor})
"""
PEER = """
from pyeer.eer_info import get_eer_stats
start = time.perf_counter()
result = get_eer_stats(genuine, impostor)
print(time.perf_counter() - start, result.eer)
"""


def ours(genuine: np.ndarray, impostor: np.ndarray) -> tuple[float, float]:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        eer = verification(genuine, impostor).eer
        times.append(time.perf_counter() - start)
    return min(times), eer


def theirs(python: str, sizes: dict[str, int]) -> tuple[float, float]:
    script = DRAW.format(**sizes) + PEER
    answer = subprocess.run([python, "-c", script], capture_output=True, text=True, check=True)
    seconds, eer = answer.stdout.split()[-2:]
    return float(seconds), float(eer)


def all_pairs(images: int) -> tuple[float, int]:
    rng = np.random.default_rng(0)
    names = np.arange(images) % (images // 20)
    centres = rng.standard_normal((images // 20, 512))
    embeddings = (centres[names] + 1.2 * rng.standard_normal((images, 512))).astype(np.float32)
    start = time.perf_counter()
    result = blocked_verification(embeddings, names).statistics
    return time.perf_counter() - start, result.genuine_count + result.impostor_count


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--scores", type=int, default=10_000_000)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--peer-python", default=sys.executable)
    given = parser.parse_args()
    sizes = {"genuine": given.scores // 10, "impostor": given.scores - given.scores // 10}
    drawn: dict[str, np.ndarray] = {}
    exec(DRAW.format(**sizes), drawn)
    seconds, eer = ours(drawn["genuine"], drawn["impostor"])
    table = Table(title=f"Verification of {given.scores:,} scores")
    for column in ("", "s", "ratio to facebench", "EER"):
        table.add_column(column, justify="right")
    table.add_row("facebench", f"{seconds:.3f}", "1", f"{eer:.9f}")
    try:
        peer, peer_eer = theirs(given.peer_python, sizes)
        table.add_row("pyeer", f"{peer:.1f}", f"{peer / seconds:.0f}", f"{peer_eer:.9f}")
    except subprocess.CalledProcessError as failed:
        table.add_row("pyeer", "-", "-", failed.stderr.strip().splitlines()[-1])
    Console().print(table)
    elapsed, pairs = all_pairs(given.images)
    Console().print(f"all pairs of {given.images:,} embeddings: {pairs:,} scores in {elapsed:.1f} s")


if __name__ == "__main__":
    main()
