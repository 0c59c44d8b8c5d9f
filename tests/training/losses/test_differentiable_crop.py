"""Differentiable crops: pixel values, and gradients for the image."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from facebench.backbones import crops
from facebench.backbones.face_alignment import TEMPLATE, similarity, warp
from facebench.core.errors import InputError
from facebench.training.losses.differentiable_crop import aligned_crop, box_crop, deca_crop


@pytest.fixture
def image():
    pixels = torch.rand(3, 40, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return 2 * pixels - 1


def test_a_box_of_the_size_of_the_crop_keeps_its_pixels(image):
    torch.testing.assert_close(box_crop(image, [7.9, 3.2, 18.0, 14.99], size=11)[0], image[:, 3:14, 7:18])


def test_boxes_are_clipped_to_the_image(image):
    torch.testing.assert_close(box_crop(image, [-5, -5, 100, 100]), box_crop(image, [0, 0, 50, 40]))


def test_a_box_outside_the_image_is_refused(image):
    with pytest.raises(InputError, match="50x40"):
        box_crop(image, [60, 0, 80, 20])


def test_landmarks_on_the_template_keep_the_image():
    image = torch.rand(1, 3, 112, 112, generator=torch.Generator().manual_seed(1)) * 2 - 1
    torch.testing.assert_close(aligned_crop(image, TEMPLATE[None]), image, rtol=0, atol=1e-4)


def test_the_aligned_crop_matches_the_alignment_of_the_evaluation(image):
    turn = np.array([[0.3, -0.08], [0.08, 0.3]])
    landmarks = TEMPLATE @ turn.T + [8.0, 3.0]
    expected = warp((image.permute(1, 2, 0).numpy() + 1) * 127.5, similarity(landmarks), 112)
    crop = aligned_crop(image[None], landmarks[None])[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose((crop + 1) * 127.5, expected, atol=1e-6)


def test_pixels_outside_the_image_are_black(image):
    crop = aligned_crop(torch.ones_like(image)[None], (0.3 * TEMPLATE - 20)[None])
    assert float(crop[0, :, 0, 0].max()) == -1.0


def test_the_deca_crop_matches_that_of_the_evaluation():
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8)
    box = np.array([-3.5, 6.25, 30.0, 37.0])
    expected = crops.deca_crop(image, crops.deca_square(tuple(box)))
    images = torch.from_numpy(image.astype(np.float64)).permute(2, 0, 1)[None] / 127.5 - 1
    np.testing.assert_allclose(deca_crop(images, box[None])[0].permute(1, 2, 0), expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["box", "aligned"])
def test_gradients_match_numerical_differentiation(kind):
    image = torch.rand(3, 9, 8, dtype=torch.float64).requires_grad_()
    if kind == "box":
        assert torch.autograd.gradcheck(lambda x: box_crop(x, [1, 0, 7, 8], size=12), image)
    else:
        landmarks = 0.06 * TEMPLATE[None] + 0.7
        # Numerical differentiation of the whole crop is slow, so this checks a part of it.
        assert torch.autograd.gradcheck(lambda x: aligned_crop(x[None], landmarks)[..., 50:54, 40:44], image)
