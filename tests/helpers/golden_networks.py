"""Goldens of networks: recorded outputs, with their parameters and input images."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image as PillowImage
from torch import Tensor

from facebench.backbones import Backbone
from tests.helpers.paths import GOLDENS_FOLDER

GOLDENS = GOLDENS_FOLDER
sys.path.insert(0, str(GOLDENS))
from fill import fill  # noqa: E402

State = dict[str, Tensor]


class Golden:
    """One golden: `golden["array"]` is a recorded array, `golden.facts` the manifest."""

    def __init__(self, name: str) -> None:
        self.facts: dict[str, Any] = json.loads((GOLDENS / f"{name}.json").read_text("utf-8"))
        self._arrays = np.load(GOLDENS / f"{name}.npz")

    def __getitem__(self, array: str) -> npt.NDArray[Any]:
        return self._arrays[array]

    def state(self, parameters: str = "parameters") -> State:
        """The filled parameters listed under a key of the manifest."""
        shapes = {key: tuple(shape) for key, shape in self.facts[parameters]}
        return fill(shapes, self.facts["seed"])

    def images(self, count: int) -> list[npt.NDArray[np.uint8]]:
        """The first input images, uint8 RGB."""
        return [read(name) for name in self.facts["images"]["files"][:count]]


def read(name: str) -> npt.NDArray[np.uint8]:
    return np.asarray(PillowImage.open(GOLDENS / "images" / name).convert("RGB"))


def scaled(state: State, factor: float, which: Callable[[str, Tensor], bool]) -> State:
    """The state with some parameters scaled, as for the recorded outputs."""
    return {key: value * factor if which(key, value) else value for key, value in state.items()}


def calmed(state: State) -> State:
    """The state of an IResNet with scaled-down residual branches."""
    return scaled(state, 0.1, lambda key, _: key.endswith(".bn3.weight"))


def stand_in_crops(golden: Golden, count: int) -> list[npt.NDArray[np.uint8]]:
    """The 112 x 112 crops of the IResNet goldens: the centre without a tenth at each side."""
    crops = []
    for image in golden.images(count):
        width = image.shape[1]
        away = round(0.1 * width)
        inner = PillowImage.fromarray(image[away : width - away, away : width - away])
        crops.append(np.asarray(inner.resize((112, 112), PillowImage.Resampling.BICUBIC)))
    return crops


def answers(
    backbone: Backbone, images: Sequence[npt.NDArray[np.uint8]]
) -> dict[str, npt.NDArray[np.float32]]:
    return backbone.embed(torch.stack([backbone.preprocess(image) for image in images]))


def agrees(found: npt.ArrayLike, recorded: npt.NDArray[Any], rows: int | None = None) -> None:
    """Whether values agree within rtol 1e-3 and atol 1e-3 of the recorded deviation, as the manifests allow."""
    atol = 1e-3 * float(np.std(recorded, dtype=np.float64))
    np.testing.assert_allclose(found, recorded[:rows], rtol=1e-3, atol=atol)
