"""Speed of ZIP, TAR, Parquet, LMDB and arrays in memory against a folder, and the overhead of the training callback.

    python benchmarks/sources.py --images 50000

All sources hold the same small PNG files; arrays in memory hold their pixels. Every image is listed, read and decoded
by one thread, without a network, so nothing hides the cost of the source. Each source is timed in turn, several times,
and ratios to the folder are taken within one round. The callback is timed around a sampler and an evaluation.
"""

from __future__ import annotations

import argparse
import functools
import io
import json
import os
import statistics
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image as Pillow
from rich.console import Console
from rich.table import Table

from facebench.features.extraction import extract
from facebench.images.decoding import decode
from facebench.images.image_set import ImageSet, read
from facebench.images.sources.memory import images_in_memory

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))


def make_pixels(count: int, side: int) -> np.ndarray:
    """Return shifted crops of the golden images."""
    paths = sorted((ROOT / "tests/goldens/images/a").iterdir())
    faces = [np.asarray(Pillow.open(path).convert("RGB").resize((side, side))) for path in paths]
    rng = np.random.default_rng(0)
    return np.stack(
        [np.roll(faces[i % len(faces)], rng.integers(side, size=2), axis=(0, 1)) for i in range(count)]
    )


def write_sources(work: Path, pixels: np.ndarray) -> dict[str, Callable[[], ImageSet]]:
    """Write every source, and return how it is opened."""
    files = {}
    for i, image in enumerate(pixels):
        out = io.BytesIO()
        Pillow.fromarray(image).save(out, "PNG")
        files[f"{i:06d}.png"] = out.getvalue()
    (work / "folder").mkdir()
    with zipfile.ZipFile(work / "a.zip", "w") as archive, tarfile.open(work / "a.tar", "w") as tar:
        for name, data in files.items():
            (work / "folder" / name).write_bytes(data)
            archive.writestr(name, data)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    cells = [{"bytes": data, "path": name} for name, data in files.items()]
    pq.write_table(pa.table({"image": cells}), work / "a.parquet", row_group_size=1000)
    write_lmdb(work / "lmdb", files)
    paths = {
        "folder": work / "folder",
        "ZIP": work / "a.zip",
        "TAR": work / "a.tar",
        "Parquet": work / "a.parquet",
        "LMDB": work / "lmdb",
    }
    opened: dict[str, Callable[[], ImageSet]] = {
        name: (lambda path=path: ImageSet.open(path)) for name, path in paths.items()
    }
    return opened | {"in memory": lambda: images_in_memory(pixels)}


def write_lmdb(path: Path, files: dict[str, bytes]) -> None:
    import lmdb

    with lmdb.open(str(path), map_size=2**34) as database, database.begin(write=True) as transaction:
        for i, data in enumerate(files.values()):
            transaction.put(f"32-{i:05d}".encode(), data)
        transaction.put(b"length", str(len(files)).encode())


def read_all(open_source: Callable[[], ImageSet]) -> None:
    for item in open_source().items:
        decode(read(item), item.name)


def extract_all(open_source: Callable[[], ImageSet]) -> None:
    """Read through the extraction, which also computes digests."""
    extract(open_source(), [], store=None)


def clock(action: Callable[[], Any]) -> float:
    """Return the CPU time of this process in seconds, which other processes disturb less than the wall time."""
    before = time.process_time()
    action()
    return time.process_time() - before


def compare(count: int, side: int, rounds: int, console: Console) -> dict[str, dict[str, float]]:
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        sources = write_sources(Path(folder), make_pixels(count, side))
        for what, action in (("list, read, decode", read_all), ("extraction", extract_all)):
            seconds: dict[str, list[float]] = {name: [] for name in sources}
            for _ in range(rounds):
                for name, source in sources.items():
                    seconds[name].append(clock(functools.partial(action, source)))
            table = Table(
                f"{what}, {count:,} images of {side} px", "CPU s", "ratio to the folder", "images/s"
            )
            results[what] = {}
            for name, times in seconds.items():
                ratios = [a / b for a, b in zip(times, seconds["folder"], strict=True)]
                ratio = results[what][name] = statistics.median(ratios)
                best = min(times)
                table.add_row(name, f"{best:.2f}", f"{ratio:.3f}", f"{count / best:,.0f}")
            console.print(table)
    return results


def callback_overhead(count: int, console: Console) -> dict[str, float]:
    """Time the callback without the sampler and without the evaluation of the same images."""
    from facebench.training.engine.callbacks.periodic import PeriodicEvaluation, Schedule

    pixels = make_pixels(count, 128)
    spent: dict[str, list[float]] = {"sampler": [], "evaluation": []}

    def timed(name: str, action: Callable[..., Any]) -> Callable[..., Any]:
        def run(*words: Any, **named: Any) -> Any:
            before = time.process_time()
            answer = action(*words, **named)
            spent[name].append(time.process_time() - before)
            return answer

        return run

    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FACEBENCH_CACHE"] = f"{folder}/cache"
        made = PeriodicEvaluation(
            timed("sampler", lambda model, k: pixels[rng.integers(len(pixels), size=k)]),
            Schedule(1),
            count,
            Path(folder) / "out",
            {"reference": pixels, "suite": "compact", "name": "model"},
        )
        made._evaluator.compute = timed("evaluation", made._evaluator.compute)  # type: ignore[method-assign]
        total = [clock(functools.partial(made.evaluate, step, None)) for step in range(1, 4)]
    batches = len(spent["sampler"]) // 3
    table = Table(f"callback, {count} images", "CPU s", "sampler", "evaluation", "overhead")
    shares = []
    for i, seconds in enumerate(total):
        sampler = sum(spent["sampler"][i * batches : (i + 1) * batches])
        evaluation = spent["evaluation"][i]
        shares.append((seconds - sampler - evaluation) / evaluation)
        table.add_row(
            f"evaluation {i + 1}",
            f"{seconds:.2f}",
            f"{sampler:.3f}",
            f"{evaluation:.2f}",
            f"{shares[-1]:.2%}",
        )
    console.print(table)
    return {"callback overhead": statistics.median(shares)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--side", type=int, default=32, help="pixels per side (default: 32)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--evaluated", type=int, default=500, help="images of the callback (default: 500)")
    parser.add_argument("--part", choices=["sources", "callback", "all"], default="all")
    parser.add_argument("--json", type=Path, help="file for the ratios")
    given = parser.parse_args()
    console = Console()
    results: dict[str, Any] = {}
    if given.part != "callback":
        results |= compare(given.images, given.side, given.rounds, console)
    if given.part != "sources":
        results |= callback_overhead(given.evaluated, console)
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
