"""Views of a run in a notebook. The package provides them, because the room that draws them imports this one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from facebench.evaluation.record import Run


class RunViews(Protocol):
    """Plots and images of a run; `facebench.report.notebook` implements them."""

    def plot(self, run: Run, name: str | None = None) -> Any:
        """Return a plot of a run."""

    def images(self, run: Run, *, worst: str | None = None, best: str | None = None, n: int = 12) -> Any:
        """Return images of a run with the worst or the best values of a metric."""


_loaders: list[Callable[[], RunViews]] = []


def provide_run_views(load: Callable[[], RunViews]) -> None:
    """Set the function that returns the views; it is called on each use, and may import them."""
    _loaders[:] = [load]


def run_views() -> RunViews:
    """Return the views that the package provides."""
    return _loaders[0]()
