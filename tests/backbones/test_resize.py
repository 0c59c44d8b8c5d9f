from __future__ import annotations

import cleanfid.resize
import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image as PillowImage
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from facebench.backbones.resize import (
    centre_square,
    pil_bicubic,
    pil_bicubic_float,
    tf1_bilinear,
    torch_bilinear,
)

SIZES = [(64, 64), (1, 1), (37, 100), (299, 299), (300, 298), (256, 256), (640, 480), (1024, 1024)]


def noise(height: int, width: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("size", [224, 299])
def test_tf1_bilinear_equals_torch_fidelity_bit_for_bit(height: int, width: int, size: int) -> None:
    image = noise(height, width)
    planes = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    peer = interpolate_bilinear_2d_like_tensorflow1x(planes, size=(size, size), align_corners=False)
    np.testing.assert_array_equal(tf1_bilinear(image, size), peer[0].permute(1, 2, 0).numpy())


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_pil_bicubic_float_equals_clean_fid_within_a_millionth_of_the_range(height: int, width: int) -> None:
    image = noise(height, width)
    peer = cleanfid.resize.build_resizer("clean")(image)
    np.testing.assert_allclose(pil_bicubic_float(image, 299), peer, rtol=0, atol=255e-6)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_torch_bilinear_equals_pytorch_fid(height: int, width: int) -> None:
    image = noise(height, width)
    peer = cleanfid.resize.build_resizer("legacy_pytorch")(image)
    np.testing.assert_allclose(torch_bilinear(image, 299).permute(1, 2, 0) * 255, peer, rtol=0, atol=1e-4)


def test_clean_resize_keeps_fractions_of_a_grey_level() -> None:
    resized = pil_bicubic_float(noise(64, 64), 299)
    assert (resized != np.round(resized)).any()
    assert resized.min() == 0
    assert resized.max() == 255


def test_only_the_antialiased_resize_keeps_a_thin_line() -> None:
    image = np.zeros((2990, 8, 3), np.uint8)
    image[1007] = 255
    assert tf1_bilinear(image, 299).max() == 0
    assert torch_bilinear(image, 299).max() == 0
    assert pil_bicubic_float(image, 299).max() > 0


def test_the_three_resizes_differ_on_an_ordinary_image() -> None:
    image = noise(256, 256)
    first, second = tf1_bilinear(image, 299), torch_bilinear(image, 299).permute(1, 2, 0).numpy() * 255
    third = pil_bicubic_float(image, 299)
    for one, other in ((first, second), (first, third), (second, third)):
        assert np.abs(one - other).mean() > 1


@pytest.mark.parametrize(("height", "width"), [(4, 7), (7, 4), (5, 5), (6, 9)])
def test_the_centre_square_equals_the_crop_of_cmmd(height: int, width: int) -> None:
    image = noise(height, width)
    side, left, top = (
        min(height, width),
        (width - min(height, width)) // 2,
        (height - min(height, width)) // 2,
    )
    peer = PillowImage.fromarray(image).crop((left, top, left + side, top + side))
    np.testing.assert_array_equal(centre_square(image), np.asarray(peer))


def test_an_image_of_the_right_size_is_unchanged() -> None:
    image = noise(336, 336)
    np.testing.assert_array_equal(pil_bicubic(image, 336), image)
