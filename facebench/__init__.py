"""facebench: evaluate generated and edited face images.

Quality, diversity, identity and expression, with an interval on every number.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from facebench.core.version import __version__
from facebench.evaluation.run_views import RunViews, provide_run_views

if TYPE_CHECKING:
    from facebench import backbones, compare, metrics, synthface, training
    from facebench.compare.gate import CheckReport, check
    from facebench.compare.leaderboard import Leaderboard
    from facebench.evaluation.config import EvaluationConfig
    from facebench.evaluation.evaluator import Evaluator
    from facebench.evaluation.pipeline import evaluate
    from facebench.evaluation.record import Run
    from facebench.evaluation.record_reading import load_run
    from facebench.evaluation.torch_metric import FaceMetric
    from facebench.training.engine.callbacks.accelerate import evaluate_step, pipeline_sampler
    from facebench.training.engine.callbacks.lightning import LightningEvaluation
    from facebench.training.engine.callbacks.periodic import PeriodicEvaluation, Schedule
    from facebench.training.engine.callbacks.transformers import TrainerEvaluation

# Imported on first use: `facebench --help` does not wait for torch.
_FUNCTIONS = {
    "CheckReport": "facebench.compare.gate",
    "EvaluationConfig": "facebench.evaluation.config",
    "Evaluator": "facebench.evaluation.evaluator",
    "FaceMetric": "facebench.evaluation.torch_metric",
    "Leaderboard": "facebench.compare.leaderboard",
    "LightningEvaluation": "facebench.training.engine.callbacks.lightning",
    "PeriodicEvaluation": "facebench.training.engine.callbacks.periodic",
    "Run": "facebench.evaluation.record",
    "Schedule": "facebench.training.engine.callbacks.periodic",
    "TrainerEvaluation": "facebench.training.engine.callbacks.transformers",
    "check": "facebench.compare.gate",
    "evaluate": "facebench.evaluation.pipeline",
    "evaluate_step": "facebench.training.engine.callbacks.accelerate",
    "load_run": "facebench.evaluation.record_reading",
    "pipeline_sampler": "facebench.training.engine.callbacks.accelerate",
}
_MODULES = ("backbones", "compare", "metrics", "synthface", "training")

__all__ = [
    "CheckReport",
    "EvaluationConfig",
    "Evaluator",
    "FaceMetric",
    "Leaderboard",
    "LightningEvaluation",
    "PeriodicEvaluation",
    "Run",
    "Schedule",
    "TrainerEvaluation",
    "__version__",
    "backbones",
    "check",
    "compare",
    "evaluate",
    "evaluate_step",
    "load_run",
    "metrics",
    "pipeline_sampler",
    "synthface",
    "training",
]


def _notebook_views() -> RunViews:
    from facebench.report import notebook

    return notebook


provide_run_views(_notebook_views)


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(_FUNCTIONS[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"facebench.{name}")
    raise AttributeError(f"module 'facebench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
