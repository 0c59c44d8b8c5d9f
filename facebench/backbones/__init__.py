"""The networks: one per file, found by name."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from torch import Tensor

from facebench.backbones.base import Backbone, WeightsUsed
from facebench.backbones.weights import Given
from facebench.core.errors import InputError

# name -> module with a function `build(name, given, device) -> Backbone`; imported on first use.
_MODULES = {
    "sface": "sface",
    "sface-quality": "sface_quality",
    "lite0": "lite0",
    "inception-tf": "inception",
    "inception-clean": "inception",
    "inception-legacy": "inception",
    "clip-vitl14-336": "clip",
    "dinov2-vitl14": "dinov2",
    "dinov2-vitb14": "dinov2",
    "vgg16": "vgg16",
    "arcface-iresnet18": "arcface",
    "arcface-iresnet50": "arcface",
    "arcface-iresnet100": "arcface",
    "arcface-buffalo_l": "arcface",
    "arcface-antelopev2": "arcface",
    "crfiqa-s": "crfiqa",
    "crfiqa-l": "crfiqa",
    "crfiqa-s-bgr": "crfiqa",
    "emonet-8": "emonet",
    "emonet-5": "emonet",
    "emonet-8-flip": "emonet",
    "emonet-5-flip": "emonet",
    "maxvit-va": "maxvit",
    "maxvit-combined": "maxvit",
    "emotieff-b0": "emotieff",
    "emotieff-mbf": "emotieff",
    "deca": "deca",
    "emoca": "emoca",
    "headpose": "headpose",
    "headpose-id-booth": "headpose",
    "lpips": "lpips",
    "facereader": "facereader",
}


def names() -> tuple[str, ...]:
    """Names of all backbones, sorted."""
    return tuple(sorted(_MODULES))


def build(
    name: str, weights: str | Path | Mapping[str, Tensor] | None = None, device: str = "cpu"
) -> Backbone:
    """Build a backbone with its weights loaded strictly, in eval mode.

    Args:
        name: one of `names()`.
        weights: a checkpoint file (safetensors, a PyTorch file without code, or ONNX), a state dict with the
            official parameter names, or None for the registry (`facebench.backbones.weights`), which never fetches
            anything by itself.
        device: a torch device; ONNX networks run on the CPU.

    Raises:
        InputError: no such backbone.
        WeightsError: the weights are missing, damaged, unsafe or of another network.
    """
    if name not in _MODULES:
        close = difflib.get_close_matches(name, _MODULES, n=3)
        hint = f"Did you mean {' or '.join(close)}?" if close else f"There are: {', '.join(names())}."
        raise InputError(f"There is no backbone '{name}'. {hint}")
    module = importlib.import_module(f"facebench.backbones.{_MODULES[name]}")
    return cast(Backbone, module.build(name, Given.of(name, weights), device))


__all__ = ["Backbone", "WeightsUsed", "build", "names"]
