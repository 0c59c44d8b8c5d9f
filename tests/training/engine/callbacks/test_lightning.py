"""The callback in a real Lightning Trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("lightning", reason="lightning is not installed")

import lightning
from lightning.pytorch.loggers import CSVLogger

from facebench.training.engine.callbacks.lightning import LightningEvaluation
from tests.training.engine.callbacks.faces import NoisyFaces, evaluation


class Module(lightning.LightningModule):
    def __init__(self, pixels: np.ndarray) -> None:
        super().__init__()
        self.faces = NoisyFaces(pixels)

    def sample(self, count: int) -> torch.Tensor:
        return self.faces.sample(count)

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        return self.faces()["loss"]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.24)


@pytest.mark.filterwarnings("ignore")
def test_a_trainer_logs_numbers_and_saves_the_best_checkpoint(tmp_path: Path, pixels: np.ndarray) -> None:
    callback = LightningEvaluation(evaluation(pixels, tmp_path / "evaluations"), tmp_path / "best.ckpt")
    trainer = lightning.Trainer(
        max_steps=4, accelerator="cpu", logger=CSVLogger(tmp_path, name="log"), callbacks=[callback],
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        accumulate_grad_batches=2,
    )  # fmt: skip
    trainer.fit(Module(pixels), torch.utils.data.DataLoader(torch.zeros(8, 1)))
    lines = next((tmp_path / "log").rglob("metrics.csv")).read_text().splitlines()
    assert "facebench/fd_lite0" in lines[0]
    assert len(lines) == 3
    assert trainer.callback_metrics["facebench/fd_lite0"] < 1e6
    assert torch.load(tmp_path / "best.ckpt", weights_only=False)["global_step"] == 4
