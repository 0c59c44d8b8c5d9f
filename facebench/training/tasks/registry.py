"""Which kinds of training there are; each lives in one file of `facebench.training.tasks`."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from facebench.core.errors import InputError
from facebench.training.engine.settings import TrainConfig, check
from facebench.training.engine.task import Task

KINDS = {
    "encoder": "encoder",
    "diffae": "diffae",
    "ddim": "ddim",
    "latent-dpm": "latent",
    "face-reader": "face_reader",
    "recognition": "recognition",
    "rig": "rig",
    "dreambooth": "dreambooth",
}
"""Name of a kind, and of its file, which holds `SETTINGS` (a subclass of TrainConfig) and `make(settings) -> Task`."""

CLASSIFIER = "classifier"
"""Directions in z_sem: found in one go, so they do without the loop."""


@dataclass(frozen=True)
class Prepared:
    """Checked settings, and the task that they describe."""

    settings: TrainConfig
    task: Task


def known(kind: str) -> str:
    """The kind itself.

    Raises:
        InputError: there is no such kind; names the closest.
    """
    names = (*KINDS, CLASSIFIER)
    if kind not in names:
        close = difflib.get_close_matches(kind, names, n=1)
        hint = f"Did you mean '{close[0]}'?" if close else f"Known: {', '.join(names)}."
        raise InputError(f"There is no training of the kind '{kind}'. {hint}")
    return kind


def prepare(kind: str, content: Mapping[str, Any], where: str) -> Prepared:
    """Check settings and make the task: data is opened, networks are built.

    Args:
        kind: one of `KINDS`.
        content: settings as plain values, see `facebench.training.engine.settings.read`.
        where: the preset or file, for messages.

    Raises:
        InputError: no such kind, or settings that do not fit it.
    """
    known(kind)
    content = dict(content)
    said = content.pop("train", kind)
    if said != kind:
        raise InputError(f"{where} holds settings of the kind '{said}'. Say: facebench train {said}")
    module = importlib.import_module(f"facebench.training.tasks.{KINDS[kind]}")
    settings = check(module.SETTINGS, content, where)
    task: Task = module.make(settings)
    return Prepared(task.resolve(settings), task)
