"""Overflows of fp16: the step is skipped, the loss scale decreases, and training continues."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from facebench.training.engine import loop
from facebench.training.tasks import registry

MakeSettings = Callable[..., dict[str, Any]]


class FP16OnCPU(Accelerator):
    """Uses the loss scaler of fp16 with float32 on the CPU; the initial scale is far too large."""

    initial_scale = 2.0**127

    def __init__(self, **_: Any) -> None:
        super().__init__(cpu=True)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=self.initial_scale)
        self.native_amp = True

    @property
    def mixed_precision(self) -> str:
        return "fp16"


@pytest.fixture(autouse=True)
def fp16_on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "Accelerator", FP16OnCPU)


@pytest.fixture
def fp16(settings: MakeSettings) -> MakeSettings:
    return lambda **changes: settings(precision="fp16", loss={"simple": 100.0}, ema_decay=None, **changes)


def train(
    content: dict[str, Any], out: Path, *, groups: int = 1, broken: bool = False
) -> dict[str, torch.Tensor]:
    prepared = registry.prepare("diffae", content, "test")
    parameters = prepared.task.parameters()
    prepared.task.clip_groups = lambda: [parameters[number::groups] for number in range(groups)]  # type: ignore[method-assign]
    if broken:
        parameters[0].register_hook(lambda gradient: gradient * torch.nan)
    return load_file(loop.fit(prepared.task, prepared.settings, out, device="cpu"))


def overflows(out: Path) -> list[int]:
    with (out / "log.csv").open(newline="") as file:
        return [int(row["value"]) for row in csv.DictReader(file) if row["name"] == "overflow"]


@pytest.mark.parametrize("groups", [1, 2])
def test_steps_that_overflow_are_skipped_and_counted(groups: int, fp16: MakeSettings, tmp_path: Path) -> None:
    content = fp16(steps=12)
    initial = registry.prepare("diffae", content, "test").task.network.state_dict()
    after_one = train(fp16(steps=1), tmp_path / "one", groups=groups)
    trained = train(content, tmp_path / "trained", groups=groups)
    logged = overflows(tmp_path / "trained")
    assert (logged[0], logged[-1]) == (1, 0)
    assert sorted(logged, reverse=True) == logged
    assert all(torch.equal(after_one[name], value) for name, value in initial.items())
    assert all(bool(value.isfinite().all()) for value in trained.values())
    assert any(not torch.equal(after_one[name], trained[name]) for name in after_one)


def test_a_resumed_run_continues_with_its_scale(fp16: MakeSettings, tmp_path: Path) -> None:
    train(fp16(steps=3), tmp_path / "resumed")
    resumed = train(fp16(steps=6), tmp_path / "resumed")
    uninterrupted = train(fp16(steps=6), tmp_path / "uninterrupted")
    assert overflows(tmp_path / "resumed") == overflows(tmp_path / "uninterrupted")
    assert all(torch.equal(resumed[name], uninterrupted[name]) for name in uninterrupted)


def test_a_gradient_that_is_not_finite_at_any_scale_stops_the_run(
    fp16: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FP16OnCPU, "initial_scale", 4.0)
    with pytest.raises(loop.TrainingStopped, match="Step 3: the norm of the gradient is nan"):
        train(fp16(), tmp_path, broken=True)
