"""Speed of autoencoder training, compared with the plain step, and cost of rendering.

    python benchmarks/training.py                                  # the preset diffae-64-synthface
    python benchmarks/training.py --size 128 --batch 32 --precision bf16 --compile --steps 40 --workers 8

Larger sizes are the official networks on rendered faces. Three variants alternate, so that other work on the machine
affects all of them: the plain step (forward, backward, optimizer) on a batch in memory, `loop.fit` on faces in memory,
and `loop.fit` on faces that worker processes render. Images/s use wall time. CPU time includes the training process and
not its workers.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from facebench.training import presets
from facebench.training.data.faces import Face, Faces
from facebench.training.data.loading import Loading, load_batches
from facebench.training.engine import loop
from facebench.training.engine.allocator import keep_freed_memory
from facebench.training.engine.optimizer import make_optimizer
from facebench.training.engine.rng import StepRng
from facebench.training.tasks import registry
from facebench.training.tasks.autoencoder import AutoencoderTask

PRESETS = {64: "diffae-64-synthface", 128: "diffae-128-ffhq", 256: "diffae-256-ffhq"}
WARM = 3
"""Steps before the measurement: a worker has two batches ready before the first step ends."""
SAMPLED = 8
"""Images of the DDIM measurement."""


class InMemory:
    """Repeat the first faces of a set, which are read once."""

    def __init__(self, faces: Faces, count: int) -> None:
        self.count = len(faces)
        self.kept = [faces.read(index) for index in range(count)]

    def __len__(self) -> int:
        return self.count

    def read(self, index: int) -> Face:
        """Return one of the faces in memory."""
        return self.kept[index % len(self.kept)]


@dataclass
class Spent:
    """Time of one variant over all its rounds."""

    images: int = 0
    wall: float = 0.0
    processor: float = 0.0
    marks: list[tuple[float, float]] = field(default_factory=list)

    def mark(self) -> None:
        """Record the time at the end of a step."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.marks.append((time.perf_counter(), time.process_time()))

    def add(self, first: int, last: int, batch: int) -> None:
        """Add the steps between two marks, then clear the marks."""
        (wall, processor), (wall_after, processor_after) = self.marks[first], self.marks[last]
        self.images += batch * len(self.marks[first:last])
        self.wall += wall_after - wall
        self.processor += processor_after - processor
        self.marks.clear()


def main() -> None:
    options = _options()
    # As in `fit`, so that the comparison is fair.
    keep_freed_memory()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    training = prepare_training(options, workers=0)
    rendering = prepare_training(options, workers=options.workers)
    bare = prepare_training(options, workers=0)
    rendered = rendering.task.faces
    began = time.process_time()
    memory = InMemory(rendered, 2 * options.batch)
    alone = 2 * options.batch / (time.process_time() - began)
    training.task.faces = bare.task.faces = memory
    step = bare_step(bare, device)
    spent = {name: Spent() for name in ("bare", "training", "rendering")}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(options.rounds):
            _repeat(step, spent["bare"], options)
            _fit(training, Path(folder) / f"training-{turn}", device, spent["training"])
            _fit(rendering, Path(folder) / f"rendering-{turn}", device, spent["rendering"])
    _show(options, device, spent, alone)
    _show_sampling(training, device)


def prepare_training(options: argparse.Namespace, workers: int) -> registry.Prepared:
    preset = PRESETS[options.size]
    steps = WARM + options.steps + 1
    # With a frozen encoder, as in the preset.
    start = "diffae-64-synthface" if options.size == 64 else "null"
    changes = [
        f"init_from={start}", "encoder=null", f"steps={steps}", f"batch_size={options.batch}",
        f"precision={options.precision}", f"compile={options.compile}", f"workers={workers}",
        "preview_images=1", "evaluate_every=null", f"sample_every={steps + 1}", f"checkpoint_every={steps + 1}",
    ]  # fmt: skip
    content = presets.read(preset, changes)
    data = {"kind": "synthface", "seed": 1, "render": max(128, options.size), "cache_renders": False}
    data["align"] = options.size == 64
    return registry.prepare("diffae", content | {"data": data}, preset)


