"""YuNet: face detection with box, score and five landmarks.

Measures: position of faces.
Input: whole image, uint8 RGB; shrunk to a longer side of 320 pixels, then of 1280 when no face is found.
Output: `Face` objects in pixels of the given image.
Licence: MIT (OpenCV zoo, int8 block-quantised file of 2023-03).
Paper: Wu et al. 2023, "YuNet: A tiny millisecond-level face detector".
"""

from __future__ import annotations

import math
import threading

import cv2
import numpy as np

from facebench.backbones.base import WeightsUsed
from facebench.backbones.face_alignment import Face, align, crop, similarity
from facebench.backbones.face_detector import FaceDetector
from facebench.backbones.weights import resolve
from facebench.backbones.weights.reading import reading
from facebench.images.decoding import Image

THRESHOLD = 0.5
"""Smallest confidence."""
OVERLAP = 0.3
"""Largest intersection over union of two detections."""
CANDIDATES = 5000
"""Number of candidates before non-maximum suppression."""
LONGER_SIDES = (320, 1280)
"""Longer sides in pixels that are tried in turn."""


class FaceFinder(FaceDetector):
    """YuNet through OpenCV, on the CPU. One object may be shared by threads.

    Large images are shrunk by area averaging to a longer side of 320 pixels; small images are never enlarged.
    When no face is found, a longer side of at most 1280 pixels is tried. Boxes and landmarks are in pixels of the
    given image. Detections with a confidence below 0.5 are dropped. Of two detections that overlap by more than
    0.3 (intersection over union), the less confident one is dropped.

    **Selection of the face.** `find` returns the largest and most central face, which has the largest

        sqrt(width * height) * (1 - d / D)

    d is the distance between the centres of box and image, and D half the diagonal of the image. Ties are broken
    by confidence, then by the smaller x.

    Attributes:
        preprocessing: identifier of all rules above, part of the feature store's key.
        weights: file of the detector.
    """

    name = "yunet"
    preprocessing = "yunet-2023mar-int8bq-area320-1280-t0.5-central-v1"

    def __init__(self, threads: int = 1) -> None:
        """Check the weights of the detector.

        Args:
            threads: number of threads that OpenCV may use in one call; a setting of the whole process.

        Raises:
            WeightsError: the weights are missing or damaged.
        """
        file = resolve("yunet")
        self.weights = WeightsUsed(file.name, file.sha256, file.licence, file.verified, file.fingerprint)
        self._path = file.path
        self._local = threading.local()
        cv2.setNumThreads(threads)

    def all(self, image: Image) -> list[Face]:
        """Return every face, the most prominent one first.

        Args:
            image: uint8 (height, width, 3), RGB.
        """
        for side in LONGER_SIDES:
            shrink = min(1.0, side / max(image.shape[:2]))
            faces = self._detect(image, shrink)
            if faces or shrink == 1.0:
                break
        return sorted(faces, key=lambda face: (-prominence(face, image), -face.score, face.box[0]))

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
        """Return the detector of this thread; OpenCV's object keeps buffers between calls."""
        if not hasattr(self._local, "detector"):
            # OpenCV 5 logs a needless warning about the target. The log level belongs to the process, so it is
            # not restored: another thread could be creating its detector. OpenCV 4.10 lacks the module.
            if hasattr(cv2.utils, "logging"):
                cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
            with reading(self._path, "YuNet's ONNX file"):
                self._local.detector = cv2.FaceDetectorYN.create(
                    str(self._path), "", (320, 320), THRESHOLD, OVERLAP, CANDIDATES
                )
        detector: cv2.FaceDetectorYN = self._local.detector
        return detector


def prominence(face: Face, image: Image) -> float:
    """Return the size of a face in pixels, weighted by its closeness to the centre; see `FaceFinder`.

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
    """Convert a row of YuNet: box (4), five landmarks in the order of ArcFace (10), score (1)."""
    x, y, width, height = (float(value) for value in (row[:4].reshape(2, 2) * scale).reshape(-1))
    points = row[4:14].reshape(5, 2) * scale
    return Face((x, y, width, height), points.astype(np.float32), float(row[14]))


__all__ = ["Face", "FaceFinder", "align", "crop", "prominence", "similarity"]
