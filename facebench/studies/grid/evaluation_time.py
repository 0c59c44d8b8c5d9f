"""Seconds that an evaluation takes for each image, measured with the networks at hand."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facebench.backbones.base import Backbone

CROP_SIDES = {"face112": 112, "face150": 150, "face224": 224, "face256": 256}
"""Pixels per side of the crops."""
UNMEASURED_SECONDS = 0.1
"""Seconds of one image in a network without weights on this machine: EmoNet or MaxViT on one processor core."""
_IMAGES = 2


@dataclass(frozen=True)
class EvaluationTime:
    """Time of one image.

    Attributes:
        seconds: of face detection and all networks.
        unmeasured: networks without weights here, for which `UNMEASURED_SECONDS` is assumed.
    """

    seconds: float
    unmeasured: tuple[str, ...] = ()


def evaluation_time(networks: Sequence[str], size: int) -> EvaluationTime:
    """Time face detection and every network on two random images.

    Args:
        networks: names of the networks of the evaluation.
        size: pixels per side of the images.
    """
    from facebench.backbones import build, detector
    from facebench.backbones.weights import suite_ready
    from facebench.core.environment import choose_device

    device = choose_device("auto")
    unmeasured = [name for name in networks if suite_ready([name])]
    finder, image = detector("yunet"), _random(size)
    finder.find(image)
    start = time.perf_counter()
    finder.find(image)
    seconds = time.perf_counter() - start + UNMEASURED_SECONDS * len(unmeasured)
    for name in networks:
        if name not in unmeasured:
            seconds += _network_seconds(build(name, device=device), size)
    return EvaluationTime(seconds, tuple(unmeasured))


def _network_seconds(backbone: Backbone, size: int) -> float:
    """Return the seconds of one image, of the second of two batches."""
    import torch

    crop = _random(CROP_SIDES.get(backbone.crop, size))
    seconds = 0.0
    for _ in range(2):
        start = time.perf_counter()
        backbone.embed(torch.stack([backbone.preprocess(crop) for _ in range(_IMAGES)]))
        seconds = (time.perf_counter() - start) / _IMAGES
    return seconds


def _random(side: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
