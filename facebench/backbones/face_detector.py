"""Interface of a face detector."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from facebench.backbones.base import WeightsUsed
from facebench.backbones.face_alignment import Face
from facebench.images.decoding import Image


class FaceDetector(ABC):
    """A face detector on the CPU. One object may be shared by threads.

    Attributes:
        name: name of the detector, as `facebench.backbones.detector` takes it.
        preprocessing: identifier of its rules, part of the feature store's key.
        weights: weights of the detector.
        runs_modules: whether it runs modules of torch.
    """

    name: ClassVar[str]
    preprocessing: ClassVar[str]
    weights: WeightsUsed
    runs_modules: ClassVar[bool] = False

    @abstractmethod
    def all(self, image: Image) -> list[Face]:
        """Return every face in an image, uint8 (height, width, 3) RGB; the selected face first."""

    def find(self, image: Image) -> Face | None:
        """Return the selected face, the first of `all`; None without a detection."""
        faces = self.all(image)
        return faces[0] if faces else None
