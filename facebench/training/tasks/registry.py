"""Registry of the training tasks; each kind is one file of `facebench.training.tasks`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from facebench.core.errors import InputError
from facebench.core.suggest import suggest
from facebench.training.engine.settings import Settings, TrainConfig, check
from facebench.training.engine.task import Task

KINDS = {
    "encoder": "encoder",
    "diffae": "diffae",
    "compact-autoencoder": "compact_autoencoder",
    "ddim": "ddim",
    "latent-dpm": "latent",
    "face-reader": "face_reader",
    "affect": "affect",
    "recognition": "recognition",
    "rig": "rig",
    "rig-emo": "rig_emo",
    "compact-rig": "compact_rig",
    "dreambooth": "dreambooth",
}
"""File of each kind; it defines `SETTINGS` (a subclass of TrainConfig) and `make(settings) -> Task`."""

COMPACT_KINDS = {"diffae": "compact-autoencoder", "rig": "compact-rig"}
"""Kinds of the compact networks by the kind that included them in older versions."""
VARIANTS = {"diffae": ("compact-autoencoder",), "rig": ("compact-rig", "rig-emo")}
"""Kinds whose settings are also accepted under the name of a more general kind."""

CLASSIFIER = "classifier"
"""Editing directions, which are computed without the training loop."""


@dataclass(frozen=True)
class Prepared:
    """Validated settings and their task."""

    settings: TrainConfig
    task: Task


def known(kind: str) -> str:
    """Return the kind itself.

    Raises:
        InputError: the kind is unknown; the message suggests the closest name.
    """
    names = (*KINDS, CLASSIFIER)
    if kind not in names:
        raise InputError(f"'{kind}' is not a kind of training. {suggest(kind, names)}")
    return kind


def settings_class(kind: str | None) -> type[Settings]:
    """Return the settings class of a kind, or the common base of all tasks for an unknown kind."""
    if kind == CLASSIFIER:
        from facebench.training.tasks.classifier import ClassifierSettings

        return ClassifierSettings
    return _module(kind).SETTINGS if kind in KINDS else TrainConfig


def prepare(kind: str, content: Mapping[str, Any], where: str) -> Prepared:
    """Validate settings and make the task, which opens its data and builds its network.

    Args:
        kind: one of `KINDS`. For `diffae` and `rig`, settings of their `VARIANTS` are accepted as well.
        content: settings as plain values, see `facebench.training.presets.read`.
        where: the preset or file, for messages.

    Raises:
        InputError: the kind is unknown, or the settings do not fit it.
    """
    known(kind)
    content = dict(content)
    declared = known(content.pop("train", kind))
    current = current_kind(declared, content)
    if current not in (current_kind(kind, content), *VARIANTS.get(kind, ())):
        raise InputError(f"{where} holds settings of the kind '{declared}'. Use: facebench train {declared}")
    module = _module(current)
    settings = check(module.SETTINGS, content, where)
    task: Task = module.make(settings)
    return Prepared(task.resolve(settings), task)


def current_kind(kind: str, content: Mapping[str, Any]) -> str:
    """Return the compact kind where settings of an older version describe a compact network."""
    if kind in COMPACT_KINDS and _module(kind).describes_compact(content):
        return COMPACT_KINDS[kind]
    return kind


def _module(kind: str) -> ModuleType:
    return importlib.import_module(f"facebench.training.tasks.{KINDS[kind]}")
