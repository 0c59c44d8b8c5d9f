"""Physical buffers: images/s, bytes per image, and overhead of the training loop of DiffusionRig.

    python benchmarks/buffers.py

Buffers of synthetic faces are rendered, compressed and written. Buffers of photographs need the files of DECA and
FLAME, and are measured if these are present. Training compares the preset rig-64-synthface with the same network and
optimizer in a plain loop over one batch in memory. Speeds are per second of CPU time, which does not depend on other
work on the machine. Training uses one thread.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch

from facebench import synthface
from facebench.core.errors import WeightsError
from facebench.training import presets
from facebench.training.diffusion import p2_weight, training_loss
from facebench.training.engine import loop
from facebench.training.rig.buffers import BufferSet, write_buffers
from facebench.training.rig.buffers.dataset import pictures_of
from facebench.training.tasks import registry
from facebench.training.tasks.rig import BaseRigTask

PLANES = 12  # numbers per pixel of the photo and its buffers


def measure_buffers(faces: Path, folder: Path, source: str, size: int) -> None:
    start = time.process_time()
    made = write_buffers(faces, folder, source=source, size=size)
    seconds = time.process_time() - start
    pictures = sum(pictures_of(folder, part).stat().st_size for part in range(made.about.parts)) / len(made)
    start = time.process_time()
    for index in range(len(made)):
        made.read(index)
    read = len(made) / (time.process_time() - start)
    print(
        f"{source:10} {size:4} px   written {len(made) / seconds:6.1f} images/s   read {read:7.1f} images/s   "
        f"{made.bytes / len(made):9,.0f} bytes per image "
        f"(pictures {pictures:,.0f}; as float32 {PLANES * size * size * 4:,})"
    )


def loop_speed(buffers: Path, out: Path, steps: int, batch: int) -> float:
    changes = [f"data={buffers}", f"steps={steps}", f"batch_size={batch}", "workers=0", "evaluate_every=null"]
    content = presets.read(
        "rig-64-synthface", [*changes, f"sample_every={steps + 1}", f"checkpoint_every={steps}"]
    )
    prepared = registry.prepare("rig", content, "rig-64-synthface")
    ends: list[float] = []
    # The last step includes a preview, so it is not counted.
    loop.fit(
        prepared.task, prepared.settings, out, device="cpu",
        on_step=lambda *_: ends.append(time.process_time()), on_message=lambda _: None,
    )  # fmt: skip
    return (len(ends) - 2) * batch / (ends[-2] - ends[0])


def raw_speed(buffers: Path, steps: int, batch: int) -> float:
    content = presets.read("rig-64-synthface", [f"data={buffers}", f"batch_size={batch}"])
    task = registry.prepare("rig", content, "rig-64-synthface").task
    assert isinstance(task, BaseRigTask)
    network, optimiser = task.network, torch.optim.Adam(task.network.parameters(), 1e-4)
    x_0, conditions = torch.rand(batch, 3, 64, 64) * 2 - 1, torch.rand(batch, 9, 64, 64)
    times: list[float] = []
    for _ in range(steps):
        t = torch.randint(1000, (batch,))
        denoiser = network.driven_by(conditions)
        loss = p2_weight(t) * training_loss(denoiser, x_0, t, torch.randn_like(x_0), network.encode(x_0))
        loss.mean().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        times.append(time.process_time())
    return (steps - 1) * batch / (times[-1] - times[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--steps", type=int, default=12)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        faces = synthface.write(folder / "faces", options.images // 4, 4, 256).parent
        for source in ("synthface", "deca", "emoca"):
            for size in (64, 256):
                try:
                    measure_buffers(faces, folder / f"{source}-{size}", source, size)
                except WeightsError as error:
                    print(f"{source:10} {size:4} px   not measured: {str(error).splitlines()[0]}")
        buffers = folder / "synthface-64"
        assert len(BufferSet(buffers)) == options.images
        raw, whole = (
            raw_speed(buffers, options.steps, 8),
            loop_speed(buffers, folder / "run", options.steps, 8),
        )
        print(
            f"training   64 px   raw network {raw:.2f} images/s   facebench train {whole:.2f} ({whole / raw:.2f})"
        )


if __name__ == "__main__":
    main()
