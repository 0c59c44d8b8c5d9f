"""facebench: evaluate generated and edited face images.

Quality, diversity, identity and expression, with an interval on every number.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from facebench.core.version import __version__

if TYPE_CHECKING:
    from facebench import backbones, compare, metrics, synthface, training
    from facebench.compare.gate import CheckReport, check
    from facebench.compare.leaderboard import Leaderboard
    from facebench.evaluation.evaluator import Evaluator
    from facebench.evaluation.pipeline import evaluate
    from facebench.evaluation.record import Run, load_run

# Imported on first use: `facebench --help` does not wait for torch.
_FUNCTIONS = {
    "CheckReport": "facebench.compare.gate",
    "Evaluator": "facebench.evaluation.evaluator",
    "Leaderboard": "facebench.compare.leaderboard",
    "Run": "facebench.evaluation.record",
    "check": "facebench.compare.gate",
    "evaluate": "facebench.evaluation.pipeline",
    "load_run": "facebench.evaluation.record",
}
_MODULES = ("backbones", "compare", "metrics", "synthface", "training")

__all__ = [
    "CheckReport",
    "Evaluator",
    "Leaderboard",
    "Run",
    "__version__",
    "backbones",
    "check",
    "compare",
    "evaluate",
    "load_run",
    "metrics",
    "synthface",
    "training",
]


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(_FUNCTIONS[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"facebench.{name}")
    raise AttributeError(f"module 'facebench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
