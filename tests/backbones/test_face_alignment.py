"""Five-point alignment maps faces to the template of recognisers."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.backbones.crops import face224, face256
from facebench.backbones.face_alignment import TEMPLATE, warp
from facebench.backbones.face_detection import Face, align, crop, similarity
from facebench.core.errors import InputError
from facebench.images.image_set import Image, decode
from tests.helpers.paths import GOLDENS_FOLDER

GOLDENS = GOLDENS_FOLDER
FACTS = json.loads((GOLDENS / "face_alignment.json").read_text())
ARRAYS = np.load(GOLDENS / "face_alignment.npz")


def golden_image(index: int) -> Image:
    return decode((GOLDENS / "images" / FACTS["images"]["files"][index]).read_bytes())


@pytest.mark.parametrize("index", range(3))
def test_matrix_and_crop_equal_the_golden(index: int) -> None:
    landmarks = ARRAYS["landmarks"][index]
    np.testing.assert_allclose(similarity(landmarks), ARRAYS[f"matrix.{index}"], atol=1e-3)
    aligned = align(golden_image(index), landmarks)[:, :, ::-1]
    difference = np.abs(aligned.astype(int) - ARRAYS[f"crop.{index}"]).max(axis=2)
    assert (difference <= 1).mean() >= 0.995


@pytest.mark.parametrize("size", [224, 128])
def test_the_template_depends_on_the_size(size: int) -> None:
    np.testing.assert_allclose(
        similarity(ARRAYS["landmarks"][0], size), ARRAYS[f"matrix_{size}.0"], atol=1e-3
    )


def test_a_size_without_a_template_is_refused() -> None:
    for size in (0, -112, 100):
        with pytest.raises(InputError, match="multiple of 112 or of 128"):
            similarity(TEMPLATE, size)


@given(
    st.floats(-np.pi, np.pi),
    st.floats(0.05, 20),
    st.floats(-500, 500),
    st.floats(-500, 500),
)
def test_a_translated_rotated_and_scaled_template_is_mapped_back(
    angle: float, scale: float, x: float, y: float
) -> None:
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = similarity(TEMPLATE @ turn.T + [x, y])
    np.testing.assert_allclose(matrix[:, :2] @ turn, np.eye(2), atol=1e-9)
    np.testing.assert_allclose(matrix[:, :2] @ [x, y] + matrix[:, 2], 0, atol=1e-6)


def test_the_similarity_minimises_the_squared_error() -> None:
    landmarks = ARRAYS["landmarks"][0].astype(np.float64)

    def misfit(matrix: np.ndarray) -> float:
        return float(((landmarks @ matrix[:, :2].T + matrix[:, 2] - TEMPLATE) ** 2).sum())

    best = similarity(landmarks)
    for a, b, x, y in np.eye(4) * [[1e-4], [1e-4], [1e-2], [1e-2]]:
        for sign in (-1, 1):
            assert misfit(best + sign * np.array([[a, -b, x], [b, a, y]])) > misfit(best)


@pytest.mark.parametrize("landmarks", [np.ones((5, 2)), np.full((5, 2), np.nan), TEMPLATE[:4], TEMPLATE.T])
def test_invalid_landmarks_are_refused(landmarks: np.ndarray) -> None:
    with pytest.raises(InputError):
        similarity(landmarks)


def test_warp_equals_opencvs_bilinear_warp() -> None:
    image = golden_image(2)
    matrix = similarity(ARRAYS["landmarks"][2]) + [[0, 0, -20], [0, 0, 31.4]]
    expected = cv2.warpAffine(image, matrix, (112, 112))
    # OpenCV 4 rounds its coefficients: up to five grey levels, more than one on at most 0.2 % of pixels.
    difference = np.abs(warp(image, matrix, 112) - expected)
    assert difference.max() <= 5.5
    assert (difference.max(axis=2) <= 1.5).mean() >= 0.995


def test_pixels_outside_the_image_are_black_and_the_edge_is_interpolated() -> None:
    white = np.full((20, 20, 3), 255, np.uint8)
    shifted = warp(white, np.array([[1, 0, 30.25], [0, 1, 30]]), 112)[:, :, 0]
    assert (shifted[30:50, 31:50] == 255).all()
    np.testing.assert_allclose(shifted[30:50, 30], 0.75 * 255)
    np.testing.assert_allclose(shifted[30:50, 50], 0.25 * 255)
    assert shifted.sum() == pytest.approx(20 * 20 * 255)


FACE = Face((20.0, 30.0, 60.0, 80.0), (TEMPLATE + 40).astype(np.float32), 0.9)


def test_every_kind_of_crop_has_its_size() -> None:
    image = golden_image(0)
    assert crop("image", image, None) is image
    np.testing.assert_array_equal(crop("face112", image, FACE), image[40:152, 40:152])
    np.testing.assert_array_equal(crop("face224", image, FACE), face224(image, FACE.box))
    np.testing.assert_array_equal(crop("face256", image, FACE), face256(image, FACE.box))


def test_a_crop_without_its_face_is_refused() -> None:
    with pytest.raises(InputError, match="'face112' needs a face"):
        crop("face112", golden_image(0), None)
    with pytest.raises(InputError, match="'face113' is not a crop"):
        crop("face113", golden_image(0), FACE)  # type: ignore[arg-type]
