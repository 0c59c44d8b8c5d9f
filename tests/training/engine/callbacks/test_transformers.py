"""The callback in a real Hugging Face Trainer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

transformers = pytest.importorskip("transformers", reason="transformers is not installed")

from facebench.training.engine.callbacks.transformers import TrainerEvaluation  # noqa: E402
from tests.training.engine.callbacks.faces import NoisyFaces, evaluation  # noqa: E402


def test_a_trainer_logs_numbers_and_saves_the_best_checkpoint(tmp_path: Path, pixels: np.ndarray) -> None:
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path / "run"), max_steps=4, learning_rate=0.24, max_grad_norm=0.0, optim="sgd",
        lr_scheduler_type="constant",
        per_device_train_batch_size=1, save_strategy="no", report_to=[], use_cpu=True, disable_tqdm=True,
    )  # fmt: skip
    trainer = transformers.Trainer(
        NoisyFaces(pixels), arguments, train_dataset=[{"x": np.zeros(1, np.float32)}] * 8
    )
    TrainerEvaluation(evaluation(pixels, tmp_path / "evaluations")).attach(trainer)
    trainer.train()
    logged = [entry for entry in trainer.state.log_history if "facebench/fd_lite0" in entry]
    assert [entry["step"] for entry in logged] == [2, 4]
    assert logged[1]["facebench/fd_lite0"] < logged[0]["facebench/fd_lite0"]
    assert trainer.state.best_model_checkpoint == str(tmp_path / "run" / "checkpoint-4")
    assert (tmp_path / "run" / "checkpoint-4" / "model.safetensors").is_file()
