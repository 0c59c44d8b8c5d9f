"""facebench: is this folder of generated faces good, diverse, the right person, with the right expression?"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from facebench.check import CheckReport, check
    from facebench.evaluate import evaluate
    from facebench.leaderboard import Leaderboard
    from facebench.results import Run, load_run

# Loaded on first use, so that `facebench --help` does not wait for torch.
_PUBLIC = {
    "evaluate": "facebench.evaluate",
    "Run": "facebench.results",
    "load_run": "facebench.results",
    "Leaderboard": "facebench.leaderboard",
    "check": "facebench.check",
    "CheckReport": "facebench.check",
}

__all__ = ["CheckReport", "Leaderboard", "Run", "__version__", "check", "evaluate", "load_run"]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'facebench' has no attribute {name!r}")


class _Package(ModuleType):
    """A package whose functions are not hidden by the modules of the same names that hold them."""

    def __setattr__(self, name: str, value: Any) -> None:
        # Importing facebench.check binds that module to the name `check` of this package.
        if not (name in _PUBLIC and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
