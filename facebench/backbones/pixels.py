"""Numbers read from the pixels, without a network: sharpness, noise, skin tone, light, and JPEG quality.

Measures: properties of one image; no identity, gender, age or ethnicity.
Input: `face-pixels`: aligned crop `face112`, RGB, uint8; `image-pixels`: the whole image at its own size.
Arrays: `sharpness`, `noise`, `ita`, `hue`, `lightness`, `light_side` (n,) of faces; `jpeg_quality` (n,) of images.
Licence: Apache-2.0 (code of this project; there are no weights).
Papers: see `facebench.metrics.laplacian_variance`, `haar_noise`, `skin_tone` and `jpeg_quality`.
"""

from __future__ import annotations

import hashlib

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from facebench.backbones.base import Backbone, Crop, Image, WeightsUsed
from facebench.backbones.weights import WeightsSource
from facebench.metrics import haar_noise, jpeg_quality, laplacian_variance, skin_tone
from facebench.metrics.skin_tone import srgb_to_lab

FOREHEAD = (slice(22, 36), slice(42, 70))
LEFT_CHEEK = (slice(66, 84), slice(28, 44))
RIGHT_CHEEK = (slice(66, 84), slice(68, 84))
"""Rows and columns of skin in the aligned crop of 112 pixels: eyes at row 52, mouth at row 92, nose at column 56."""
_NO_WEIGHTS = hashlib.sha256(b"").hexdigest()


class Pixels(Backbone):
    """Numbers of one image; `preprocess` computes them, `embed` names them."""

    network = None

    def __init__(self, name: str) -> None:
        """Open one of the two: `face-pixels` or `image-pixels`."""
        self.name = name
        is_face = name == "face-pixels"
        self.crop: Crop = "face112" if is_face else "image"  # type: ignore[misc]
        self.preprocessing = "rgb-face112-forehead-cheeks-v1" if is_face else "rgb-full-size-v1"
        self.arrays = (
            ("sharpness", "noise", "ita", "hue", "lightness", "light_side") if is_face else ("jpeg_quality",)
        )
        self.weights = WeightsUsed("none", _NO_WEIGHTS, "Apache-2.0", verified=True, fingerprint="no weights")
        self.device = torch.device("cpu")

    def preprocess(self, image: Image) -> Tensor:
        """Return the numbers of one uint8 RGB image, float32, one for each array."""
        numbers = face_numbers(image) if self.name == "face-pixels" else (_jpeg_quality(image),)
        return torch.tensor(numbers, dtype=torch.float32)

    def embed(self, batch: Tensor) -> dict[str, npt.NDArray[np.float32]]:
        """Return the columns of stacked numbers by name."""
        columns = batch.cpu().numpy().astype(np.float32).T
        return {name: np.ascontiguousarray(column) for name, column in zip(self.arrays, columns, strict=True)}


def build(name: str, source: WeightsSource, device: str) -> Pixels:
    """Build `face-pixels` or `image-pixels`; both run on the CPU and have no weights."""
    return Pixels(name)


def face_numbers(crop: Image) -> tuple[float, ...]:
    """Return sharpness, noise, ITA, hue, lightness and side of the light of an aligned crop, uint8 (112, 112, 3).

    The side of the light is L* of the right cheek in the image minus L* of the left one.
    """
    grey = cv2.cvtColor(np.ascontiguousarray(crop), cv2.COLOR_RGB2GRAY)
    regions = [crop[part].reshape(-1, 3) for part in (FOREHEAD, LEFT_CHEEK, RIGHT_CHEEK)]
    tone = skin_tone(np.concatenate(regions))
    left, right = (float(np.median(srgb_to_lab(region)[:, 0])) for region in regions[1:])
    return (
        laplacian_variance(grey),
        haar_noise(grey),
        tone.ita,
        tone.hue,
        tone.lightness,
        right - left,
    )


def _jpeg_quality(image: Image) -> float:
    """Return the estimated quality of the luminance; NaN for images of less than 16 pixels."""
    if min(image.shape[:2]) < 16:
        return float("nan")
    return float(jpeg_quality(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)))
