"""Settings of a training run: a preset or a YAML file, changed by `key=value`, checked before anything starts."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from facebench.core.errors import InputError

KEYS_BY_KIND = ("data", "prior_data", "validation")
"""Settings whose further keys depend on their key `kind`."""


class Settings(BaseModel):
    """Base of all settings: unknown keys are errors, values are not converted, nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True)


S = TypeVar("S", bound=Settings)


class OptimizerConfig(Settings):
    """How weights move."""

    kind: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: float = Field(1e-4, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    """Of sgd."""
    warmup: int = Field(0, ge=0)
    """Steps over which the learning rate rises from zero."""
    decay: Literal["constant", "cosine"] = "constant"
    clip: float | None = Field(1.0, gt=0)
    """Largest norm of the gradient; null leaves it alone."""


class TrainConfig(Settings):
    """How long, how often, how precisely; the same for every kind of training."""

    seed: int = Field(0, ge=0)
    steps: int = Field(..., gt=0)
    batch: int = Field(..., gt=0)
    """Images per optimiser step, over all processes and accumulated parts."""
    accumulate: int = Field(1, gt=0)
    """Parts that a process cuts its share of a batch into, to save memory."""
    optimiser: OptimizerConfig = OptimizerConfig()
    average: float | None = Field(0.9999, gt=0, lt=1)
    """Decay of the moving average of the weights; null keeps none."""
    average_warm: bool = False
    """Let the average follow faster in the first steps; for short runs."""
    precision: Literal["float32", "bf16", "fp16"] = "float32"
    compile: bool = False
    gradient_checkpointing: bool = False
    workers: int = Field(1, ge=0)
    """Processes that read or render images, per training process."""
    checkpoint_every: int = Field(1000, gt=0)
    keep: int = Field(2, gt=0)
    """How many checkpoints stay on disk, besides the best."""
    sample_every: int = Field(1000, gt=0)
    evaluate_every: int | None = Field(None, gt=0)
    """Steps between small evaluations; null evaluates never."""


def preset_names() -> list[str]:
    """Names of the presets that ship with facebench."""
    folder = resources.files("facebench.training") / "presets"
    return sorted(
        entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")
    )


def read(config: str | Path, changes: Sequence[str] = ()) -> dict[str, Any]:
    """Read a preset or a YAML file and apply `key=value` changes.

    Args:
        config: name of a preset, or path of a YAML file; a file may name the preset it starts from as `preset`.
        changes: such as "steps=100" or "optimiser.learning_rate=3e-4"; values are YAML.

    Raises:
        InputError: no such preset or file, text that is no YAML mapping, or a change without "=".

    Example:
        >>> read("diffae-64-synthface", ["steps=10"])["steps"]
        10
    """
    content = _content(config)
    base = content.pop("preset", None)
    if base is not None:
        content = _merged(_content(str(base)), content)
    wanted: dict[str, Any] = {}
    for change in changes:
        wanted = _merged(wanted, _change(change))
    return _merged(content, wanted)


def check(kind: type[S], content: Mapping[str, Any], where: str) -> S:
    """Turn a mapping into settings.

    Raises:
        InputError: an unknown key (the closest known one is suggested), a wrong type, or a value out of range.
    """
    try:
        return kind.model_validate(dict(content))
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{where}: {_explained(kind, first)}") from None


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What changed between two plain settings, one line each.

    Example:
        >>> differences({"steps": 10, "data": {"seed": 1}}, {"steps": 20, "data": {"seed": 1}})
        ['steps: 10 -> 20']
    """
    old, new = dict(_leaves(before)), dict(_leaves(now))
    return [
        f"{key}: {json.dumps(old.get(key))} -> {json.dumps(new.get(key))}"
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key)
    ]


def _content(config: str | Path) -> dict[str, Any]:
    path = Path(config)
    if path.suffix in (".yaml", ".yml") or path.is_file():  # a folder may be called like a preset
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read ({error}).") from None
    else:
        names = preset_names()
        if str(config) not in names:
            raise InputError(f"There is no preset '{config}'. {_closest(str(config), names)}")
        text = (resources.files("facebench.training") / "presets" / f"{config}.yaml").read_text(
            encoding="utf-8"
        )
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{config}: is not YAML ({str(error).splitlines()[0]}).") from None
    if not isinstance(content, dict):
        raise InputError(f"{config}: settings are a mapping of keys to values.")
    return content


def _change(change: str) -> dict[str, Any]:
    key, equals, text = change.partition("=")
    if not equals or not key:
        raise InputError(f"'{change}' is no change of the settings. Write key=value, such as steps=100.")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise InputError(f"'{change}': the value is not YAML.") from None
    if isinstance(value, str):
        value = _number(value)
    for word in reversed(key.split(".")):
        value = {word: value}
    return dict(value)


def _number(text: str) -> str | float:
    """YAML 1.1 takes 1e-4 for text; people mean the number."""
    try:
        return float(text)
    except ValueError:
        return text


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping) and not _another_kind(key, below, value):
            merged[key] = _merged(below, value)
        else:
            merged[key] = value
    return merged


def _another_kind(key: str, below: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    """Whether data of one kind is replaced by data of another, whose keys are others."""
    return key in KEYS_BY_KIND and {"kind"} <= below.keys() & value.keys() and below["kind"] != value["kind"]


def _leaves(content: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    leaves: list[tuple[str, Any]] = []
    for key, value in content.items():
        name = f"{above}{key}"
        leaves += _leaves(value, f"{name}.") if isinstance(value, Mapping) else [(name, value)]
    return leaves


def _explained(kind: type[Settings], error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        known = _keys(kind)
        return f"there is no key '{key}'. {_closest(key, known)}"
    if error["type"] == "missing":
        return f"the key '{key}' is missing."
    return f"'{key}' is {json.dumps(error.get('input'), default=str)}: {error['msg'].lower()}."


def _keys(kind: type[BaseModel], above: str = "") -> list[str]:
    keys: list[str] = []
    for name, field in kind.model_fields.items():
        keys.append(above + name)
        below = field.annotation
        if isinstance(below, type) and issubclass(below, BaseModel):
            keys += _keys(below, f"{above}{name}.")
    return keys


def _closest(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"Did you mean '{close[0]}'?" if close else f"Known: {', '.join(known)}."
