"""Memory and speed of the shape loss, by reader and number of faces.

    python benchmarks/shape_loss.py

One call of the term is measured: β of the clean faces without gradient, β of x̂₀, and the gradient of x̂₀. The memory is
that of all tensors created in between, in addition to the weights; it does not depend on the device. The seconds are
those of this machine's CPU with one thread. DECA's weights are random, which changes neither number.
"""

from __future__ import annotations

import statistics
import time

import torch
from counted_memory import Counted
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from facebench import backbones
from facebench.backbones.deca import OUTPUTS, CoarseEncoder
from facebench.training.losses.frozen_networks import DecaShape, FaceReaderShape, FrozenNetworks, ShapeNetwork
from facebench.training.losses.identity_losses import LossInputs, face_losses
from facebench.training.losses.loss_weights import LossWeights, ShapeLoss

MIB = 2**20
SIDE = 256
FACES = (1, 4, 8)
REPEATS = 3
WEIGHTS = LossWeights(shape=ShapeLoss(weight=1.0))
LANDMARKS = torch.tensor([[95.0, 110.0], [160.0, 110.0], [128.0, 150.0], [100.0, 185.0], [155.0, 185.0]])
BOX = torch.tensor([70.0, 60.0, 115.0, 150.0])


def readers() -> dict[str, tuple[ShapeNetwork, nn.Module]]:
    encoder = CoarseEncoder(OUTPUTS).eval().requires_grad_(False)
    compact = backbones.build("facereader").network
    assert isinstance(compact, nn.Module)
    return {
        "deca, emoca": (DecaShape(encoder), encoder),
        "facereader": (FaceReaderShape(compact), compact),
    }


def step(reader: ShapeNetwork, x_0: Tensor, x_0_hat: Tensor) -> None:
    count = len(x_0)
    landmarks, boxes = LANDMARKS.expand(count, 5, 2), BOX.expand(count, 4)
    inputs = LossInputs(x_0, x_0_hat, torch.zeros(count, dtype=torch.int64), landmarks, boxes)
    face_losses(WEIGHTS, FrozenNetworks(None, reader), inputs)["shape"].backward()


def main() -> None:
    torch.set_num_threads(1)
    table = Table("reader", "weights, MiB", "faces", "memory, MiB", "seconds")
    for name, (reader, network) in readers().items():
        size = sum(value.numel() * value.element_size() for value in network.parameters()) / MIB
        for faces in FACES:
            rng = torch.Generator().manual_seed(0)
            x_0, x_0_hat = (torch.rand(faces, 3, SIDE, SIDE, generator=rng) for _ in range(2))
            x_0_hat.requires_grad_()
            with Counted() as counted:
                step(reader, x_0, x_0_hat)
            seconds = []
            for _ in range(REPEATS):
                begin = time.perf_counter()
                step(reader, x_0, x_0_hat)
                seconds.append(time.perf_counter() - begin)
            table.add_row(
                name,
                f"{size:.0f}",
                str(faces),
                f"{counted.most / MIB:.0f}",
                f"{statistics.median(seconds):.2f}",
            )
    Console().print(table)


if __name__ == "__main__":
    main()
