"""Backbones and detectors are built by name, and the package is imported without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from facebench import backbones
from facebench.core.errors import InputError, WeightsError
from tests.helpers.paths import GOLDENS_FOLDER


def test_importing_the_package_does_not_import_torch() -> None:
    code = "import sys; import facebench.backbones as b; assert b.names(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_names_are_sorted_and_unique() -> None:
    assert list(backbones.names()) == sorted(set(backbones.names()))


def test_a_backbone_has_a_network_preprocessing_and_named_arrays() -> None:
    lite0 = backbones.build("lite0")
    assert isinstance(lite0, backbones.Backbone)
    assert isinstance(lite0.network, torch.nn.Module)
    image = np.zeros((50, 60, 3), np.uint8)
    arrays = lite0.embed(torch.stack([lite0.preprocess(image)] * 2))
    assert {name: values.shape for name, values in arrays.items()} == {"features": (2, 1280)}


def test_the_error_for_an_unknown_backbone_suggests_close_names() -> None:
    with pytest.raises(InputError, match=r"'emonet8' is not a backbone\. Did you mean .*emonet-8"):
        backbones.build("emonet8")


def test_weights_of_another_backbone_are_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.ones(2)}, tmp_path / "net.pth")
    for name in ("lite0", "facereader", "emoca", "lpips", "maxvit-va"):
        with pytest.raises(WeightsError, match=f"{name}: the weights lack"):
            backbones.build(name, tmp_path / "net.pth")


def test_the_detector_yunet_returns_box_score_and_landmarks() -> None:
    from PIL import Image

    image = np.asarray(Image.open(GOLDENS_FOLDER / "images" / "a" / "id000_happy.png").convert("RGB"))
    (face,) = backbones.detector("yunet").all(image)
    assert len(face.box) == 4
    assert 0.5 < face.score <= 1
    assert face.landmarks.shape == (5, 2)


def test_the_error_for_an_unknown_detector_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'mtcnn2' is not a face detector.*mtcnn"):
        backbones.detector("mtcnn2")
