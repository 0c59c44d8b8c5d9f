"""Peak memory of every distribution metric on memory-mapped features, in addition to the memory at the start.

    python benchmarks/memory.py [--images 1000 10000 100000] [--features 2048] [--limit 120] [--folder DIR]

Only anonymous memory is counted. Pages of mapped files belong to the page cache, which the system can free. A metric
that runs longer than `--limit` seconds is stopped, and its peak is reported with a +; the blocks repeat from the second
row of blocks on.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from facebench import metrics
from facebench.metrics import intervals


def people(features: np.ndarray) -> np.ndarray:
    """Ten images of every person."""
    return np.arange(len(features)) // 10


METRICS = {
    "frechet_distance": metrics.frechet_distance,
    "frechet_infinity": metrics.frechet_infinity,
    "kernel_distance": metrics.kernel_distance,
    "mmd_rbf": metrics.mmd_rbf,
    "precision_recall": metrics.precision_recall,
    "density_coverage": metrics.density_coverage,
    "authenticity": metrics.authenticity,
    "clipped_density_coverage": metrics.clipped_density_coverage,
    "mind": metrics.mind,
    "sliced_wasserstein": metrics.sliced_wasserstein,
    "copied_share": metrics.copied_share,
    "membership": lambda generated, reference: metrics.membership(generated, *np.array_split(reference, 2)),
    "distinct_identities": lambda generated, _: metrics.distinct_identities(generated, 0.9),
    "retrieval": lambda query, gallery: metrics.retrieval(query, gallery, people(query), people(gallery)),
    "blocked_verification": lambda generated, _: metrics.blocked_verification(generated, people(generated)),
    "vendi_score": lambda generated, _: metrics.vendi_score(generated),
    "jackknife of frechet_distance": partial(intervals.jackknife, metrics.frechet_distance, groups=5),
    "jackknife of density_coverage": partial(intervals.jackknife, metrics.density_coverage),
}
BUDGET_MB = 2048


def anonymous_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
    return 0.0


def measure(name: str, files: tuple[str, str], answer: object) -> None:
    generated, reference = (np.load(file, mmap_mode="r") for file in files)
    np.linalg.eigvalsh(np.eye(64) @ np.eye(64))
    before, running = anonymous_mb(), True

    def watch() -> None:
        start = time.perf_counter()
        while running:
            answer.put((anonymous_mb() - before, time.perf_counter() - start))  # type: ignore[attr-defined]
            time.sleep(0.01)

    watcher = threading.Thread(target=watch)
    watcher.start()
    METRICS[name](generated, reference)
    running = False
    watcher.join()


def peak(name: str, files: tuple[str, str], limit: float) -> tuple[float, float, bool]:
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    process = context.Process(target=measure, args=(name, files, answer))
    process.start()
    highest, seconds, deadline = 0.0, 0.0, time.monotonic() + limit
    while process.is_alive() or not answer.empty():
        if time.monotonic() > deadline:
            process.terminate()
            process.join()
            return highest, seconds, False
        try:
            megabytes, seconds = answer.get(timeout=0.2)
            highest = max(highest, megabytes)
        except Exception:
            continue
    if process.exitcode:
        raise SystemExit(f"{name} failed; the traceback is above")
    return highest, seconds, True


def write(path: Path, n: int, d: int, seed: int) -> str:
    features = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n, d))
    rng = np.random.default_rng(seed)
    for start in range(0, n, 4096):
        part = features[start : start + 4096]
        part[:] = rng.standard_normal(part.shape, dtype=np.float32)
    features.flush()
    return str(path)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 10000, 100000])
    parser.add_argument("--features", type=int, default=2048)
    parser.add_argument("--limit", type=float, default=120.0, help="seconds per metric")
    parser.add_argument("--folder", default=None, help="folder of the features (1.6 GB at 100,000)")
    given = parser.parse_args()
    table = Table(
        title=f"Peak memory in addition to the start, MB, {given.features} features; budget {BUDGET_MB}"
    )
    table.add_column("metric")
    rows: dict[str, list[str]] = {name: [] for name in METRICS}
    for n in given.images:
        table.add_column(f"n = {n:,}", justify="right")
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            files = tuple(write(Path(folder) / f"{s}.npy", n, given.features, s) for s in (1, 2))
            for name in METRICS:
                megabytes, seconds, finished = peak(name, (files[0], files[1]), given.limit)
                rows[name].append(f"{megabytes:.0f}{'' if finished else '+'} ({seconds:.0f} s)")
                Console(stderr=True).print(f"{name}, n = {n:,}: {rows[name][-1]}")
    for name, cells in rows.items():
        table.add_row(name, *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
