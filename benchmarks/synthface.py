"""Speed and size of synthface: `python benchmarks/synthface.py [--seconds 5] [--workers 2]`.

Prints images per second at 64, 128 and 256 pixels on one thread and on several, CPU time per image, and bytes per image
on disk with and without buffers. CPU time does not depend on other work on the machine.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # Each rendering thread uses one core.

from facebench.synthface import FaceModel, RenderOptions, write


def throughput(size: int, workers: int, seconds: float) -> tuple[float, float]:
    """Measure images per second of wall time, and CPU milliseconds per image, including sampling."""
    model = FaceModel()

    def one(i: int) -> None:
        model.render(model.sample(1, seed=0, images=8, start=i), size)

    one(0)
    done, start, spent = 0, time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(workers) as pool:
        while time.perf_counter() - start < seconds:
            list(pool.map(one, range(done, done + 8 * workers)))
            done += 8 * workers
    wall, spent = time.perf_counter() - start, time.process_time() - spent
    return done / wall, 1000 * spent / done


def disk(size: int) -> tuple[float, float]:
    """Measure the mean bytes of an image and of its buffers."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set"
        write(out, identities=4, images=4, size=size, options=RenderOptions(buffers=True))
        images, buffers = ([p.stat().st_size for p in out.glob(g)] for g in ("images/*/*", "buffers/*/*"))
        return sum(images) / len(images), sum(buffers) / len(buffers)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="duration of each measurement")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="threads of the parallel run"
    )
    options = parser.parse_args()
    print(
        f"| size | images/s, 1 thread | images/s, {options.workers} threads | CPU ms/image | bytes/image | + buffers |"
    )
    print("|---:|---:|---:|---:|---:|---:|")
    for size in (64, 128, 256):
        single, spent = throughput(size, 1, options.seconds)
        several, _ = throughput(size, options.workers, options.seconds)
        image, buffers = disk(size)
        print(
            f"| {size} | {single:.1f} | {several:.1f} | {spent:.1f} | {image:,.0f} | {buffers:,.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
