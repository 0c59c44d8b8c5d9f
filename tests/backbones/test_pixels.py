"""Numbers read from the pixels respond to known changes of the image."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from facebench.backbones import Backbone, build, weights
from facebench.backbones.face_alignment import crop
from facebench.backbones.face_detection import FaceFinder
from facebench.backbones.pixels import LEFT_CHEEK, RIGHT_CHEEK, face_numbers
from facebench.images.image_set import Image
from tests.helpers.metric_inputs import GOLDENS


@pytest.fixture(scope="module")
def photo() -> Image:
    image = cv2.imread(str(GOLDENS / "images/b/id024_happy.png"))
    assert image is not None
    return np.ascontiguousarray(image[..., ::-1])


@pytest.fixture(scope="module")
def aligned(photo: Image) -> Image:
    return crop("face112", photo, FaceFinder().find(photo))


def numbers(image: Image, name: str = "face-pixels") -> dict[str, float]:
    backbone = build(name)
    found = backbone.embed(backbone.preprocess(image)[None])
    return {key: float(values[0]) for key, values in found.items()}


@pytest.mark.parametrize("name", ["face-pixels", "image-pixels"])
def test_they_need_no_weights(name: str) -> None:
    backbone: Backbone = build(name)
    assert backbone.weights.verified
    assert backbone.network is None
    assert weights.suite_ready([name]) == []


def test_arrays_have_one_row_per_image(aligned: Image, photo: Image) -> None:
    for name, image in (("face-pixels", aligned), ("image-pixels", photo)):
        backbone = build(name)
        found = backbone.embed(backbone.preprocess(image)[None].repeat(3, 1))
        assert tuple(found) == backbone.arrays
        assert all(values.shape == (3,) and values.dtype == np.float32 for values in found.values())


def test_a_brighter_image_is_lighter_and_has_a_larger_angle(aligned: Image) -> None:
    dark, bright = (numbers((aligned * factor).astype(np.uint8)) for factor in (0.6, 1.0))
    assert bright["lightness"] > dark["lightness"] + 10
    assert bright["ita"] > dark["ita"]
    assert bright["hue"] == pytest.approx(dark["hue"], abs=3)


def test_the_side_of_the_light_changes_sign_with_the_image(aligned: Image) -> None:
    lit = aligned.copy()
    lit[RIGHT_CHEEK] = (lit[RIGHT_CHEEK] * 1.2).clip(0, 255)
    lit[LEFT_CHEEK] = lit[LEFT_CHEEK] * 0.8
    assert numbers(lit)["light_side"] > 5
    assert numbers(lit[:, ::-1].copy())["light_side"] < -5


def test_blur_and_noise_move_sharpness_and_noise(aligned: Image) -> None:
    plain = numbers(aligned)
    blurred = numbers(cv2.GaussianBlur(aligned, (0, 0), 2))
    rng = np.random.default_rng(0)
    noisy = numbers((aligned + rng.normal(0, 10, aligned.shape)).clip(0, 255).astype(np.uint8))
    assert blurred["sharpness"] < plain["sharpness"] < noisy["sharpness"]
    assert noisy["noise"] > plain["noise"] + 3


@pytest.mark.parametrize("quality", [30, 60, 90])
def test_the_jpeg_quality_of_a_colour_image_is_found(photo: Image, quality: int) -> None:
    encoded = cv2.imencode(".jpg", photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1]
    assert abs(numbers(np.ascontiguousarray(decoded), "image-pixels")["jpeg_quality"] - quality) <= 1
    assert numbers(photo, "image-pixels")["jpeg_quality"] == 100


def test_black_crops_and_tiny_images_have_defined_numbers() -> None:
    assert np.isfinite(face_numbers(np.zeros((112, 112, 3), np.uint8))).all()
    assert np.isnan(numbers(np.zeros((8, 8, 3), np.uint8), "image-pixels")["jpeg_quality"])
