"""Speed of recogniser training, compared with the forward and backward passes alone.

    python benchmarks/recognition.py                              # ResNet-18 at 112 pixels
    python benchmarks/recognition.py --width 16 --size 56         # the network of the synthetic demo

The raw rate repeats network, loss and backward pass on one batch in memory, without data, optimizer, clipping, log or
checkpoints. Rates use CPU time of the training process, which does not depend on other work on the machine. On a GPU
they use wall time. The loading rate is that of the data workers alone.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from facebench import synthface
from facebench.training import presets
from facebench.training.data.loading import Loading, load_batches
from facebench.training.engine import loop
from facebench.training.engine.rng import StepRng
from facebench.training.tasks import registry

WARM = 2


def main() -> None:
    options = _options()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    clock = time.perf_counter if device == "cuda" else time.process_time
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        people = max(8, options.batch)
        synthface.write(root / "faces", identities=people, images=2, size=128, seed=5)
        content = presets.read(
            "resnet18-cosface",
            [f"network.width={options.width}", f"network.size={options.size}", f"batch_size={options.batch}",
             f"steps={options.steps + WARM}", f"precision={options.precision}"],
        )  # fmt: skip
        content |= {"data": {"kind": "folder", "path": root / "faces"}, "validation": None}
        prepared = registry.prepare("recognition", content, "benchmark")
        loading = _loading_rate(prepared, options.batch)  # also aligns the crops, as the first epoch does
        training = _training_rate(prepared, root / "run", device, clock)
        raw = _raw_rate(prepared, options.steps, device, clock)
    table = Table(
        "",
        "images/s",
        title=f"ResNet-18, width {options.width}, {options.size} px, batch {options.batch}, {device}",
    )
    table.add_row("loading alone, one worker (wall)", f"{loading:.0f}")
    table.add_row("raw forward + backward", f"{raw:.2f}")
    table.add_row("training", f"{training:.2f}")
    table.add_row("training / raw", f"{training / raw:.0%}")
    Console().print(table)


def _loading_rate(prepared: registry.Prepared, batch: int) -> float:
    faces = prepared.task.faces
    for index in range(len(faces)):
        faces.read(index)
    steps = max(4, 1024 // batch)
    batches = load_batches(faces, Loading(batch, workers=1), 0, steps)
    next(batches)
    began = time.perf_counter()
    seen = sum(len(part) for part in batches)
    return seen / (time.perf_counter() - began)


def _training_rate(prepared: registry.Prepared, out: Path, device: str, clock: Callable[[], float]) -> float:
    moments: list[float] = []

    def on_step(step: int, steps: int, losses: Mapping[str, float]) -> None:
        moments.append(clock())

    running = prepared.settings
    loop.fit(
        prepared.task,
        running,
        out,
        device=device,
        on_step=on_step,
        on_message=lambda _: None,
    )
    return running.batch_size * (len(moments) - WARM) / (moments[-1] - moments[WARM - 1])


def _raw_rate(prepared: registry.Prepared, steps: int, device: str, clock: Callable[[], float]) -> float:
    task, running = prepared.task, prepared.settings
    batch = next(load_batches(task.faces, Loading(running.batch_size), 0, 1)).to(device)
    rng = StepRng(0, 0, running.batch_size, batch.rows, device)
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(running.precision)
    task.network.train()
    for step in range(steps + WARM):
        if step == WARM:
            began = clock()
        with torch.autocast(device, half, enabled=half is not None):
            loss = task.losses(task.network, batch, rng)["loss"]
        loss.backward()
        task.network.zero_grad(set_to_none=True)
        float(loss.detach())
    return running.batch_size * steps / (clock() - began)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--precision", default="float32")
    return parser.parse_args()


if __name__ == "__main__":
    main()
