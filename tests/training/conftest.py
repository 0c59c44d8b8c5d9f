"""Golden files of the generative side: inputs and answers of the official implementations."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from tests.helpers.paths import GOLDENS_FOLDER

GOLDENS = GOLDENS_FOLDER
_spec = importlib.util.spec_from_file_location("golden_fill", GOLDENS / "fill.py")
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)


class Golden:
    """One golden file; `golden["x"]` is an array as a tensor."""

    def __init__(self, name: str) -> None:
        self.manifest: dict[str, Any] = json.loads((GOLDENS / f"{name}.json").read_text())
        with np.load(GOLDENS / f"{name}.npz") as arrays:
            self.arrays = {key: arrays[key] for key in arrays.files}

    def __getitem__(self, key: str) -> torch.Tensor:
        return torch.from_numpy(self.arrays[key])

    def state(self) -> dict[str, torch.Tensor]:
        """Official parameter names to the values that the recorded answers were made with."""
        shapes = {name: tuple(shape) for name, shape in self.manifest["parameters"]}
        return _module.fill(shapes, self.manifest["seed"])

    def check(self, key: str, value: torch.Tensor | np.ndarray, index: Any = ...) -> None:
        """Compare with the recorded answer at the tolerance of the manifest."""
        atol = self.manifest["tolerance"][key]["atol"]
        value = value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
        np.testing.assert_allclose(value, self.arrays[key][index], rtol=0, atol=atol, err_msg=key)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small networks on a busy machine wait for each other's threads far longer than they compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Golden]:
    return Golden
