"""Golden files of the official implementations, and tiny trained models that several test files share."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from facebench.training.engine import model_file
from facebench.training.recognition.recogniser import NetworkSettings, build_backbone
from tests.helpers import tiny_training
from tests.helpers.paths import GOLDENS_FOLDER

GOLDENS = GOLDENS_FOLDER
_spec = importlib.util.spec_from_file_location("golden_fill", GOLDENS / "fill.py")
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)


class Golden:
    """Golden file; `golden["x"]` is an array as a tensor."""

    def __init__(self, name: str) -> None:
        self.manifest: dict[str, Any] = json.loads((GOLDENS / f"{name}.json").read_text())
        with np.load(GOLDENS / f"{name}.npz") as arrays:
            self.arrays = {key: arrays[key] for key in arrays.files}

    def __getitem__(self, key: str) -> torch.Tensor:
        return torch.from_numpy(self.arrays[key])

    def state(self) -> dict[str, torch.Tensor]:
        """Weights of the recorded network by their official names."""
        shapes = {name: tuple(shape) for name, shape in self.manifest["parameters"]}
        return _module.fill(shapes, self.manifest["seed"])

    def check(self, key: str, value: torch.Tensor | np.ndarray, index: Any = ...) -> None:
        """Compare with the recorded value at the tolerance of the manifest."""
        atol = self.manifest["tolerance"][key]["atol"]
        value = value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
        np.testing.assert_allclose(value, self.arrays[key][index], rtol=0, atol=atol, err_msg=key)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Use one thread: for small networks, threads cost more time than they save."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Golden]:
    return Golden


@pytest.fixture(scope="session")
def noise_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of ten images of 16 pixels, without faces."""
    folder = tmp_path_factory.mktemp("noise")
    rng = np.random.default_rng(0)
    for number in range(10):
        Image.fromarray(rng.integers(256, size=(16, 16, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="session")
def trained_diffae(noise_images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Model of a DiffAE after three steps; in an untrained one, half of the convolutions are zero."""
    out = tmp_path_factory.mktemp("diffae")
    data = {"kind": "folder", "path": str(noise_images)}
    return tiny_training.train("diffae", out, model=tiny_training.MODEL, data=data, steps=3, preview_images=2)


@pytest.fixture(scope="session")
def untrained_recogniser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Model of a recogniser with random weights."""
    path = tmp_path_factory.mktemp("recogniser") / "model.safetensors"
    sizes = NetworkSettings(name="iresnet18", width=8, size=28, embedding=16).model_dump(mode="json")
    torch.manual_seed(0)
    model_file.write(path, model_file.ModelFile("recognition", build_backbone(sizes).state_dict(), sizes))
    return path
