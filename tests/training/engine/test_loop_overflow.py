"""Half precision overflows now and then: the step is left out, the scale goes down, and training goes on."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from PIL import Image
from safetensors.torch import load_file

from facebench.training.engine import loop
from facebench.training.tasks import registry
from tests.training.engine.test_loop import TINY


class Scaled(Accelerator):
    """A processor that takes its gradients for half precision: float32 with fp16's scaler, far too large at first."""

    first = 2.0**127

    def __init__(self, **_: Any) -> None:
        super().__init__(cpu=True)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=self.first)
        self.native_amp = True

    @property
    def mixed_precision(self) -> str:
        return "fp16"


@pytest.fixture(autouse=True)
def scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "Accelerator", Scaled)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    rng = np.random.default_rng(0)
    for number in range(4):
        Image.fromarray(rng.integers(256, size=(16, 16, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    return folder


def train(
    faces: Path, out: Path, *, steps: int = 12, groups: int = 1, broken: bool = False
) -> dict[str, torch.Tensor]:
    content = {
        **TINY, "data": {"kind": "folder", "path": str(faces)}, "steps": steps, "precision": "fp16",
        "loss": {"simple": 100.0}, "average": None,
    }  # fmt: skip
    prepared = registry.prepare("diffae", content, "test")
    parameters = prepared.task.parameters()
    prepared.task.clip_groups = lambda: [parameters[number::groups] for number in range(groups)]  # type: ignore[method-assign]
    if broken:
        parameters[0].register_hook(lambda gradient: gradient * torch.nan)
    plain = prepared.settings.model_dump(mode="json")
    return load_file(loop.fit(prepared.task, prepared.settings, plain, out, device="cpu"))


def overflows(out: Path) -> list[int]:
    with (out / "log.csv").open(newline="") as file:
        return [int(row["value"]) for row in csv.DictReader(file) if row["name"] == "overflow"]


@pytest.mark.parametrize("groups", [1, 2])
def test_steps_that_overflow_are_left_out_and_counted(groups: int, faces: Path, tmp_path: Path) -> None:
    first = train(faces, tmp_path / "first", steps=1, groups=groups)
    later = train(faces, tmp_path / "later", groups=groups)
    said = overflows(tmp_path / "later")
    assert said[0] == 1
    assert said[-1] == 0
    assert sorted(said, reverse=True) == said
    torch.manual_seed(0)
    untouched = registry.prepare(
        "diffae", {**TINY, "data": {"kind": "folder", "path": str(faces)}}, "test"
    ).task.network
    assert all(torch.equal(first[name], value) for name, value in untouched.state_dict().items())
    assert all(bool(value.isfinite().all()) for value in later.values())
    assert any(not torch.equal(first[name], later[name]) for name in first)


def test_the_scale_goes_on_after_a_stop(faces: Path, tmp_path: Path) -> None:
    train(faces, tmp_path / "stopped", steps=3)
    resumed, whole = train(faces, tmp_path / "stopped"), train(faces, tmp_path / "whole")
    assert overflows(tmp_path / "stopped") == overflows(tmp_path / "whole")
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_a_gradient_that_no_scale_makes_a_number_stops_the_run(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Scaled, "first", 4.0)
    with pytest.raises(loop.TrainingStopped, match="Step 3: the norm of the gradient is nan"):
        train(faces, tmp_path, broken=True)
