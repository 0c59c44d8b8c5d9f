"""Preprocessing and columns on small ONNX files; the published networks are not run."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from facebench.backbones import build
from facebench.backbones.emotieff import EmotiEff
from facebench.core.errors import WeightsError
from tests.helpers.golden_networks import answers, read
from tests.helpers.onnx_files import SEEN, one_pixel_times

IMAGES = [read("a/id000_happy.png"), read("b/id020_angry.png")]
MATRIX = np.random.default_rng(1).standard_normal((3, 10)).astype(np.float32)
IMAGENET = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


@pytest.mark.parametrize(
    ("name", "size", "mean", "std"), [("emotieff-b0", 224, *IMAGENET), ("emotieff-mbf", 112, 0.5, 0.5)]
)
def test_preprocessing_and_columns_are_those_of_the_library(
    tmp_path: Path, name: str, size: int, mean: np.ndarray, std: np.ndarray
) -> None:
    backbone = build(name, one_pixel_times(tmp_path / "mtl.onnx", MATRIX, size))
    actual = answers(backbone, IMAGES)
    inputs = [(cv2.resize(image, (size, size)) / 255 - mean) / std for image in IMAGES]
    np.testing.assert_allclose(backbone.preprocess(IMAGES[0]).permute(1, 2, 0), inputs[0], atol=1e-5)
    expected = np.stack([x[SEEN] for x in inputs]) @ MATRIX
    np.testing.assert_allclose(actual["expression"], expected[:, :8], atol=1e-5)
    np.testing.assert_allclose(actual["valence"], expected[:, 8], atol=1e-5)
    np.testing.assert_allclose(actual["arousal"], expected[:, 9], atol=1e-5)


def test_the_classes_are_in_alphabetical_order(tmp_path: Path) -> None:
    backbone = build("emotieff-b0", one_pixel_times(tmp_path / "mtl.onnx", MATRIX, 224))
    assert isinstance(backbone, EmotiEff)
    assert len(backbone.expressions) == 8
    assert list(backbone.expressions) == sorted(backbone.expressions)


def test_a_model_without_valence_and_arousal_is_refused(tmp_path: Path) -> None:
    eight = one_pixel_times(tmp_path / "enet_b0_8_best_vgaf.onnx", MATRIX[:, :8], 224)
    with pytest.raises(WeightsError, match=r"best_vgaf\.onnx takes .*another network"):
        build("emotieff-b0", eight)
