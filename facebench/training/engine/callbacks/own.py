"""Evaluation inside the training loop of this project, from its settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from facebench.training.data.loading import collate, try_read
from facebench.training.engine.callbacks.periodic import PeriodicEvaluation, Schedule
from facebench.training.engine.image_grid import to_images
from facebench.training.engine.settings import EvaluationSettings
from facebench.training.engine.task import Task

FOLDER = "evaluations"
"""Folder of the records in the folder of a training run."""


def of_settings(
    task: Task, settings: EvaluationSettings, out: Path, on_message: Callable[[str], None]
) -> PeriodicEvaluation:
    """Return the evaluation of a task.

    Raises:
        InputError: an option is wrong.
    """
    options: dict[str, Any] = {
        "protocol": settings.protocol,
        "suite": settings.suite,
        "metrics": settings.metrics,
        "reference": _faces(task, settings.images) if settings.reference is None else settings.reference,
        "name": out.name,
    }
    return PeriodicEvaluation(
        task.generate,
        Schedule(settings.every, settings.time_budget),
        settings.images,
        out / FOLDER,
        options,
        metric=settings.metric,
        on_message=on_message,
    )


def _faces(task: Task, count: int) -> Any:
    """Return the first faces of the training set as uint8 images."""
    first = range(min(count, len(task.faces)))
    return to_images(collate([try_read(task.faces, row, row) for row in first]).x_0)
