"""The training loop: the same for every task, exactly resumable, and never without a good checkpoint.

Accelerate brings devices, mixed precision and several processes (`torchrun`); peft, which LoRA needs, brings
Accelerate, so it costs no further dependency. Everything random is a pure function of (seed, step), which is why
a checkpoint holds no generator state and a killed run ends with the weights of one that was never killed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from pydantic import ValidationError
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as recompute

from facebench.core.errors import FacebenchError, InputError
from facebench.training.data.faces import Batch
from facebench.training.data.loading import Loading, load_batches
from facebench.training.data.order import seed_of
from facebench.training.engine import checkpoints, model_file
from facebench.training.engine.allocator import keep_freed_memory
from facebench.training.engine.checkpoints import Snapshot
from facebench.training.engine.ema import Average
from facebench.training.engine.interrupt import InterruptFlag
from facebench.training.engine.log import Log
from facebench.training.engine.memory_layout import training_memory_format
from facebench.training.engine.optimizer import learning_rate, make_optimizer
from facebench.training.engine.rng import StepRng
from facebench.training.engine.settings import TrainConfig, differences
from facebench.training.engine.task import Task
from facebench.training.models.layers import ResidualBlock

FREE_TO_CHANGE = frozenset(
    {
        "steps",
        "keep",
        "checkpoint_every",
        "sample_every",
        "evaluate_every",
        "workers",
        "accumulate",
        "compile",
    }
)
"""Settings that a resumed run may change: they do not change the weights of a given step."""

Watch = Callable[[int, int, Mapping[str, float]], None]
"""Called after every step with (steps done, steps in all, losses)."""


class TrainingStopped(FacebenchError):
    """Training cannot go on: the loss is no number."""


@dataclass
class _Progress:
    """What a run remembers besides tensors."""

    best: dict[str, Any] = field(default_factory=dict)
    skipped: int = 0


class _Losses(nn.Module):
    """The task's losses as a module, whose forward several processes can wrap."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task
        self.network = task.network

    def forward(self, batch: Batch, rng: StepRng) -> dict[str, Tensor]:
        return self.task.losses(self.network, batch, rng)


def fit(
    task: Task,
    running: TrainConfig,
    settings: Mapping[str, Any],
    out: Path,
    *,
    device: str = "auto",
    accept_changes: bool = False,
    watch: Watch | None = None,
    say: Callable[[str], None] = print,
) -> Path:
    """Train, or go on training, and write `out`/model.safetensors.

    Args:
        task: what to train.
        running: how long and how.
        settings: all settings as plain values; kept in every checkpoint and in the model.
        out: folder of the run; when it holds checkpoints of the same settings the run goes on from the newest.
        device: "auto", "cpu", "cuda" or "mps".
        accept_changes: go on although settings have changed.
        watch: told of every step.
        say: told in a sentence what happens.

    Returns:
        Path of the model.

    Raises:
        InputError: the folder holds a run of other settings, the data is smaller than a batch, the disk is full.
        TrainingStopped: a loss or gradient is not finite; the last good checkpoint is kept.
        KeyboardInterrupt: after a checkpoint has been written.
    """
    keep_freed_memory()
    run = _Run(task, running, dict(settings), out, device, say)
    for note in task.warnings:
        say(note)
    run.resume(accept_changes)
    with Log(out, run.step) as log, InterruptFlag() as stop:
        run.train(log, stop, watch)
    return run.finish()


