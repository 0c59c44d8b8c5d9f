"""Peak memory of whole evaluations: reading, the store, features and metrics together.

    python benchmarks/memory_evaluate.py [--images 1000 10000]

Features are drawn at random and put into a store beforehand, under the digests of small noise images: what is
measured is an evaluation whose networks have run already. Counted is anonymous memory above that of the imports.
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
    """Small images that are all different, and what lite0 is said to have answered to them."""
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
    """Evaluate, and say the peak of anonymous memory in MB and the seconds it took."""
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
    table = Table("images in each folder", "peak MB above the start", "seconds", "of them features")
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
