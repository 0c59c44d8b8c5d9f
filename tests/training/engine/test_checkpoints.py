"""Checkpoints survive kills at any moment, damage and full disks."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from facebench.core.errors import WeightsError
from facebench.training.engine.checkpoints import MODEL, Checkpoint


def save(folder: Path, step: int, *, value: float = 0.0, keep: int = 2, best: str | None = None) -> Path:
    progress = {"best": {"checkpoint": best}} if best else {}
    return Checkpoint(step, {MODEL: {"weight": torch.full((2,), value)}}, {}, progress).save(folder, keep)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_recent_checkpoints_and_the_best_stay(tmp_path: Path) -> None:
    for step in (1, 2, 3, 4):
        save(tmp_path, step, best="step-00000001")
    assert names(tmp_path) == ["step-00000001", "step-00000003", "step-00000004"]


def test_a_checkpoint_is_replaced(tmp_path: Path) -> None:
    save(tmp_path, 1, value=1.0)
    path = save(tmp_path, 1, value=2.0)
    assert Checkpoint.load(path).tensors[MODEL]["weight"].tolist() == [2.0, 2.0]
    assert names(tmp_path) == ["step-00000001"]


def test_folders_of_killed_runs_are_removed(tmp_path: Path) -> None:
    save(tmp_path, 1)
    shutil.copytree(tmp_path / "step-00000001", tmp_path / ".step-00000002.partial")
    shutil.copytree(tmp_path / "step-00000001", tmp_path / ".step-00000001.replaced")
    assert Checkpoint.latest(tmp_path) == tmp_path / "step-00000001"
    save(tmp_path, 3)
    assert names(tmp_path) == ["step-00000001", "step-00000003"]


def test_a_kill_during_a_replacement_keeps_the_replaced_checkpoint(tmp_path: Path) -> None:
    save(tmp_path, 1).rename(tmp_path / ".step-00000001.replaced")
    save(tmp_path, 2)
    assert names(tmp_path) == ["step-00000001", "step-00000002"]


def test_a_damaged_checkpoint_is_reported_with_its_folder(tmp_path: Path) -> None:
    path = save(tmp_path, 2)
    weights = path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:10])
    with pytest.raises(WeightsError, match="step-00000002: the checkpoint is damaged"):
        Checkpoint.load(path)
