"""Evaluation inside `transformers.Trainer`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from facebench.training.engine.callbacks.periodic import PeriodicEvaluation


class TrainerEvaluation(TrainerCallback):
    """Evaluates the model of a Trainer, logs the numbers, and saves the best checkpoint.

    The best checkpoint is recorded in the state of the Trainer, so that `save_total_limit` keeps it.

    Args:
        evaluation: what to evaluate, and when.

    Example:
        >>> TrainerEvaluation(evaluation).attach(trainer)  # doctest: +SKIP
    """

    def __init__(self, evaluation: PeriodicEvaluation) -> None:
        self.evaluation = evaluation
        self._trainer: Any = None

    def attach(self, trainer: Any) -> None:
        """Add the callback to a Trainer, whose `log` receives the numbers."""
        self._trainer = trainer
        trainer.add_callback(self)

    def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> Any:
        """Evaluate after an optimizer step if it is due."""
        model = given["model"]
        if self._trainer is not None:
            model = self._trainer.accelerator.unwrap_model(model)
        found = self.evaluation.evaluate(state.global_step, model)
        if found is None:
            return control
        if self._trainer is not None:
            self._trainer.log(dict(found.numbers))
        if found.is_best and found.judged.best is not None:
            control.should_save = True
            state.best_metric = found.judged.best.value
            state.best_global_step = state.global_step
            state.best_model_checkpoint = str(Path(args.output_dir) / f"checkpoint-{state.global_step}")
        return control