class _Run:
    """State of one training run."""

    def __init__(
        self,
        task: Task,
        running: TrainConfig,
        settings: dict[str, Any],
        out: Path,
        device: str,
        say: Callable[[str], None],
    ) -> None:
        self.task, self.running, self.settings, self.out, self.say = task, running, settings, out, say
        precision = {"float32": "no"}.get(running.precision, running.precision)
        self.accelerator = Accelerator(mixed_precision=precision, cpu=device == "cpu")
        place = self.accelerator.device
        self.step = 0
        self.progress = _Progress()
        task.network.to(place)
        if place.type == "cpu":
            task.network.to(memory_format=training_memory_format(task.network))
        if running.gradient_checkpointing:
            recompute_blocks(task.network)
        if running.compile:
            for child in task.network.children():
                child.compile()
        self.average = None
        if running.average is not None:
            self.average = Average(task.network, running.average, warm=running.average_warm)
        self.optimiser = make_optimizer(running.optimiser, task.parameters())
        self.model, self.stepper = self.accelerator.prepare(_Losses(task), self.optimiser)

    @property
    def folder(self) -> Path:
        return self.out / "checkpoints"

    @property
    def shown(self) -> nn.Module:
        """The network that samples and models are made of."""
        return self.task.network if self.average is None else self.average.network

    def resume(self, accept_changes: bool) -> None:
        """Take up the newest checkpoint, if there is one."""
        newest = checkpoints.latest(self.folder)
        if newest is None:
            self.out.mkdir(parents=True, exist_ok=True)
            if self.accelerator.is_main_process:
                text = yaml.safe_dump(self.settings, sort_keys=False, allow_unicode=True)
                (self.out / "settings.yaml").write_text(text, encoding="utf-8")
            return
        snapshot = checkpoints.load(newest)
        # A cosine knows where it ends.
        free = FREE_TO_CHANGE - ({"steps"} if self.running.optimiser.decay == "cosine" else set())
        changed = [
            line
            for line in differences(self._as_now(snapshot.settings), self.settings)
            if line.partition(":")[0] not in free
        ]
        if changed and not accept_changes:
            raise InputError(
                f"{self.out} holds a run of other settings ({'; '.join(changed)}). Use another --out, or go on "
                "with the new settings by --accept-changes."
            )
        self._restore(self.task.network, snapshot.tensors["model"], str(newest))
        if self.average is not None:
            self._restore(self.average.network, snapshot.tensors["average"], str(newest))
        checkpoints.restore_optimiser(self.optimiser, snapshot.tensors["optimiser"])
        if self.accelerator.scaler is not None and "scaler" in snapshot.progress:
            self.accelerator.scaler.load_state_dict(snapshot.progress["scaler"])
        self.step = snapshot.step
        self.task.restore(snapshot.progress.get("task", self.task.state()))
        self.progress = _Progress(snapshot.progress.get("best", {}), snapshot.progress.get("skipped", 0))
        self.say(f"goes on from step {self.step} of {self.running.steps}")

    def _as_now(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Settings of an older version of facebench with what has been added since, at its default."""
        try:
            return type(self.running).model_validate(settings).model_dump(mode="json")
        except ValidationError:
            return settings

    def train(self, log: Log, stop: InterruptFlag, watch: Watch | None) -> None:
        """Do the remaining steps."""
        running, accelerator = self.running, self.accelerator
        loading = Loading(
            running.batch,
            running.accumulate,
            accelerator.process_index,
            accelerator.num_processes,
            running.seed,
            running.workers,
        )
        batches = load_batches(self.task.faces, loading, self.step, running.steps)
        self.model.train()
        while self.step < running.steps and not self.task.finished:
            values = self._one_step(batches, log)
            self.step += 1
            if self.average is not None:
                self.average.update(self.task.network, self.step)
            if accelerator.is_main_process:
                log.numbers(self.step, values)
                self._look(log)
            self._agree()
            if watch is not None:
                watch(self.step, running.steps, values)
            if (
                stop.asked
                or self.step % running.checkpoint_every == 0
                or self.step == running.steps
                or self.task.finished
            ):
                self._checkpoint()
            if stop.asked:
                self.say(f"stopped after step {self.step}; the same command goes on from there")
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
            self._take_best()
            model_file.write(path, self.task.model(self.shown, provenance))
        self.accelerator.wait_for_everyone()
        return path

    def _take_best(self) -> None:
        if self.task.keep_best and "checkpoint" in self.progress.best:
            place = self.folder / self.progress.best["checkpoint"]
            tensors = checkpoints.load(place).tensors["model" if self.average is None else "average"]
            self._restore(self.shown, tensors, str(place))

    def _one_step(self, batches: Iterator[Batch], log: Log) -> dict[str, float]:
        running, accelerator = self.running, self.accelerator
        # Dropout reads the global generator.
        torch.manual_seed(seed_of(running.seed, "network", self.step, accelerator.process_index))
        rate = learning_rate(running.optimiser, self.step, running.steps) * self.task.lr_factor
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        total: dict[str, float] = {}
        for part in range(running.accumulate):
            batch = next(batches)
            self._note_skipped(batch, log)
            last = part == running.accumulate - 1
            with nullcontext() if last else accelerator.no_sync(self.model):
                losses = self._part(batch)
                accelerator.backward(losses["loss"] / running.accumulate)
            for name, value in losses.items():
                total[name] = total.get(name, 0.0) + float(value.detach()) / running.accumulate
        total["gradient_norm"] = self._gradient_norm()
        total["learning_rate"] = rate
        scaler = accelerator.scaler
        scale = scaler.get_scale() if scaler is not None else 1.0
        self.stepper.step()
        if scaler is not None:
            # Fused Adam leaves such a step out by itself, so Accelerate believes that it was taken.
            total["overflow"] = float(scaler.get_scale() < scale)
        self.stepper.zero_grad(set_to_none=True)
        return total

    def _part(self, batch: Batch) -> dict[str, Tensor]:
        running, device = self.running, self.accelerator.device
        rng = StepRng(running.seed, self.step, running.batch, batch.rows, device)
        losses: dict[str, Tensor] = self.model(batch.to(device), rng)
        if not torch.isfinite(losses["loss"]):
            raise self._stopped(f"the loss is {float(losses['loss'].detach()):g}", batch.names)
        return losses

    def _gradient_norm(self) -> float:
        clip = self.running.optimiser.clip or math.inf
        # Once for all groups: Accelerate's own clipping takes the scale off each time, and the second is an error.
        self.accelerator.unscale_gradients()
        norms = [float(nn.utils.clip_grad_norm_(part, clip)) for part in self.task.clip_groups()]
        norm = math.hypot(*norms)
        # Half precision overflows now and then; its scaler skips such a step and tries a smaller scale. Below 1 it is
        # not the scale that is too large.
        scaler = self.accelerator.scaler
        if not math.isfinite(norm) and (scaler is None or scaler.get_scale() < 1):
            raise self._stopped(f"the norm of the gradient is {norm:g}", ())
        return norm

    def _stopped(self, what: str, names: tuple[str, ...]) -> TrainingStopped:
        newest = checkpoints.latest(self.folder)
        batch = f" in the batch {', '.join(names[:8])}{' ...' if len(names) > 8 else ''}" if names else ""
        kept = f"The last good checkpoint is {newest}" if newest else "There is no checkpoint yet"
        return TrainingStopped(
            f"Step {self.step}: {what}{batch}. {kept}; try a smaller learning rate or precision=float32."
        )

    def _note_skipped(self, batch: Batch, log: Log) -> None:
        for trouble in batch.skipped:
            self.progress.skipped += 1
            self.say(f"skipped {trouble}")
            log.event({"step": self.step, "skipped": trouble})

    def _look(self, log: Log) -> None:
        """Sample and evaluate now and then."""
        running, step = self.running, self.step
        if step % running.sample_every == 0 or step == running.steps:
            log.pictures(step, self.task.preview(self.shown.eval()))
        if running.evaluate_every is not None and step % running.evaluate_every == 0:
            numbers = self.task.evaluate(self.shown.eval())
            log.numbers(step, numbers)
            self.task.on_evaluation(numbers)
            self._note_best(numbers)
        self.task.network.train()

    def _agree(self) -> None:
        """Tell the other processes what the main one has concluded from an evaluation."""
        due = self.running.evaluate_every is not None and self.step % self.running.evaluate_every == 0
        if due and self.accelerator.num_processes > 1:
            (state,) = broadcast_object_list([self.task.state()])
            self.task.restore(state)

    def _note_best(self, numbers: Mapping[str, float]) -> None:
        if self.task.best_metric is None or self.task.best_metric[0] not in numbers:
            return
        name, higher = self.task.best_metric
        value, before = numbers[name], self.progress.best.get("value")
        if before is None or (value > before if higher else value < before):
            # The checkpoint of this very step is written below, whatever the rhythm of the others.
            self.progress.best = {"name": name, "value": value, "checkpoint": f"step-{self.step:08d}"}
            self._checkpoint()

    def _checkpoint(self) -> None:
        if not self.accelerator.is_main_process:
            return
        tensors = {
            "model": self.task.checkpoint_state(self.task.network),
            "optimiser": checkpoints.optimiser_tensors(self.optimiser),
        }
        if self.average is not None:
            tensors["average"] = self.task.checkpoint_state(self.average.network)
        progress: dict[str, Any] = {
            "best": self.progress.best,
            "skipped": self.progress.skipped,
            "task": self.task.state(),
        }
        if self.accelerator.scaler is not None:
            progress["scaler"] = self.accelerator.scaler.state_dict()
        checkpoints.save(
            self.folder, Snapshot(self.step, tensors, self.settings, progress), self.running.keep
        )

    def _restore(self, network: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
        checkpoints.load_strictly(network, tensors, where, self.task.checkpoint_state(network))


def recompute_blocks(network: nn.Module) -> None:
    """Gradient checkpointing: keep only the inputs of residual blocks, compute the rest again on the way back."""
    for block in network.modules():
        if isinstance(block, ResidualBlock):
            forward = block.forward
            block.forward = lambda *given, _forward=forward: recompute(_forward, *given, use_reentrant=False)
