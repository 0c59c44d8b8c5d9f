"""Mapping of results by metric id, with an error that suggests ids."""

from __future__ import annotations

from typing import Never, TypeVar

from facebench.core.errors import InputError
from facebench.core.suggest import suggest

Result = TypeVar("Result")


class UnknownMetricError(InputError, KeyError):
    """A run has no result for a metric id; the message suggests ids of the run."""

    def __str__(self) -> str:
        """Return the message without the quotes of `KeyError`."""
        return str(self.args[0])


class MetricResults(dict[str, Result]):
    """Results by metric id: a dict whose missing keys raise `UnknownMetricError`.

    Example:
        >>> MetricResults(fd_lite0=1.25)["fd"]
        Traceback (most recent call last):
        facebench.evaluation.results_by_metric.UnknownMetricError: The run has no metric 'fd'. Did you mean fd_lite0?
    """

    def __missing__(self, metric: str) -> Never:
        """Raise `UnknownMetricError`."""
        raise UnknownMetricError(f"The run has no metric '{metric}'. {suggest(str(metric), self)}")
