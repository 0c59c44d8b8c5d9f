"""Peak memory of complete evaluations: reading, store, features and metrics.

    python benchmarks/memory_evaluate.py [--images 1000 10000]

Random features are stored under the digests of small noise images, so the networks do not run. Only anonymous memory is
counted, in addition to that of the imports.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.memory import anonymous_mb  # noqa: E402
from facebench import backbones, evaluate  # noqa: E402
from facebench.features.engine.cache import IMAGE, address_of, image_to_arrays, network_of  # noqa: E402
from facebench.features.store.sqlite import Store  # noqa: E402

METRICS = ["fd_lite0", "kd_lite0", "mmd_lite0", "precision_lite0", "recall_lite0"]


def make_folder(folder: Path, store: Store, count: int, seed: int) -> None:
    """Write different small images, and store random features of lite0 for them."""
    folder.mkdir()
    network = network_of(backbones.build("lite0"))
    rng = np.random.default_rng(seed)
    results = []
    for number in range(count):
        file = io.BytesIO()
        Pillow.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)).save(file, "BMP")
        (folder / f"{number:06}.bmp").write_bytes(file.getvalue())
        address = address_of(hashlib.sha256(file.getvalue()).hexdigest())
        features = {"features": rng.standard_normal(1280, dtype=np.float32)}
        results += [(network, address, features), (IMAGE, address, image_to_arrays((64, 64), []))]
        if len(results) >= 1000:
            store.put(results)
            results = []
    store.put(results)


def measured(work: Path, answer: multiprocessing.Queue[tuple[float, float, dict[str, float]]]) -> None:
    """Evaluate, and return the peak of anonymous memory in MB, the wall time in seconds, and the timings."""
    os.environ["FACEBENCH_CACHE"] = str(work)
    before, highest, running = anonymous_mb(), 0.0, True

    def watch() -> None:
        nonlocal highest
        while running:
            highest = max(highest, anonymous_mb() - before)
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    run = evaluate(work / "generated", work / "reference", metrics=METRICS)
    running = False
    watcher.join()
    answer.put((highest, time.perf_counter() - start, run.timings))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 10000])
    table = Table(
        "images in each folder", "peak MB in addition to the start", "seconds", "seconds of features"
    )
    for n in parser.parse_args().images:
        with tempfile.TemporaryDirectory() as folder:
            store = Store(Path(folder) / "store")
            for seed, name in enumerate(("generated", "reference")):
                make_folder(Path(folder) / name, store, n, seed)
            store.close()
            context = multiprocessing.get_context("spawn")
            answer = context.Queue()
            process = context.Process(target=measured, args=(Path(folder), answer))
            process.start()
            peak, seconds, timings = answer.get()
            process.join()
        table.add_row(f"{n:,}", f"{peak:.0f}", f"{seconds:.1f}", f"{timings['features']:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
