"""When validation stops getting better: lower the learning rate, then stop."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import Field

from facebench.training.engine.settings import Settings

CLEARLY = 1e-4
"""Relative improvement below which the learning rate's schedule sees none, as in PyTorch."""


class PlateauSettings(Settings):
    """When to lower the learning rate and when to stop; one count is one validation, that is one epoch."""

    factor: float = Field(0.1, gt=0, lt=1)
    patience: int = Field(4, ge=0)
    """Validations without improvement that are put up with."""
    stop_after: int | None = Field(6, gt=0)
    """Stop when the best epoch lies this many epochs back; null never stops."""
    first_epoch: int = Field(0, ge=0)
    """First epoch, counted from 0, that is validated."""


@dataclass
class Plateau:
    """State of the schedule; everything in it is plain and goes into checkpoints.

    Example:
        >>> plateau = Plateau(PlateauSettings(patience=0, stop_after=2))
        >>> for accuracy in (0.6, 0.5, 0.7, 0.7, 0.7):
        ...     plateau.note(accuracy)
        >>> round(plateau.rate, 6), plateau.finished
        (0.001, True)
    """

    settings: PlateauSettings
    rate: float = 1.0
    """Factor on the learning rate."""
    epoch: int = 0
    """Epochs done."""
    finished: bool = False
    best: float = field(default=0.0)
    best_epoch: int = 0
    _top: float = float("-inf")
    _bad: int = 0

    @property
    def validates(self) -> bool:
        """Whether the epoch that ends now is validated."""
        return self.epoch >= self.settings.first_epoch

    def skip(self) -> None:
        """An epoch ends without validation."""
        self.epoch += 1

    def note(self, accuracy: float) -> None:
        """An epoch ends with this accuracy."""
        if accuracy > self._top * (1 + CLEARLY) or self._top == float("-inf"):
            self._top, self._bad = accuracy, 0
        else:
            self._bad += 1
        if self._bad > self.settings.patience:
            self.rate, self._bad = self.rate * self.settings.factor, 0
        if accuracy > self.best:
            self.best, self.best_epoch = accuracy, self.epoch
        limit = self.settings.stop_after
        self.finished = limit is not None and self.epoch - self.best_epoch >= limit
        self.epoch += 1

    def state(self) -> dict[str, float | int | bool | None]:
        """Everything that a later `restore` needs."""
        top = None if self._top == float("-inf") else self._top
        return {
            "rate": self.rate, "epoch": self.epoch, "finished": self.finished, "best": self.best,
            "best_epoch": self.best_epoch, "top": top, "bad": self._bad,
        }  # fmt: skip

    def restore(self, state: dict[str, float | int | bool | None]) -> None:
        """Go on from a state."""
        values = dict(state)
        top = values.pop("top")
        self._top = float("-inf") if top is None else float(top)
        self._bad = int(values.pop("bad") or 0)
        for name, value in values.items():
            setattr(self, name, value)
