from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.core.errors import InputError
from facebench.metrics import haar_noise, jpeg_quality, laplacian_variance
from facebench.metrics.image_noise import quantisation_steps
from tests.helpers.metric_inputs import GOLDENS, NewGolden, few

GOLDEN = NewGolden()


def golden_image() -> np.ndarray:
    return np.trunc(np.clip(128 + 40 * GOLDEN.arrays["main.real"][:64, :64], 0, 255)).astype(np.uint8)


def photo() -> np.ndarray:
    image = cv2.imread(str(GOLDENS / "images/b/id024_happy.png"), cv2.IMREAD_GRAYSCALE)
    assert image is not None
    return image


def test_golden_laplacian_and_haar() -> None:
    expected = GOLDEN.case("image_from_main")
    assert laplacian_variance(golden_image()) == pytest.approx(expected["cv2_laplacian_ksize1_var"], rel=1e-9)
    assert haar_noise(golden_image()) == pytest.approx(expected["pywt_haar_cD_sigma_0.6745"], rel=1e-9)


@few
@given(st.integers(2, 20), st.integers(2, 20), st.integers(0, 1000))
def test_the_laplacian_is_that_of_opencv(height: int, width: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)
    expected = cv2.Laplacian(image, cv2.CV_64F).var()
    assert laplacian_variance(image) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_blur_lowers_sharpness_and_brightness_does_not_matter() -> None:
    image = photo().astype(np.float64)
    values = [laplacian_variance(cv2.GaussianBlur(image, (0, 0), sigma)) for sigma in (0.5, 1.0, 2.0, 4.0)]
    assert values == sorted(values, reverse=True)
    assert laplacian_variance(image + 10) == pytest.approx(laplacian_variance(image), rel=1e-9)


@pytest.mark.parametrize("sigma", [2.0, 5.0, 10.0])
def test_the_noise_of_flat_images_is_its_deviation(sigma: float) -> None:
    image = np.random.default_rng(0).normal(128, sigma, (255, 257))
    assert haar_noise(image) == pytest.approx(sigma, rel=0.05)
    assert haar_noise(3 * image) == pytest.approx(3 * haar_noise(image), rel=1e-9)


def test_flat_images_have_no_noise() -> None:
    assert haar_noise(np.full((7, 9), 3)) == 0.0


@pytest.mark.parametrize("quality", [5, 10, 30, 50, 70, 75, 80, 85, 90, 95])
def test_the_quality_of_a_jpeg_is_found(quality: int) -> None:
    encoded = cv2.imencode(".jpg", photo(), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)
    assert abs(jpeg_quality(decoded) - quality) <= 1


def test_images_without_compression_have_quality_100() -> None:
    assert jpeg_quality(photo()) == 100
    assert jpeg_quality(np.full((64, 64), 128)) == 100


def test_a_crop_off_the_grid_is_not_recognised() -> None:
    encoded = cv2.imencode(".jpg", photo(), [cv2.IMWRITE_JPEG_QUALITY, 50])[1]
    assert jpeg_quality(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)[3:, 5:]) > 90


def test_quantisation_steps_are_those_of_libjpeg() -> None:
    assert quantisation_steps(50)[0].tolist() == [16, 11, 10, 16, 24, 40, 51, 61]
    assert quantisation_steps(100).max() == 1
    assert quantisation_steps(1).max() == 255


def test_bad_input_is_refused() -> None:
    for function in (laplacian_variance, haar_noise, jpeg_quality):
        with pytest.raises(InputError, match="one grey image"):
            function(np.zeros((20, 20, 3)))
        with pytest.raises(InputError, match="at least"):
            function(np.zeros((1, 20)))
        with pytest.raises(InputError, match="NaN"):
            function(np.full((20, 20), np.nan))
