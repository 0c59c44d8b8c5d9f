"""MTCNN: face detection with box, score and five landmarks, by three networks in turn.

Measures: position of faces.
Input: whole image, uint8 RGB, (x - 127.5) / 128, area-averaged to a pyramid of scales.
Output: `Face` objects in pixels of the given image, the largest face first.
Licence: MIT (weights of facenet-pytorch 2.6.0; the package mtcnn 1.0.0 holds the same numbers).
Paper: Zhang et al. 2016, "Joint face detection and alignment using multitask cascaded convolutional networks".
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from facebench.backbones.base import WeightsUsed, load_strictly
from facebench.backbones.face_alignment import Face
from facebench.backbones.face_detector import FaceDetector
from facebench.backbones.mtcnn_networks import ONet, PNet, RNet
from facebench.backbones.torch_network import exact_float32, unfilled
from facebench.backbones.weights import resolve
from facebench.backbones.weights.load import load_checkpoint, select_state
from facebench.images.decoding import Image

SMALLEST_FACE = 20
"""Smallest side of a face in pixels."""
FACTOR = 0.709
"""Ratio of neighbouring scales."""
THRESHOLDS = (0.6, 0.7, 0.7)
"""Smallest probability after each network: from the first one inclusive, above the others."""
OVERLAP = 0.7
"""Largest overlap of two boxes; 0.5 within one scale of the first network."""
_CELL, _STRIDE = 12, 2

Boxes = npt.NDArray[np.float32]


class Mtcnn(FaceDetector):
    """MTCNN as facenet-pytorch 2.6.0 computes it: smallest face 20 pixels, thresholds 0.6, 0.7 and 0.7.

    ID-Booth and much of the literature detect with this network. The box and the landmarks differ from YuNet's by
    some pixels, so results of the two detectors are not comparable. The largest face comes first.
    """

    name = "mtcnn"
    runs_modules = True
    preprocessing = "mtcnn-facenet-pytorch-min20-0.709-t0.6-0.7-0.7-largest-v1"

    def __init__(self) -> None:
        """Load the networks.

        Raises:
            WeightsError: the weights are missing or damaged.
        """
        file = resolve("mtcnn")
        self.weights = WeightsUsed(file.name, file.sha256, file.licence, file.verified, file.fingerprint)
        content = load_checkpoint(file.path)
        self.pnet, self.rnet, self.onet = (unfilled(network).eval() for network in (PNet, RNet, ONet))
        for name in ("pnet", "rnet", "onet"):
            state = {k: v for k, v in content.items() if k.startswith(f"{name}.")}
            load_strictly(
                getattr(self, name), select_state(state, str(file.path), prefix=f"{name}."), "mtcnn"
            )

    def all(self, image: Image) -> list[Face]:
        """Return every face, the largest one first.

        Args:
            image: uint8 (height, width, 3), RGB.
        """
        with exact_float32(), torch.inference_mode():
            boxes, points = self._detect(image)
        order = np.argsort((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]), kind="stable")[::-1]
        return [_face(boxes[row], points[row]) for row in order]

    def _detect(self, image: Image) -> tuple[Boxes, Boxes]:
        """Return boxes (n, 5) as x1, y1, x2, y2, probability, and landmarks (n, 5, 2)."""
        pixels = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float()[None]
        nothing = np.zeros((0, 5), np.float32), np.zeros((0, 5, 2), np.float32)
        boxes = self.propose(pixels)
        if not len(boxes):
            return nothing
        boxes, crops = _crops(pixels, boxes, 24)
        change, probability = (output.numpy() for output in self.rnet(crops))
        passed = probability[:, 1] > THRESHOLDS[1]
        boxes = np.column_stack([boxes[passed, :4], probability[passed, 1]])
        kept = _suppress(boxes, OVERLAP)
        boxes = _squared(_refined(boxes[kept], change[passed][kept]))
        if not len(boxes):
            return nothing
        boxes, crops = _crops(pixels, boxes, 48)
        change, marks, probability = (output.numpy() for output in self.onet(crops))
        passed = probability[:, 1] > THRESHOLDS[2]
        boxes = np.column_stack([boxes[passed, :4], probability[passed, 1]])
        points = _landmarks(boxes, marks[passed])
        boxes = _refined(boxes, change[passed])
        kept = _suppress(boxes, OVERLAP, smaller=True)
        return boxes[kept], points[kept]

    def propose(self, pixels: Tensor) -> Boxes:
        """Return the squares (n, 5) that the first network proposes over all scales."""
        height, width = pixels.shape[2:]
        found = [self._proposals(pixels, scale) for scale in scales(height, width)]
        rows = np.concatenate([np.zeros((0, 9), np.float32), *found])
        rows = rows[_suppress(rows, OVERLAP)]
        boxes, change = rows[:, :5], rows[:, 5:]
        sides = np.tile(boxes[:, 2:4] - boxes[:, :2], (1, 2))
        return _squared(np.column_stack([boxes[:, :4] + change * sides, boxes[:, 4]]))

    def _proposals(self, pixels: Tensor, scale: float) -> Boxes:
        """Return boxes, probabilities and regressions (n, 9) at one scale, after suppression."""
        height, width = pixels.shape[2:]
        size = int(height * scale + 1), int(width * scale + 1)
        change, probability = self.pnet(_scaled(functional.interpolate(pixels, size=size, mode="area")))
        row, column = torch.nonzero(probability[0, 1] >= THRESHOLDS[0], as_tuple=True)
        cells = torch.stack([column, row], dim=1).float()
        first = ((_STRIDE * cells + 1) / scale).floor()
        last = ((_STRIDE * cells + _CELL) / scale).floor()
        parts = [first, last, probability[0, 1, row, column][:, None], change[0, :, row, column].T]
        rows: Boxes = torch.cat(parts, dim=1).numpy()
        return rows[_suppress(rows, 0.5)]


def scales(height: int, width: int) -> list[float]:
    """Return the scales of the pyramid, from faces of 20 pixels to the largest face.

    Example:
        >>> [round(scale, 3) for scale in scales(40, 50)]
        [0.6, 0.425, 0.302]
    """
    found, scale = [], _CELL / SMALLEST_FACE
    side = min(height, width) * scale
    while side >= _CELL:
        found.append(scale)
        scale, side = scale * FACTOR, side * FACTOR
    return found


def _scaled(pixels: Tensor) -> Tensor:
    return (pixels - 127.5) * 0.0078125


def _crops(pixels: Tensor, boxes: Boxes, side: int) -> tuple[Boxes, Tensor]:
    """Cut boxes out of the image and average them to (n, 3, side, side); boxes outside the image are dropped."""
    height, width = pixels.shape[2:]
    whole = np.trunc(boxes[:, :4]).astype(np.int64)
    left, top = whole[:, 0].clip(1), whole[:, 1].clip(1)
    right, bottom = whole[:, 2].clip(max=width), whole[:, 3].clip(max=height)
    inside = (right > left - 1) & (bottom > top - 1)
    parts = [
        functional.interpolate(pixels[:, :, y - 1 : y2, x - 1 : x2], size=(side, side), mode="area")
        for x, y, x2, y2 in zip(left[inside], top[inside], right[inside], bottom[inside], strict=True)
    ]
    return boxes[inside], _scaled(torch.cat(parts)) if parts else pixels.new_zeros(0, 3, side, side)


def _squared(boxes: Boxes) -> Boxes:
    """Enlarge boxes to squares with the same centre."""
    sides = boxes[:, 2:4] - boxes[:, :2]
    longer = sides.max(axis=1, keepdims=True, initial=0)
    corner = boxes[:, :2] + sides * np.float32(0.5) - longer * np.float32(0.5)
    return np.column_stack([corner, corner + longer, boxes[:, 4:]])


def _refined(boxes: Boxes, change: Boxes) -> Boxes:
    """Move the edges of boxes by a regression in units of the side, which counts both edge pixels."""
    sides = np.tile(boxes[:, 2:4] - boxes[:, :2] + 1, (1, 2))
    return np.column_stack([boxes[:, :4] + change * sides, boxes[:, 4:]])


def _landmarks(boxes: Boxes, marks: Boxes) -> Boxes:
    """Convert landmarks (n, 10), first five x and then five y in units of the side, to pixels (n, 5, 2)."""
    sides = boxes[:, 2:4] - boxes[:, :2] + 1
    unit = marks.reshape(-1, 2, 5).transpose(0, 2, 1)
    return np.asarray(unit * sides[:, None] + boxes[:, None, :2] - 1, np.float32)


def _suppress(boxes: Boxes, overlap: float, *, smaller: bool = False) -> npt.NDArray[np.intp]:
    """Return the rows that non-maximum suppression keeps, the most probable first.

    Overlap is intersection over union. With `smaller` it is the intersection over the smaller of both boxes, and
    sides count both edge pixels.
    """
    edge = np.float32(smaller)
    low, high = boxes[:, :2], boxes[:, 2:4]
    area = (high - low + edge).prod(axis=1)
    order = np.argsort(boxes[:, 4], kind="stable")[::-1]
    kept = []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(best)
        sides = np.minimum(high[best], high[rest]) - np.maximum(low[best], low[rest]) + edge
        common = sides.clip(0).prod(axis=1)
        against = np.minimum(area[best], area[rest]) if smaller else area[best] + area[rest] - common
        order = rest[common <= overlap * against]
    return np.array(kept, np.intp)


def _face(box: Boxes, points: Boxes) -> Face:
    x, y, right, bottom, score = (float(value) for value in box)
    return Face((x, y, right - x, bottom - y), points, score)
