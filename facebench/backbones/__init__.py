"""Pretrained networks, one a file, built by name. Importing this package does not import torch."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from facebench.core.errors import InputError
from facebench.core.suggest import suggest

if TYPE_CHECKING:
    from torch import Tensor

    from facebench.backbones.base import Backbone, WeightsUsed
    from facebench.backbones.face_detector import FaceDetector
    from facebench.backbones.weights import WeightsSource

__all__ = ["DETECTORS", "Backbone", "WeightsUsed", "build", "detector", "names"]

# Name of a backbone -> module with `build(name, source, device) -> Backbone`, imported on first use.
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
    "faceapi-expression": "faceapi_expression",
    "faceapi-recognition": "faceapi_recognition",
    "face-pixels": "pixels",
    "image-pixels": "pixels",
    "image-thumbnail": "thumbnail",
}
DETECTORS = ("yunet", "mtcnn")
"""Names of the face detectors."""


def names() -> tuple[str, ...]:
    """Return the names of all backbones, sorted."""
    from facebench.backbones.own_networks import own_networks

    return tuple(sorted({*_MODULES, *own_networks()}))


def build(
    name: str, weights: str | Path | Mapping[str, Tensor] | None = None, device: str = "cpu"
) -> Backbone:
    """Build a backbone in eval mode and load its weights strictly.

    Args:
        name: one of `names()`.
        weights: a file (safetensors, a PyTorch file without code, or ONNX), a state dict with the official
            parameter names, or None for the files of the registry. Nothing is downloaded:
            `facebench weights fetch` does that.
        device: a torch device. ONNX networks run on the CPU.

    Returns:
        The backbone: `.network` (an `nn.Module`, None for ONNX), `.preprocess(image)` and `.embed(batch)`.

    Raises:
        InputError: the backbone is unknown.
        WeightsError: the weights are missing, damaged, unsafe or belong to another network.
    """
    from facebench.backbones.own_networks import own_networks
    from facebench.backbones.weights import WeightsSource

    if name not in _MODULES and name in own_networks():
        from facebench.backbones.own_backbone import build_own

        return build_own(own_networks()[name], device)
    if name not in _MODULES:
        raise InputError(f"'{name}' is not a backbone. {suggest(name, names())}")
    return build_from(WeightsSource.of(name, weights), device)


def build_from(source: WeightsSource, device: str = "cpu") -> Backbone:
    """Build the backbone that located weights belong to.

    Raises:
        WeightsError: the weights are damaged, unsafe or belong to another network.
    """
    module = importlib.import_module(f"facebench.backbones.{_MODULES[source.name]}")
    return cast("Backbone", module.build(source.name, source, device))


def detector(name: str = "yunet") -> FaceDetector:
    """Build a face detector, which runs on the CPU.

    Args:
        name: "yunet" or "mtcnn".

    Returns:
        The detector. `.all(image)` returns every face with `box`, `score` and five `landmarks`. `.find(image)`
        returns one face: the largest and most central one of YuNet, the largest one of MTCNN.

    Raises:
        InputError: the detector is unknown.
        WeightsError: the detector's weights are missing or damaged.
    """
    if name not in DETECTORS:
        raise InputError(f"'{name}' is not a face detector. {suggest(name, DETECTORS)}")
    if name == "mtcnn":
        from facebench.backbones.mtcnn import Mtcnn

        return Mtcnn()
    from facebench.backbones.face_detection import FaceFinder

    return FaceFinder()


def __getattr__(name: str) -> Any:
    if name in ("Backbone", "WeightsUsed"):
        return getattr(importlib.import_module("facebench.backbones.base"), name)
    if name == "weights":
        return importlib.import_module("facebench.backbones.weights")
    raise AttributeError(f"module 'facebench.backbones' has no attribute {name!r}")
