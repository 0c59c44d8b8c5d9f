"""Finding the face in an image (YuNet), and the crops that networks read."""

from __future__ import annotations

import math
import threading

import cv2
import numpy as np

from facebench.backbones.base import WeightsUsed
from facebench.backbones.face_alignment import Face, align, crop, similarity
from facebench.backbones.weights import resolve
from facebench.images.decoding import Image

THRESHOLD = 0.5
OVERLAP = 0.3
CANDIDATES = 5000
LOOKS = (320, 1280)


class FaceFinder:
    """YuNet (Wu et al. 2023) through OpenCV, on the CPU; may be shared by threads.

    Large images are shrunk to a longer side of 320 pixels by averaging areas; small ones are never
    enlarged. When no face is found there, one more look is taken at a longer side of at most 1280. Boxes and
    landmarks are mapped back to the image given. Detections below a confidence of 0.5 are dropped, and of two
    that overlap by more than 0.3 (intersection over union) the less confident one.

    **Which face.** The largest and most central: the one with the largest

        sqrt(width * height) * (1 - d / D)

    where d is the distance from the centre of its box to the centre of the image, and D half the image's
    diagonal. A face in the middle thus beats one that is half as far out as the corner up to twice its size.
    Equal values: the more confident, then the one further left.

    Attributes:
        preprocessing: identity of everything stated above, part of the feature store's key.
        weights: the detector's file.
    """

    preprocessing = "yunet-2023mar-int8bq-area320-1280-t0.5-central-v1"

    def __init__(self, threads: int = 1) -> None:
        """Check the detector's weights.

        Args:
            threads: threads that OpenCV may use inside one call; a setting of the whole process.

        Raises:
            WeightsError: the detector's file is missing or damaged.
        """
        file = resolve("yunet")
        self.weights = WeightsUsed(file.name, file.sha256, file.licence, file.verified, file.fingerprint)
        self._path = str(file.path)
        self._own = threading.local()
        cv2.setNumThreads(threads)

    def all(self, image: Image) -> list[Face]:
        """Every face, the best by the class's rule first.

        Args:
            image: uint8 (height, width, 3), RGB.
        """
        for look in LOOKS:
            shrink = min(1.0, look / max(image.shape[:2]))
            faces = self._detect(image, shrink)
            if faces or shrink == 1.0:
                break
        return sorted(faces, key=lambda face: (-prominence(face, image), -face.score, face.box[0]))

    def find(self, image: Image) -> Face | None:
        """The largest and most central face, None when there is none."""
        faces = self.all(image)
        return faces[0] if faces else None

    def _detect(self, image: Image, shrink: float) -> list[Face]:
        height, width = image.shape[:2]
        size = max(1, round(width * shrink)), max(1, round(height * shrink))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if shrink < 1 else image
        detector = self._detector()
        detector.setInputSize(size)
        _, rows = detector.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
        if rows is None:
            return []
        scale = np.array([width / size[0], height / size[1]])
        return [_face(row, scale) for row in rows.astype(np.float64)]

    def _detector(self) -> cv2.FaceDetectorYN:
        """One detector for each thread: OpenCV's object keeps buffers between calls."""
        if not hasattr(self._own, "detector"):
            # OpenCV 5 warns about a target that nobody asked for. The level is one for the whole process: putting
            # it back here would let the warning of another thread through.
            cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
            self._own.detector = cv2.FaceDetectorYN.create(
                self._path, "", (320, 320), THRESHOLD, OVERLAP, CANDIDATES
            )
        detector: cv2.FaceDetectorYN = self._own.detector
        return detector


def prominence(face: Face, image: Image) -> float:
    """How large and central a face is, in pixels: see `FaceFinder`.

    Example:
        >>> image = np.zeros((100, 100, 3), np.uint8)
        >>> prominence(Face((40, 40, 20, 20), np.zeros((5, 2), np.float32), 0.9), image)
        20.0
    """
    height, width = image.shape[:2]
    x, y, w, h = face.box
    off_centre = math.hypot(x + w / 2 - width / 2, y + h / 2 - height / 2)
    return math.sqrt(max(w, 0) * max(h, 0)) * (1 - off_centre / (math.hypot(width, height) / 2))


def _face(row: np.ndarray, scale: np.ndarray) -> Face:
    """YuNet's row: box (4), five points from the image's left to right as ArcFace orders them (10), score."""
    x, y, width, height = (float(value) for value in (row[:4].reshape(2, 2) * scale).reshape(-1))
    points = row[4:14].reshape(5, 2) * scale
    return Face((x, y, width, height), points.astype(np.float32), float(row[14]))


__all__ = ["Face", "FaceFinder", "align", "crop", "prominence", "similarity"]
