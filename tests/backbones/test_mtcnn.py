"""MTCNN gives the recorded answers of facenet-pytorch's own code, stage by stage."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from facebench import backbones
from facebench.backbones.face_detector import FaceDetector
from facebench.backbones.mtcnn import Mtcnn, scales
from tests.helpers.golden_networks import Golden, read

GOLDEN = Golden("mtcnn")
IMAGES = GOLDEN.facts["images"]
ATOL_PIXELS = 2e-3
DETECTOR = Mtcnn()


def image_of(row: int) -> np.ndarray:
    return read(IMAGES[row]["file"].removeprefix("images/"))


def padded(image: np.ndarray) -> np.ndarray:
    """Zeros of half the size on each side, as ID-Booth pads."""
    height, width = image.shape[0] // 2, image.shape[1] // 2
    return np.pad(image, ((height, height), (width, width), (0, 0)))


def network_input(name: str) -> torch.Tensor:
    return (torch.from_numpy(GOLDEN[name]).float() - 127.5) * 0.0078125


@pytest.mark.parametrize("name", ["pnet", "rnet", "onet"])
def test_each_network_equals_the_recorded_one(name: str) -> None:
    network = getattr(DETECTOR, name)
    inputs = {f"net_{name}": f"net_{name}_input_u8"}
    if name == "pnet":
        inputs["net_pnet_odd"] = "net_pnet_odd_input_u8"
    for prefix, key in inputs.items():
        with torch.inference_mode():
            outputs = network(network_input(key))
        names = ("reg", "points", "prob") if name == "onet" else ("reg", "prob")
        for output, array in zip(outputs, names, strict=True):
            np.testing.assert_allclose(output.numpy(), GOLDEN[f"{prefix}_{array}"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("row", range(len(IMAGES)))
def test_scales_and_proposals_equal_the_recorded_ones(row: int) -> None:
    image = image_of(row)
    recorded = GOLDEN[f"img{row}_scales"]  # twice, for two calls
    np.testing.assert_allclose(scales(*image.shape[:2]), recorded[: len(recorded) // 2], rtol=1e-12)
    pixels = torch.from_numpy(image.transpose(2, 0, 1).copy()).float()[None]
    with torch.inference_mode():
        boxes = DETECTOR.propose(pixels)
    np.testing.assert_allclose(boxes, GOLDEN[f"img{row}_square0"], rtol=0, atol=ATOL_PIXELS)


@pytest.mark.parametrize("pad", [False, True])
@pytest.mark.parametrize("row", range(len(IMAGES)))
def test_faces_equal_the_recorded_ones(row: int, pad: bool) -> None:
    image = padded(image_of(row)) if pad else image_of(row)
    prefix = f"img{row}_padded" if pad else f"img{row}"
    faces = DETECTOR.all(image)
    if not IMAGES[row]["faces"]:
        assert faces == []
        assert DETECTOR.find(image) is None
        return
    recorded = GOLDEN[f"{prefix}_boxes"]
    assert len(faces) == len(recorded)
    for place, face in enumerate(faces):
        x, y, width, height = face.box
        np.testing.assert_allclose((x, y, x + width, y + height), recorded[place], rtol=0, atol=ATOL_PIXELS)
        np.testing.assert_allclose(
            face.landmarks, GOLDEN[f"{prefix}_points"][place], rtol=0, atol=ATOL_PIXELS
        )
        assert face.score == pytest.approx(GOLDEN[f"{prefix}_probs"][place], abs=1e-5)


def test_an_image_smaller_than_a_face_has_no_face() -> None:
    assert DETECTOR.all(np.zeros((19, 40, 3), np.uint8)) == []
    assert DETECTOR.all(np.zeros((60, 40, 3), np.uint8)) == []


def test_the_largest_face_comes_first() -> None:
    small, large = image_of(0)[::2, ::2], image_of(4)
    canvas = np.zeros((256, 384, 3), np.uint8)
    canvas[:128, :128], canvas[:, 128:] = small, large
    first, second = DETECTOR.all(canvas)
    assert first.box[2] * first.box[3] > second.box[2] * second.box[3]
    assert first.box[0] > 128


def test_the_detector_is_built_by_name() -> None:
    detector = backbones.detector("mtcnn")
    assert isinstance(detector, FaceDetector)
    assert detector.name == "mtcnn"
    assert detector.weights.licence == "MIT"
