"""One optimizer step: loss and gradients of a batch in parts, clipping, and the optimizer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import nullcontext

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from facebench.core.errors import FacebenchError
from facebench.training.data.faces import Batch
from facebench.training.data.order import seed_of
from facebench.training.engine.optimizer import learning_rate, make_optimizer
from facebench.training.engine.rng import StepRng
from facebench.training.engine.sam import perturbed
from facebench.training.engine.settings import TrainConfig
from facebench.training.engine.task import Task

_NAMED_IMAGES = 8
"""Images of a batch that an error names."""


class TrainingStopped(FacebenchError):
    """Raised when the loss or the gradient is NaN or infinite."""


class TrainStep:
    """Loss and optimizer of a task, prepared for the devices and the precision of a run.

    Attributes:
        losses: module that computes the losses.
        optimizer: the optimizer itself, whose state goes into checkpoints.
    """

    def __init__(self, task: Task, config: TrainConfig, accelerator: Accelerator) -> None:
        self.task, self.config, self.accelerator = task, config, accelerator
        self.optimizer = make_optimizer(config.optimizer, task.parameters())
        self.losses, self._scaled_optimizer = accelerator.prepare(_Losses(task), self.optimizer)

    def accumulate_gradients(self, step: int, batches: Iterator[Batch]) -> dict[str, float]:
        """Compute the gradients of a step; return the mean losses.

        Raises:
            TrainingStopped: a loss is not finite.
        """
        if self.task.begin_step(step):
            self.optimizer.state.clear()
        parts = self.config.gradient_accumulation
        rho = self.config.optimizer.sam_rho
        if rho is None:
            return self._pass(step, (next(batches) for _ in range(parts)))
        held = [next(batches) for _ in range(parts)]
        mean = self._pass(step, held)
        with perturbed(self.task.parameters(), rho):
            self._scaled_optimizer.zero_grad(set_to_none=True)
            self._pass(step, held)
        return mean

    def _pass(self, step: int, batches: Iterable[Batch]) -> dict[str, float]:
        """Accumulate the gradients of the parts of a batch; return the mean losses."""
        parts = self.config.gradient_accumulation
        # Dropout uses the global generator.
        torch.manual_seed(seed_of(self.config.seed, "network", step, self.accelerator.process_index))
        mean: dict[str, float] = {}
        for part, batch in enumerate(batches):
            with nullcontext() if part == parts - 1 else self.accelerator.no_sync(self.losses):
                losses = self._evaluate_loss(step, batch)
                self.accelerator.backward(losses["loss"] / parts)
            for name, value in losses.items():
                mean[name] = mean.get(name, 0.0) + float(value.detach()) / parts
        return mean

    def run_optimizer(self, step: int) -> dict[str, float]:
        """Update the weights; return the norm of the gradient, the learning rate, and whether fp16 overflowed.

        Raises:
            TrainingStopped: the gradient is not finite.
        """
        rate = learning_rate(self.config.optimizer, step, self.config.steps) * self.task.lr_factor
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        values = {"gradient_norm": self._clip_gradients(), "learning_rate": rate}
        scaler = self.accelerator.scaler
        scale = scaler.get_scale() if scaler is not None else 1.0
        self._scaled_optimizer.step()
        if scaler is not None:
            # Fused Adam skips such a step itself, so Accelerate does not report it as skipped.
            values["overflow"] = float(scaler.get_scale() < scale)
        self._scaled_optimizer.zero_grad(set_to_none=True)
        return values

    def _evaluate_loss(self, step: int, batch: Batch) -> dict[str, Tensor]:
        device = self.accelerator.device
        rng = StepRng(self.config.seed, step, self.config.batch_size, batch.rows, device)
        losses: dict[str, Tensor] = self.losses(batch.to(device), rng)
        if not torch.isfinite(losses["loss"]):
            names = ", ".join(batch.names[:_NAMED_IMAGES]) + (" ..." if len(batch) > _NAMED_IMAGES else "")
            raise TrainingStopped(f"the loss is {float(losses['loss'].detach()):g} in the batch {names}")
        return losses

    def _clip_gradients(self) -> float:
        """Clip the gradients of each group to its own norm; return the norm of all gradients before clipping."""
        max_norm = self.config.optimizer.max_grad_norm or math.inf
        # Accelerate's own clipping would remove the loss scale once per group, which is an error.
        self.accelerator.unscale_gradients()
        norms = [float(nn.utils.clip_grad_norm_(group, max_norm)) for group in self.task.clip_groups()]
        norm = math.hypot(*norms)
        # fp16 overflows occasionally; its scaler then skips the step and halves the scale. With a scale below 1, the
        # cause is not the scale.
        scaler = self.accelerator.scaler
        if not math.isfinite(norm) and (scaler is None or scaler.get_scale() < 1):
            raise TrainingStopped(f"the norm of the gradient is {norm:g}")
        return norm


class _Losses(nn.Module):
    """The losses of a task as a module, which Accelerate wraps for distributed training."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task
        self.network = task.network

    def forward(self, batch: Batch, rng: StepRng) -> dict[str, Tensor]:
        return self.task.losses(self.network, batch, rng)