def bare_step(prepared: registry.Prepared, device: str) -> Callable[[], None]:
    """Build a step of network, loss and optimizer, without data, clipping, EMA, log or checkpoints."""
    task, running = prepared.task, prepared.settings
    network = task.network.to(device).train()
    if device == "cpu":  # memory format of `fit`
        network = network.to(memory_format=torch.channels_last)
    if running.compile:
        for child in network.children():
            child.compile()
    optimiser = make_optimizer(running.optimizer, task.parameters())
    batch = next(load_batches(task.faces, Loading(running.batch_size), 0, 1)).to(device)
    rng = StepRng(0, 0, running.batch_size, batch.rows, device)
    half = running.precision == "bf16"

    def step() -> None:
        with torch.autocast(device, torch.bfloat16, enabled=half):
            loss = task.losses(network, batch, rng)["loss"]
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    return step


def _repeat(step: Callable[[], None], spent: Spent, options: argparse.Namespace) -> None:
    for _ in range(WARM + options.steps):
        step()
        spent.mark()
    spent.add(WARM - 1, -1, options.batch)


def _fit(prepared: registry.Prepared, out: Path, device: str, spent: Spent) -> None:
    running = prepared.settings
    loop.fit(
        prepared.task,
        running,
        out,
        device=device,
        on_step=lambda *_: spent.mark(),
        on_message=lambda _: None,
    )
    # The last step includes a preview and a checkpoint.
    spent.add(WARM - 1, -2, running.batch_size)


def _show(options: argparse.Namespace, device: str, spent: dict[str, Spent], alone: float) -> None:
    network = f"{PRESETS[options.size]}, batch {options.batch}, {options.precision}"
    compiled = ", compiled" if options.compile else ""
    table = Table(
        "", "images/s", "of the plain step", "per CPU second", "of the plain step",
        title=f"{network}{compiled}, {device}, {torch.get_num_threads()} threads, {options.workers} workers",
    )  # fmt: skip
    names = {
        "bare": "forward + backward + optimizer",
        "training": "training, faces in memory",
        "rendering": "training, faces rendered",
    }
    bare = spent["bare"]
    for name, title in names.items():
        own = spent[name]
        wall, processor = own.images / own.wall, own.images / own.processor
        table.add_row(
            title, f"{wall:.2f}", f"{wall * bare.wall / bare.images:.0%}",
            f"{processor:.2f}", f"{processor * bare.processor / bare.images:.0%}",
        )  # fmt: skip
    console = Console(width=140)
    console.print(table)
    console.print("target: training on faces in memory at 90 % of the plain step or more")
    costs = spent["rendering"].wall / spent["training"].wall - 1
    console.print(f"rendering makes a step {costs:.0%} longer than faces in memory; target: less than 15 %")
    console.print(f"rendering alone: {alone:.1f} images per CPU second")
    if device == "cuda":
        console.print(f"peak GPU memory: {torch.cuda.max_memory_allocated() / 2**20:,.0f} MiB")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    console.print(f"peak memory of the process, with three networks: {peak:,.0f} MiB")


def _show_sampling(prepared: registry.Prepared, device: str, steps: int = 20) -> None:
    task = prepared.task
    assert isinstance(task, AutoencoderTask)
    network = task.network.to(device).eval()
    x_0 = next(load_batches(task.faces, Loading(SAMPLED), 0, 1)).to(device).x_0
    encoding, decoding = Spent(), Spent()
    with torch.no_grad():
        z_sem = network.encode(x_0)
        for _ in range(2):
            encoding.mark()
            x_T = network.encode_stochastic(x_0, z_sem, steps)
            encoding.mark()
            decoding.mark()
            network.decode(x_T, z_sem, steps)
            decoding.mark()
            encoding.add(0, -1, SAMPLED)
            decoding.add(0, -1, SAMPLED)
    table = Table("DDIM", "images/s", "per CPU second", title=f"{steps} steps, batch size {SAMPLED}")
    for name, own in (("encode", encoding), ("decode", decoding)):
        table.add_row(name, f"{own.images / own.wall:.2f}", f"{own.images / own.processor:.2f}")
    Console(width=140).print(table)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, choices=sorted(PRESETS), default=64)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=4, help="measured steps of each round")
    parser.add_argument("--rounds", type=int, default=2, help="rounds of each variant")
    parser.add_argument("--workers", type=int, default=1, help="rendering processes")
    parser.add_argument("--precision", choices=["float32", "bf16"], default="float32")
    parser.add_argument("--compile", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
