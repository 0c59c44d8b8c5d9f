"""Expression transfer with four affect networks and a recogniser: reads, crops, speed, and memory over time.

    python benchmarks/many_networks.py cold --transfers 1000 3000
    python benchmarks/many_networks.py stored --transfers 10000 100000
    python benchmarks/many_networks.py page

`cold` evaluates rendered faces of 128 pixels with YuNet, FaceReader, face-api, two small affect networks that are added
for the benchmark (in place of weights that cannot be downloaded), and SFace. Up to 1,000 transfers, it counts how often
each file is opened and each image is cropped; counting needs memory itself. `stored` fills the store with random
results, so that no network runs: it measures what grows with the number of transfers. Results are kept in
benchmarks/results/many_networks.json; `page` writes them into docs/performance.md.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import itertools
import json
import multiprocessing
import os
import queue
import resource
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image as Pillow
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine  # noqa: E402
from benchmarks.many_networks_page import write_page  # noqa: E402
from benchmarks.memory import anonymous_mb  # noqa: E402
from facebench import backbones, evaluate, synthface  # noqa: E402
from facebench.backbones.face_detection import Face  # noqa: E402
from facebench.evaluation.cards import load_cards  # noqa: E402
from facebench.features.engine import preparation  # noqa: E402
from facebench.features.engine.cache import (  # noqa: E402
    IMAGE,
    address_of,
    face_to_arrays,
    image_to_arrays,
    network_of,
)
from facebench.features.store.sqlite import Store  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "many_networks.json"
COUNTED = 1000
"""Largest number of transfers whose files and crops are counted."""
PEOPLE, PHOTOGRAPHS, TARGETS = 8, 20, 20
AFFECT = ("facereader", "faceapi-expression", "labone", "labtwo")
RECOGNISER = "sface"
FAMILIES = ("gap", "error", "bias", "ccc", "rmse", "sagr")
FACE = Face(
    (16.0, 16.0, 32.0, 32.0), np.array([[24, 28], [40, 28], [32, 36], [26, 42], [38, 42]], np.float32), 0.9
)
Encode = Callable[[int], bytes]
"""Bytes of the image with a number."""


@dataclass
class Measured:
    """What one evaluation took."""

    transfers: int = 0
    seconds: float = 0.0
    timings: dict[str, float] = field(default_factory=dict)
    """Seconds of the extraction ("features") and of metrics with intervals ("metrics")."""
    start_mb: float = 0.0
    """Anonymous memory after the imports."""
    peak_rss_mb: float = 0.0
    """Largest resident memory of the process, with libraries and mapped files."""
    curve: list[tuple[int, float, float]] = field(default_factory=list)
    """Transfers done, seconds, and anonymous memory in MB in addition to the start; 20 points."""
    stages: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    """First and last second, and largest anonymous memory in MB in addition to the start, by stage."""
    opened: dict[int, int] = field(default_factory=dict)
    """Number of files by how often each was opened; empty when it was not counted."""
    crops: dict[int, int] = field(default_factory=dict)
    """Number of pairs of image and crop by how often each was cut; empty when it was not counted."""
    cpu_seconds: float = 0.0
    """CPU time of all threads while the transfers were extracted."""
    load: float = 0.0
    """Running processes of the machine at the end."""

    @property
    def peak(self) -> float:
        """Largest anonymous memory in MB in addition to the start."""
        return max(memory for *_, memory in self.stages.values())

    @property
    def rate(self) -> float:
        """Transfers in a second while they were extracted."""
        first, last, _ = self.stages["generated"]
        return self.transfers / (last - first)


def add_networks(cache: Path) -> None:
    """Add two small affect networks with the crop of EmoNet and of MaxViT."""
    folder = cache / "networks"
    for name, crop, size in (("labone", "face256", 256), ("labtwo", "face224", 224)):
        (folder / name).mkdir(parents=True)
        torch.manual_seed(len(name))
        network = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 7, 4), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
            torch.nn.Linear(8, 10), torch.nn.Tanh(),
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            torch.jit.trace(network, torch.zeros(1, 3, size, size)).save(str(folder / name / "net.pt"))
        outputs = {"valence": {"columns": 0}, "arousal": {"columns": 1}}
        text = {"name": name, "file": f"{name}/net.pt", "crop": crop, "size": size, "outputs": outputs}
        (folder / f"{name}.yaml").write_text(json.dumps(text))


def write_transfers(folder: Path, count: int, encode: Encode) -> None:
    """Write photographs, targets, transfers of all combinations, and their manifest."""
    for name in ("albums", "targets", "made"):
        (folder / name).mkdir(parents=True)
    sources = [f"albums/p{person}_{k:02}" for person in range(PEOPLE) for k in range(PHOTOGRAPHS)]
    targets = [f"targets/{k:02}" for k in range(TARGETS)]
    numbers = itertools.count()
    for name in [*sources, *targets]:
        (folder / f"{name}.jpg").write_bytes(encode(next(numbers)))
    rows = []
    for k, (source, target) in enumerate(
        itertools.islice(itertools.cycle(itertools.product(sources, targets)), count)
    ):
        (folder / f"made/{k:06}.jpg").write_bytes(encode(next(numbers)))
        cell = f"cell{k // (len(sources) * len(targets))}"
        rows.append((f"made/{k:06}.jpg", f"{source}.jpg", f"{target}.jpg", source[7:9], cell))
    pd.DataFrame(rows, columns=["image", "source", "target", "identity", "model"]).to_csv(
        folder / "manifest.csv", index=False
    )


def metric_ids(*, noise: bool) -> list[str]:
    """Return the metrics of transfers that read these networks."""
    cards = load_cards().values()
    families = (*FAMILIES, "noise") if noise else FAMILIES
    affect = {f"{name}_{family}" for name in ("valence", "arousal") for family in families}
    chosen = [
        card.id
        for card in cards
        if (card.reads.backbone in AFFECT and card.id.rpartition("_")[0] in affect)
        or (
            card.reads.backbone == RECOGNISER
            and card.id.startswith(("identity_similarity", "identity_verified"))
        )
    ]
    return [*chosen, "face_found"]


def rendered(size: int = 128) -> Encode:
    """Return rendered faces as JPEG, each with its own noise."""
    model = synthface.FaceModel()
    faces = model.render(model.sample(16, seed=0), size)

    def encode(number: int) -> bytes:
        rng = np.random.default_rng(number)
        noisy = faces[number % len(faces)] + rng.normal(0, 2, faces[0].shape)
        return _jpeg(noisy.round().clip(0, 255).astype(np.uint8))

    return encode


def noise(number: int) -> bytes:
    """Return a small random image."""
    return _jpeg(np.random.default_rng(number).integers(0, 256, (64, 64, 3), np.uint8))


def _jpeg(pixels: Any) -> bytes:
    stream = io.BytesIO()
    Pillow.fromarray(pixels).save(stream, "JPEG", quality=92)
    return stream.getvalue()


def fill_store(folder: Path) -> None:
    """Store random results of every network for all images of a folder."""
    networks = [backbones.build(name) for name in (*AFFECT, RECOGNISER)]
    finder, rng = backbones.detector("yunet"), np.random.default_rng(0)
    store, results = Store(), []
    for path in sorted(folder.rglob("*.jpg")):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        results.append((IMAGE, address_of(digest), image_to_arrays((64, 64), [])))
        results.append((network_of(finder), address_of(digest), face_to_arrays(FACE)))
        for network in networks:
            arrays = {name: _random(network.name, name, rng) for name in network.arrays}
            results.append((network_of(network), address_of(digest, FACE), arrays))
        if len(results) > 5000:
            store.put(results)
            results = []
    store.put(results)
    store.close()


def _random(network: str, name: str, rng: np.random.Generator) -> Any:
    if name == "embedding":
        vector = rng.standard_normal(128)
        return (vector / np.linalg.norm(vector)).astype(np.float32)
    classes = (7,) if network == "faceapi-expression" else (8,)
    widths = {"expression": classes, "probability": classes, "exp": (52,), "shape": (30,), "pose": (3,)}
    return rng.uniform(-1, 1, widths.get(name, ())).astype(np.float32)


@contextmanager
def counted(folder: Path, measured: Measured) -> Iterator[None]:
    """Count how often files of a folder are opened, and how often each crop of an image is cut."""
    opened: Counter[str] = Counter()
    crops: Counter[tuple[str, str]] = Counter()
    cut, active = preparation.crop, True

    def on_event(event: str, arguments: tuple[Any, ...]) -> None:
        if active and event == "open" and str(arguments[0]).startswith(str(folder)):
            opened[str(arguments[0])] += 1

    def counting(kind: Any, image: Any, face: Face) -> Any:
        crops[kind, hashlib.sha256(image.tobytes()).hexdigest()] += 1
        return cut(kind, image, face)

    sys.addaudithook(on_event)
    preparation.crop = counting
    try:
        yield
    finally:
        active, preparation.crop = False, cut
        measured.opened = dict(Counter(count for name, count in opened.items() if name.endswith(".jpg")))
        measured.crops = dict(Counter(crops.values()))


@contextmanager
def watched(measured: Measured, now: list[Any]) -> Iterator[None]:
    """Record the memory of every stage, and at 20 points of the transfers. What is kept does not grow."""
    measured.start_mb = anonymous_mb()
    start, running = time.perf_counter(), True

    def watch() -> None:
        first_cpu = None
        while running:
            (stage, done), seconds = now, time.perf_counter() - start
            memory = anonymous_mb() - measured.start_mb
            first, _, peak = measured.stages.get(stage, (seconds, seconds, 0.0))
            measured.stages[stage] = (first, seconds, max(peak, memory))
            if stage == "generated":
                first_cpu = time.process_time() if first_cpu is None else first_cpu
                measured.cpu_seconds = time.process_time() - first_cpu
            reached = measured.curve[-1][0] if measured.curve else 0
            if stage == "generated" and done > reached and done - reached >= measured.transfers // 20:
                measured.curve.append((done, seconds, memory))
            time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        running = False
        watcher.join()
        measured.seconds = time.perf_counter() - start
        measured.peak_rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        measured.load = round(os.getloadavg()[0], 1)


def evaluated(work: Path, count: int, is_cold: bool, answer: multiprocessing.Queue[Measured]) -> None:
    """Evaluate the manifest in this process, and return what it took."""
    os.environ["FACEBENCH_CACHE"] = str(work / "cache")
    measured, now = Measured(count), ["start", 0]
    options = {"protocol": "expression-transfer", "metrics": metric_ids(noise=is_cold), "domain": "rendered"}
    counting = counted(work / "set", measured) if is_cold and count <= COUNTED else nullcontext()

    def progress(stage: str, done: int, total: int | None) -> None:
        now[:] = stage, done

    with watched(measured, now):
        with counting:
            run = evaluate(work / "set" / "manifest.csv", progress=progress, **options)
        now[:] = "save", 0
        run.save(work / "run")
    measured.timings = run.timings
    answer.put(measured)


def measure(count: int, *, is_cold: bool, folder: str | None) -> Measured:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        work = Path(name).resolve()
        os.environ["FACEBENCH_CACHE"] = str(work / "cache")
        add_networks(work / "cache")
        write_transfers(work / "set", count, rendered() if is_cold else noise)
        if not is_cold:
            fill_store(work / "set")
        context = multiprocessing.get_context("spawn")
        answer: multiprocessing.Queue[Measured] = context.Queue()
        process = context.Process(target=evaluated, args=(work, count, is_cold, answer))
        process.start()
        while True:
            try:
                measured = answer.get(timeout=1)
                break
            except queue.Empty:
                if process.exitcode:
                    raise SystemExit("the evaluation failed; the traceback is above") from None
        process.join()
        return measured


def stage_table(measured: Measured) -> Table:
    """Return the memory at the points of the curve, and the peak of every stage."""
    table = Table("stage", "images done", "seconds", "MB in addition to the start")
    for done, seconds, memory in measured.curve[::2]:
        table.add_row("generated", f"{done:,}", f"{seconds:.1f}", f"{memory:.0f}")
    for stage, (_, last, memory) in measured.stages.items():
        table.add_row(f"{stage}, peak", "", f"{last:.1f}", f"{memory:.0f}")
    return table


def kept(part: str, measured: Measured) -> None:
    """Add a measurement to the results."""
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    results["machine"] = machine()
    entry = asdict(measured) | {"peak_mb": measured.peak, "rate": measured.rate}
    results.setdefault(part, {})[str(measured.transfers)] = entry
    rounded = json.loads(json.dumps(results), parse_float=lambda text: round(float(text), 3))
    RESULTS.write_text(json.dumps(rounded, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=["cold", "stored", "page"])
    parser.add_argument("--transfers", type=int, nargs="+", default=[1000])
    parser.add_argument("--folder", help="folder of the temporary files")
    arguments = parser.parse_args()
    if arguments.part == "page":
        write_page(json.loads(RESULTS.read_text(encoding="utf-8")), ROOT / "docs" / "performance.md")
        return
    console = Console(width=120)
    for count in arguments.transfers:
        measured = measure(count, is_cold=arguments.part == "cold", folder=arguments.folder)
        kept(arguments.part, measured)
        console.print(f"{count:,} transfers: {measured.seconds:.1f} s, {measured.timings}")
        console.print(
            f"{measured.rate:.1f} transfers/s while they were extracted, {measured.cpu_seconds:.1f} s of CPU time"
        )
        if measured.opened:
            console.print(f"files by how often they were opened: {dict(sorted(measured.opened.items()))}")
            console.print(f"crops by how often they were cut: {dict(sorted(measured.crops.items()))}")
        console.print(
            f"peak: {measured.peak:.0f} MB in addition to {measured.start_mb:.0f} MB at the start; resident memory "
            f"{measured.peak_rss_mb:.0f} MB"
        )
        console.print(stage_table(measured))


if __name__ == "__main__":
    main()
