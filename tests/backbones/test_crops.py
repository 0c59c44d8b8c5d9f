from __future__ import annotations

import cv2
import numpy as np

from facebench.backbones.crops import (
    Square,
    deca_crop,
    deca_square,
    deca_square_of_landmarks,
    emonet_crop,
    emonet_square,
    face224,
    face256,
)
from tests.helpers.golden_networks import Golden, read

DECA = Golden("deca_encoder")
PHOTO = DECA["photo"].astype(np.uint8)
ATOL = {name: entry["atol"] for name, entry in DECA.facts["tolerance"].items()}


def box_of_golden() -> tuple[float, float, float, float]:
    left, top, right, bottom = (float(value) for value in DECA["box"])
    return left, top, right - left, bottom - top


def from_photo_to_crop(square: Square) -> np.ndarray:
    scale = 223 / square.side
    return np.array([[scale, 0, -square.left * scale], [0, scale, -square.top * scale], [0, 0, 1]])


def test_deca_crops_equal_the_authors_code() -> None:
    squares = {"landmarks": deca_square_of_landmarks(DECA["landmarks"]), "box": deca_square(box_of_golden())}
    for kind, square in squares.items():
        np.testing.assert_allclose(
            from_photo_to_crop(square), DECA[f"tform_{kind}"], rtol=0, atol=ATOL[f"tform_{kind}"]
        )
        crop = deca_crop(PHOTO, square).transpose(2, 0, 1)[:, ::2, ::2]
        np.testing.assert_allclose(crop, DECA[f"crop_{kind}"], rtol=0, atol=ATOL[f"crop_{kind}"])


def test_the_uint8_crop_is_at_most_half_a_grey_level_off() -> None:
    exact = deca_crop(PHOTO, deca_square(box_of_golden()))
    rounded = face224(PHOTO, box_of_golden())
    assert rounded.dtype == np.uint8
    assert rounded.shape == (224, 224, 3)
    assert np.abs(rounded / 255 - exact).max() <= 0.5 / 255 + 1e-6


def test_emonet_crops_equal_opencvs_affine_warp_within_a_grey_level() -> None:
    image = read("a/id000_happy.png")
    box = (30.5, 20.25, 90.0, 120.0)
    square = emonet_square(box)
    zoom = 256 / square.side
    matrix = np.array([[zoom, 0, -square.left * zoom], [0, zoom, -square.top * zoom]])
    warped = cv2.warpAffine(image, matrix, (256, 256))
    difference = np.abs(face256(image, box).astype(int) - warped)
    # OpenCV before version 5 rounds its sampling positions to 1/32 pixel.
    assert (difference <= 1).mean() > 0.99
    assert difference.max() <= 8


def test_pixels_outside_the_image_are_black_and_pixels_inside_unchanged() -> None:
    image = np.full((64, 64, 3), 200, np.uint8)
    crop = emonet_crop(image, Square(-64, -64, 256))
    assert (crop[64:128, 64:128] == 200).all()
    assert crop.astype(int).sum() == 200 * 64 * 64 * 3


def test_crops_of_a_source_and_its_edit_with_one_box_differ_only_at_the_edit() -> None:
    source = read("a/id000_neutral.png")
    edit = source.copy()
    edit[100:110, 100:110] = 255
    box = (40.3, 35.7, 101.9, 120.2)
    for crop in (face224, face256):
        changed = (crop(source, box) != crop(edit, box)).any(axis=2)
        assert 0 < changed.mean() < 0.05
    nudged = face256(source, (41.3, 35.7, 101.9, 120.2)) != face256(source, box)
    assert nudged.any(axis=2).mean() > 0.5, "a box one pixel away changes nearly everything"
