"""The evaluator as a `torchmetrics.Metric`, for loops that hold their metrics in a `MetricCollection`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from facebench.evaluation.evaluator import Evaluator
from facebench.evaluation.record import Run


class FaceMetric(Metric):
    """Evaluates generated faces; `compute` returns a dict of numbers, and `run` holds the record.

    Images are kept in the memory of the CPU, and gathered over processes when `compute` is called. The state is no
    part of `state_dict`.

    Args:
        metrics: ids of the numbers to return; all metrics with a value if None.
        options: options of `facebench.Evaluator`, such as reference, protocol and suite.

    Example:
        >>> metric = FaceMetric(reference="photographs", suite="compact")
        >>> metric.update(torch.zeros(2, 3, 64, 64, dtype=torch.uint8))
        >>> metric.compute()  # doctest: +SKIP
        {'fd_lite0': tensor(12.3), ...}
    """

    is_differentiable = False
    full_state_update = False

    def __init__(self, metrics: Sequence[str] | None = None, **options: Any) -> None:
        # The evaluator gathers the images itself.
        super().__init__(sync_on_compute=False)
        self.chosen = None if metrics is None else tuple(metrics)
        chosen: dict[str, Any] = {} if metrics is None else {"metrics": ",".join(metrics)}
        self.evaluator = Evaluator(**chosen, **options)
        self.run: Run | None = None

    def update(self, images: Any, **columns: Sequence[Any]) -> None:
        """Add images, as `Evaluator.update` takes them."""
        self.evaluator.update(images, **columns)

    def compute(self) -> dict[str, Tensor]:
        """Evaluate the images of all processes.

        Returns:
            Numbers by metric id; NaN for a chosen metric without a value.
        """
        self.run = self.evaluator.compute()
        results = self.run.metrics
        names = (
            [name for name in results if results[name].value is not None]
            if self.chosen is None
            else self.chosen
        )
        values = {name: results[name].value for name in names if name in results}
        return {
            name: torch.tensor(float("nan") if value is None else value, dtype=torch.float64)
            for name, value in values.items()
        }

    def reset(self) -> None:
        """Remove all images of this process."""
        super().reset()
        self.evaluator.reset()
