"""A tiny training run that the tests of the engine share."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from facebench.training.engine.loop import fit
from facebench.training.tasks import registry

TINY: dict[str, Any] = {
    "train": "diffae",
    "model": {
        "size": 16,
        "channels": 8,
        "multipliers": [1, 2],
        "encoder_multipliers": [1, 2],
        "code_channels": 8,
        "time_channels": 16,
        "blocks": 1,
        "attention": [8],
        "dropout": 0.1,
    },
    "steps": 6,
    "batch_size": 4,
    "workers": 0,
    "flip": True,
    "ema_decay": 0.9,
    "preview_images": 2,
    "checkpoint_every": 2,
    "sample_every": 100,
}
"""Settings of a run that takes a fraction of a second."""
NO_DROPOUT = {**TINY["model"], "dropout": 0.0}


def train(content: dict[str, Any], out: Path, **options: Any) -> Path:
    """Train on the CPU and return the path of the model."""
    prepared = registry.prepare("diffae", content, "test")
    return fit(prepared.task, prepared.settings, out, device="cpu", **options)


@pytest.fixture(scope="session")
def settings(noise_images: Path) -> Callable[..., dict[str, Any]]:
    """The tiny settings with changes."""

    def changed(**changes: Any) -> dict[str, Any]:
        return {**TINY, "data": {"kind": "folder", "path": str(noise_images)}, **changes}

    return changed


@pytest.fixture(scope="session")
def finished_run(settings: Callable[..., dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run of six steps, with checkpoints after steps 4 and 6."""
    out = tmp_path_factory.mktemp("finished")
    train(settings(), out)
    return out


@pytest.fixture
def run_of_six_steps(finished_run: Path, tmp_path: Path) -> Path:
    """A copy of the finished run that a test may change."""
    return Path(shutil.copytree(finished_run, tmp_path / "run"))
