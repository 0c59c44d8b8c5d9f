"""The training loop that all tasks share.

Accelerate provides devices, mixed precision and distributed training. All random numbers are a function of the
seed and the step, so a checkpoint holds no generator state. A killed and resumed run ends with bit-identical weights
within one machine and thread count.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import broadcast_object_list
from torch import Tensor, nn

from facebench.core.errors import InputError
from facebench.core.files import atomic_write_text
from facebench.training.data.digest import data_digest
from facebench.training.data.faces import Batch
from facebench.training.data.loading import Loading, load_batches
from facebench.training.engine import checkpoints, model_file
from facebench.training.engine.allocator import keep_freed_memory
from facebench.training.engine.callbacks.own import of_settings
from facebench.training.engine.checkpoints import EMA as EMA_FILE
from facebench.training.engine.checkpoints import MODEL, OPTIMIZER, Checkpoint
from facebench.training.engine.ema import EMA
from facebench.training.engine.gradient_checkpointing import recompute_blocks
from facebench.training.engine.interrupt import InterruptFlag
from facebench.training.engine.log import Log
from facebench.training.engine.memory_layout import training_memory_format
from facebench.training.engine.sam import check_precision
from facebench.training.engine.settings import TrainConfig, as_current, differences
from facebench.training.engine.task import Task
from facebench.training.engine.train_step import TrainingStopped, TrainStep

FREE_TO_CHANGE = frozenset(
    {
        "steps",
        "keep_checkpoints",
        "checkpoint_every",
        "sample_every",
        "evaluate_every",
        "evaluation",
        "workers",
        "gradient_accumulation",
        "compile",
    }
)
"""Settings that a resumed run may change, because the weights after a given step do not depend on them."""

StepCallback = Callable[[int, int, Mapping[str, float]], None]
"""Callback invoked after each step with the number of steps done, the total, and the losses."""


def fit(
    task: Task,
    config: TrainConfig,
    out: Path,
    *,
    device: str = "auto",
    accept_changes: bool = False,
    on_step: StepCallback | None = None,
    on_message: Callable[[str], None] = print,
) -> Path:
    """Train or resume training, and write `out`/model.safetensors.

    Args:
        task: what to train.
        config: all settings of the run, such as steps, optimizer and intervals; stored in every checkpoint and in
            the model.
        out: folder of the run; when it holds checkpoints of the same settings, the newest one is resumed.
        device: "auto", "cpu", "cuda" or "mps".
        accept_changes: resume although settings have changed.
        on_step: callback invoked after each step.
        on_message: callback invoked with messages for the user.

    Returns:
        Path of the model.

    Raises:
        InputError: the folder holds a run of other settings, the data is smaller than a batch, the disk is full.
        TrainingStopped: a loss or gradient is not finite; the last good checkpoint is kept.
        KeyboardInterrupt: raised after a checkpoint was written.
    """
    keep_freed_memory()
    trainer = Trainer(task, config, out, device, on_message)
    for warning in task.warnings:
        on_message(warning)
    trainer.resume(accept_changes)
    with Log(out, trainer.step) as log, InterruptFlag() as interrupt:
        trainer.train(log, interrupt, on_step)
    return trainer.finish()


@dataclass
class _Progress:
    """State of a run besides tensors."""

    best: dict[str, Any] = field(default_factory=dict)
    """Name, value and checkpoint of the best evaluation."""
    skipped: int = 0
    """Number of images that could not be read."""


class Trainer:
    """Network, EMA, optimizer and progress of one training run."""

    def __init__(
        self,
        task: Task,
        config: TrainConfig,
        out: Path,
        device: str,
        on_message: Callable[[str], None],
    ) -> None:
        self.task, self.config, self.out = task, config, out
        self.settings = config.model_dump(mode="json")
        self.on_message = on_message
        check_precision(config)
        precision = {"float32": "no"}.get(config.precision, config.precision)
        # Accelerate keeps the precision of the first training of a process; a study trains several models in one.
        AcceleratorState._reset_state()
        self.accelerator = Accelerator(mixed_precision=precision, cpu=device == "cpu")
        self.step = 0
        self.progress = _Progress()
        self._prepare_network()
        self.ema = None
        if config.ema_decay is not None:
            self.ema = EMA(task.network, config.ema_decay, warmup=config.ema_warmup)
        self.train_step = TrainStep(task, config, self.accelerator)
        self.evaluation = (
            None if config.evaluation is None else of_settings(task, config.evaluation, out, on_message)
        )

    def _prepare_network(self) -> None:
        network = self.task.network
        network.to(self.accelerator.device)
        if self.accelerator.device.type == "cpu":
            network.to(memory_format=training_memory_format(network))
        if self.config.gradient_checkpointing:
            recompute_blocks(network)
        if self.config.compile:
            for child in network.children():
                child.compile()

    @property
    def folder(self) -> Path:
        """Folder of the checkpoints."""
        return self.out / "checkpoints"

    @cached_property
    def data_digest(self) -> str:
        """Digest of the training images at the start of this run."""
        return data_digest(self.task.faces)

    @property
    def evaluated_network(self) -> nn.Module:
        """The network for samples, evaluations and the model file."""
        return self.task.network if self.ema is None else self.ema.network

    def train(self, log: Log, interrupt: InterruptFlag, on_step: StepCallback | None) -> None:
        """Run the remaining steps."""
        batches = self._batches(log)
        self.train_step.losses.train()
        while self.step < self.config.steps and not self.task.finished:
            try:
                # Evaluate loss and accumulate gradients.
                values = self.train_step.accumulate_gradients(self.step, batches)

                # Run optimizer.
                values |= self.train_step.run_optimizer(self.step)
            except TrainingStopped as error:
                raise self._with_advice(error) from None
            self.step += 1

            # Update EMA.
            if self.ema is not None:
                self.ema.update(self.task.network, self.step)

            # Log, sample and evaluate.
            if self.accelerator.is_main_process:
                log.scalars(self.step, values)
                self._sample(log)
                self._preview_metrics(log)
            self._evaluate(log)
            self.task.network.train()
            self._synchronize_task()
            if on_step is not None:
                on_step(self.step, self.config.steps, values)

            # Save checkpoint.
            if interrupt.requested or self._is_due(self.config.checkpoint_every) or self.task.finished:
                self._save_checkpoint()
            if interrupt.requested:
                self.on_message(f"stopped after step {self.step}; the same command resumes from there")
                raise KeyboardInterrupt

    def finish(self) -> Path:
        """Write the model."""
        path = self.out / "model.safetensors"
        if self.accelerator.is_main_process:
            provenance = {
                "settings": self.settings,
                "steps": self.step,
                "skipped": self.progress.skipped,
                "best": self.progress.best,
            }
            if self.task.keep_best and "checkpoint" in self.progress.best:
                best = self.folder / self.progress.best["checkpoint"]
                tensors = Checkpoint.load(best).tensors[MODEL if self.ema is None else EMA_FILE]
                self._restore(self.evaluated_network, tensors, str(best))
            model_file.write(path, self.task.model(self.evaluated_network, provenance))
        self.accelerator.wait_for_everyone()
        return path

    def _is_due(self, interval: int) -> bool:
        return self.step % interval == 0 or self.step == self.config.steps

    def _is_evaluation_due(self) -> bool:
        return self.config.evaluate_every is not None and self.step % self.config.evaluate_every == 0

    def _sample(self, log: Log) -> None:
        if self._is_due(self.config.sample_every):
            log.images(self.step, self.task.preview(self.evaluated_network.eval()))

    def _evaluate(self, log: Log) -> None:
        """Evaluate generated images by a protocol, on all processes."""
        if self.evaluation is None:
            return
        found = self.evaluation.evaluate(self.step, self.evaluated_network.eval())
        if found is None or not self.accelerator.is_main_process:
            return
        log.scalars(self.step, found.numbers)
        if found.is_best and found.judged.best is not None:
            best = found.judged.best
            self.progress.best = {
                "name": best.metric,
                "value": best.value,
                "checkpoint": f"step-{self.step:08d}",
            }
            self._save_checkpoint()

    def _preview_metrics(self, log: Log) -> None:
        if not self._is_evaluation_due():
            return
        numbers = self.task.evaluate(self.evaluated_network.eval())
        log.scalars(self.step, numbers)
        self.task.on_evaluation(numbers)
        if self._is_best(numbers):
            # The best checkpoint is saved at once, whatever the interval of the others.
            self._save_checkpoint()

    def _is_best(self, numbers: Mapping[str, float]) -> bool:
        """Whether an evaluation is the best so far; if so, it is noted."""
        if self.evaluation is not None:  # it selects the best checkpoint
            return False
        if self.task.best_metric is None or self.task.best_metric[0] not in numbers:
            return False
        name, higher_is_better = self.task.best_metric
        value, best = numbers[name], self.progress.best.get("value")
        if not math.isfinite(value):
            return False
        if best is not None and not (value > best if higher_is_better else value < best):
            return False
        self.progress.best = {"name": name, "value": value, "checkpoint": f"step-{self.step:08d}"}
        return True

    def _synchronize_task(self) -> None:
        """Send the state of the task after an evaluation from the main process to the others."""
        if self._is_evaluation_due() and self.accelerator.num_processes > 1:
            (state,) = broadcast_object_list([self.task.state()])
            self.task.restore(state)

    def _with_advice(self, error: TrainingStopped) -> TrainingStopped:
        newest = Checkpoint.latest(self.folder)
        kept = f"The last good checkpoint is {newest}" if newest else "No checkpoint exists yet"
        return TrainingStopped(
            f"Step {self.step}: {error}. {kept}; try a smaller learning rate or precision=float32."
        )

    def resume(self, accept_changes: bool) -> None:
        """Restore the newest checkpoint, if there is one.

        Raises:
            InputError: settings have changed that a resumed run must not change.
        """
        newest = Checkpoint.latest(self.folder)
        if newest is None:
            self.out.mkdir(parents=True, exist_ok=True)
            initial = self.task.initial_optimizer()
            if initial:
                checkpoints.restore_optimizer(self.train_step.optimizer, initial)
            if self.accelerator.is_main_process:
                text = yaml.safe_dump(self.settings, sort_keys=False, allow_unicode=True)
                atomic_write_text(self.out / "settings.yaml", text)
            return
        checkpoint = Checkpoint.load(newest)
        changes = self._changes(checkpoint.settings)
        if changes and not accept_changes:
            raise InputError(
                f"{self.out} holds a run of other settings ({'; '.join(changes)}). Use another --out, or resume with "
                "the new settings by --accept-changes."
            )
        self._restore(self.task.network, checkpoint.tensors[MODEL], str(newest))
        if self.ema is not None:
            self._restore(self.ema.network, checkpoint.tensors[EMA_FILE], str(newest))
        checkpoints.restore_optimizer(self.train_step.optimizer, checkpoint.tensors[OPTIMIZER])
        progress = checkpoint.progress
        if self.accelerator.scaler is not None and "scaler" in progress:
            self.accelerator.scaler.load_state_dict(progress["scaler"])
        self.step = checkpoint.step
        self.task.restore(progress.get("task", self.task.state()))
        self.progress = _Progress(progress.get("best", {}), progress.get("skipped", 0))
        if progress.get("data", self.data_digest) != self.data_digest:
            self.on_message(
                "warning: the training images changed since the last checkpoint (names, sizes or contents differ); "
                "the run continues with the present images"
            )
        self.on_message(f"resumes from step {self.step} of {self.config.steps}")

    def _changes(self, before: dict[str, Any]) -> list[str]:
        """List the settings that differ from those of a checkpoint and that the weights depend on."""
        # A cosine schedule depends on the number of steps.
        free = FREE_TO_CHANGE - ({"steps"} if self.config.optimizer.decay == "cosine" else set())
        before = as_current(type(self.config), before)
        changed = differences(before, self.settings)
        return [line for line in changed if line.partition(":")[0].partition(".")[0] not in free]

    def _save_checkpoint(self) -> None:
        if not self.accelerator.is_main_process:
            return
        tensors = {
            MODEL: self.task.checkpoint_state(self.task.network),
            OPTIMIZER: checkpoints.optimizer_tensors(self.train_step.optimizer),
        }
        if self.ema is not None:
            tensors[EMA_FILE] = self.task.checkpoint_state(self.ema.network)
        progress: dict[str, Any] = {
            "best": self.progress.best,
            "skipped": self.progress.skipped,
            "task": self.task.state(),
            "data": self.data_digest,
        }
        if self.accelerator.scaler is not None:
            progress["scaler"] = self.accelerator.scaler.state_dict()
        checkpoint = Checkpoint(self.step, tensors, self.settings, progress)
        checkpoint.save(self.folder, self.config.keep_checkpoints)

    def _restore(self, network: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
        checkpoints.load_strictly(network, tensors, where, self.task.checkpoint_state(network))

    def _batches(self, log: Log) -> Iterator[Batch]:
        """Load the batches of the remaining steps; report images that cannot be read."""
        config, accelerator = self.config, self.accelerator
        loading = Loading(
            config.batch_size,
            config.gradient_accumulation,
            accelerator.process_index,
            accelerator.num_processes,
            config.seed,
            config.workers,
        )
        for batch in load_batches(self.task.faces, loading, self.step, config.steps):
            for reason in batch.skipped:
                self.progress.skipped += 1
                self.on_message(f"skipped {reason}")
                log.event({"step": self.step, "skipped": reason})
            yield batch
