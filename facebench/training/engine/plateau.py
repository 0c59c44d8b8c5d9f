"""Learning rate schedule and early stopping by validation accuracy."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import Field

from facebench.training.engine.settings import Settings

THRESHOLD = 1e-4
"""Relative improvement that resets `patience`, as in PyTorch's ReduceLROnPlateau."""


class PlateauSettings(Settings):
    """When to lower the learning rate and when to stop, in epochs."""

    factor: float = Field(0.1, gt=0, lt=1)
    """Factor by which the learning rate decreases."""
    patience: int = Field(4, ge=0)
    """Validations without improvement before the learning rate decreases."""
    stop_after: int | None = Field(6, gt=0)
    """Epochs since the best one after which training stops; null disables early stopping."""
    first_epoch: int = Field(0, ge=0)
    """First epoch that is validated, from 0."""


@dataclass
class Plateau:
    """State of the schedule.

    Example:
        >>> plateau = Plateau(PlateauSettings(patience=0, stop_after=2))
        >>> for accuracy in (0.6, 0.5, 0.7, 0.7, 0.7):
        ...     plateau.update(accuracy)
        >>> round(plateau.rate, 6), plateau.finished
        (0.001, True)
    """

    settings: PlateauSettings
    rate: float = 1.0
    """Factor on the learning rate."""
    epoch: int = 0
    """Number of epochs done."""
    finished: bool = False
    best: float = field(default=0.0)
    best_epoch: int = 0
    _reference: float = float("-inf")
    _bad_epochs: int = 0

    @property
    def is_validation_due(self) -> bool:
        """Whether the current epoch is validated."""
        return self.epoch >= self.settings.first_epoch

    def skip_epoch(self) -> None:
        """End an epoch without validation."""
        self.epoch += 1

    def update(self, accuracy: float) -> None:
        """End an epoch with its validation accuracy."""
        if accuracy > self._reference * (1 + THRESHOLD) or self._reference == float("-inf"):
            self._reference, self._bad_epochs = accuracy, 0
        else:
            self._bad_epochs += 1
        if self._bad_epochs > self.settings.patience:
            self.rate, self._bad_epochs = self.rate * self.settings.factor, 0
        if accuracy > self.best:
            self.best, self.best_epoch = accuracy, self.epoch
        limit = self.settings.stop_after
        self.finished = limit is not None and self.epoch - self.best_epoch >= limit
        self.epoch += 1

    def state(self) -> dict[str, float | int | bool | None]:
        """Return the state as plain values, for checkpoints."""
        reference = None if self._reference == float("-inf") else self._reference
        return {
            "rate": self.rate, "epoch": self.epoch, "finished": self.finished, "best": self.best,
            "best_epoch": self.best_epoch, "top": reference, "bad": self._bad_epochs,
        }  # fmt: skip

    def restore(self, state: dict[str, float | int | bool | None]) -> None:
        """Restore the state."""
        values = dict(state)
        reference = values.pop("top")
        self._reference = float("-inf") if reference is None else float(reference)
        self._bad_epochs = int(values.pop("bad") or 0)
        for name, value in values.items():
            setattr(self, name, value)
