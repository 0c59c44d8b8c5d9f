"""The result of an image does not depend on its position in a batch or on the other images, bit for bit."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from facebench.backbones import Backbone, build
from facebench.backbones.dinov2 import DinoVisionTransformer
from facebench.features.engine import fused_cpu
from tests.goldens.fill import fill
from tests.helpers.golden_networks import Golden, calmed


def golden(name: str, file: str, parameters: str = "parameters") -> Backbone:
    return build(name, Golden(file).state(parameters))


def transformer() -> Backbone:
    with torch.device("meta"):
        shapes = {
            key: tuple(value.shape) for key, value in DinoVisionTransformer(768, 12, 12).state_dict().items()
        }
    return build("dinov2-vitb14", fill(shapes, 1))


NETWORKS: dict[str, Callable[[], Backbone]] = {
    "residual": lambda: build(
        "arcface-iresnet18", calmed(Golden("arcface_iresnet").state("parameters iresnet18"))
    ),
    "hourglass": lambda: golden("emonet-8", "emonet", "parameters 8"),
    "encoder": lambda: golden("deca", "deca_encoder"),
    "windows": lambda: golden("maxvit-combined", "cage_maxvit", "parameters combined8"),
    "transformer": transformer,
    "quantised": lambda: build("sface"),
}


SIZES = {"windows": 8}
"""Batch sizes. The default of three leaves the last vector register of an activation incomplete, the harder case.
The SiLU of MaxViT rounds an incomplete register differently, so it is tested at the batch size of the engine."""


def golden_inputs(backbone: Backbone, size: int) -> Tensor:
    """Preprocessed golden images; the name of a crop ends in its side."""
    side = None if backbone.crop == "image" else int(backbone.crop.removeprefix("face"))
    images = Golden("emonet").images(size)
    return torch.stack([backbone.preprocess(image[:side, :side].copy()) for image in images])


@pytest.mark.parametrize("kind", NETWORKS)
def test_results_do_not_depend_on_position_or_other_images(kind: str) -> None:
    backbone = NETWORKS[kind]()
    batch = golden_inputs(backbone, SIZES.get(kind, 3))
    first = fused_cpu.embed(backbone, batch)
    moved = fused_cpu.embed(backbone, torch.stack([batch[-1], batch[0], *batch[2:].flip(-1)]))
    for array in first:
        assert first[array][0].tobytes() == moved[array][1].tobytes(), array
        assert first[array][-1].tobytes() == moved[array][0].tobytes(), array
        assert first[array][0].tobytes() != first[array][-1].tobytes(), array
