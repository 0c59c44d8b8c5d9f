"""Evaluation inside `lightning.Trainer`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

try:
    from lightning.pytorch import Callback
except ImportError:
    from pytorch_lightning import Callback  # type: ignore[assignment]

from facebench.training.engine.callbacks.periodic import PeriodicEvaluation


class LightningEvaluation(Callback):
    """Evaluates a LightningModule, logs the numbers to all loggers, and saves the best checkpoint.

    The numbers also become `trainer.callback_metrics`, which other callbacks monitor.

    Args:
        evaluation: what to evaluate, and when.
        checkpoint: file of the best checkpoint; None saves none.

    Example:
        >>> lightning.Trainer(callbacks=[LightningEvaluation(evaluation, "best.ckpt")])  # doctest: +SKIP
    """

    def __init__(self, evaluation: PeriodicEvaluation, checkpoint: str | Path | None = None) -> None:
        self.evaluation = evaluation
        self.checkpoint = None if checkpoint is None else Path(checkpoint)
        self._step = 0

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any, **__: Any) -> None:
        """Evaluate after an optimizer step if it is due."""
        step = int(trainer.global_step)
        if step == self._step:  # a part of an accumulated batch
            return
        self._step = step
        found = self.evaluation.evaluate(step, pl_module)
        if found is None:
            return
        for logger in trainer.loggers:
            logger.log_metrics(found.numbers, step=step)
        trainer.callback_metrics.update({name: torch.tensor(value) for name, value in found.numbers.items()})
        is_best = trainer.strategy.broadcast(found.is_best)
        if is_best and self.checkpoint is not None:
            trainer.save_checkpoint(self.checkpoint)
