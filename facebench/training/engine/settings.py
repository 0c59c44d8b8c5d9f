"""Training settings: pydantic models, and the keys that older versions of facebench used."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, get_args

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, model_validator

from facebench.core.errors import InputError
from facebench.core.suggest import suggest


class Settings(BaseModel):
    """Base of all settings: immutable, and unknown keys are errors.

    Keys of older versions are accepted: a renamed field lists its former names as `AliasChoices`. If a mapping holds
    several names of one key, the last one wins, because overrides follow the values that they override.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    REMOVED: ClassVar[Mapping[str, Any]] = {}
    """Keys that this version removed, with the only value that still has a meaning; other values are errors."""

    @model_validator(mode="before")
    @classmethod
    def _read_former_keys(cls, values: Any) -> Any:
        return cls.with_current_keys(values) if isinstance(values, Mapping) else values

    @classmethod
    def with_current_keys(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Rename former keys, also in nested settings, and leave out removed keys whose value has no effect.

        Example:
            >>> TrainConfig.with_current_keys({"batch": 8, "optimiser": {"clip": 1.0}})
            {'batch_size': 8, 'optimizer': {'max_grad_norm': 1.0}}
        """
        current = {former: name for name in cls.model_fields for former in cls.former_names(name)}
        renamed: dict[str, Any] = {}
        for key, value in values.items():
            if key in cls.REMOVED and value == cls.REMOVED[key]:
                continue
            name = current[key] if key in current else key  # noqa: SIM401 - mypy infers None from `get`
            nested = _nested(cls.model_fields[name].annotation) if name in cls.model_fields else []
            for settings in nested if isinstance(value, Mapping) else []:
                value = settings.with_current_keys(value)
            renamed[name] = value
        return renamed

    @classmethod
    def former_names(cls, name: str) -> tuple[str, ...]:
        """Return the names that a key had in older versions."""
        alias = cls.model_fields[name].validation_alias
        if not isinstance(alias, AliasChoices):
            return ()
        return tuple(choice for choice in alias.choices if isinstance(choice, str) and choice != name)

    @classmethod
    def uses_removed_keys(cls, values: Mapping[str, Any]) -> bool:
        """Whether a removed key has a value that this version cannot express."""
        return any(values.get(key, meaningful) != meaningful for key, meaningful in cls.REMOVED.items())


S = TypeVar("S", bound=Settings)


class OptimizerConfig(Settings):
    """Optimizer settings."""

    kind: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: float = Field(1e-4, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    """Momentum of SGD."""
    warmup: int = Field(0, ge=0)
    """Steps in which the learning rate rises linearly from zero."""
    decay: Literal["constant", "cosine"] = "constant"
    """Learning rate schedule after the warm-up."""
    cosine_steps: int | None = Field(None, gt=0)
    """Steps of half a period of the cosine, which then oscillates; null for all steps of the run."""
    max_grad_norm: float | None = Field(1.0, gt=0, validation_alias=AliasChoices("max_grad_norm", "clip"))
    """Norm to which gradients are clipped; null disables clipping."""
    sam_rho: float | None = Field(None, gt=0)
    """Radius of sharpness-aware minimisation (SAM), which takes two passes for each step; null disables it."""


class EvaluationSettings(Settings):
    """Evaluation of generated images during training, by a protocol and with intervals."""

    every: int = Field(..., gt=0)
    """Steps between evaluations."""
    images: int = Field(1000, gt=1)
    """Generated images of one evaluation."""
    reference: Path | None = None
    """Folder of real faces, or statistics file; null takes as many faces of the training set."""
    protocol: str = "quality"
    suite: Literal["auto", "paper", "compact"] = "auto"
    metrics: tuple[str, ...] | None = None
    """Metric ids to compute; null for all of the protocol."""
    metric: str | None = None
    """Metric of the best checkpoint; null for the primary metric of the protocol."""
    time_budget: float | None = Field(None, gt=0, le=1)
    """Largest share of the time of the training that evaluations may take."""


class TrainConfig(Settings):
    """Settings that all training tasks share."""

    seed: int = Field(0, ge=0)
    steps: int = Field(..., gt=0)
    """Optimizer steps."""
    batch_size: int = Field(..., gt=0, validation_alias=AliasChoices("batch_size", "batch"))
    """Images per optimizer step, summed over all processes and accumulated parts."""
    gradient_accumulation: int = Field(
        1, gt=0, validation_alias=AliasChoices("gradient_accumulation", "accumulate")
    )
    """Parts into which each process splits its share of a batch, to save memory."""
    optimizer: OptimizerConfig = Field(
        OptimizerConfig(), validation_alias=AliasChoices("optimizer", "optimiser")
    )
    ema_decay: float | None = Field(0.9999, gt=0, lt=1, validation_alias=AliasChoices("ema_decay", "average"))
    """Decay of the exponential moving average of the weights; null disables the average."""
    ema_warmup: bool = Field(False, validation_alias=AliasChoices("ema_warmup", "average_warm"))
    """Use smaller decays in the first steps; for short runs."""
    precision: Literal["float32", "bf16", "fp16"] = "float32"
    compile: bool = False
    gradient_checkpointing: bool = False
    workers: int = Field(1, ge=0)
    """Processes that read or render images, per training process."""
    checkpoint_every: int = Field(1000, gt=0)
    """Steps between checkpoints."""
    keep_checkpoints: int = Field(2, gt=0, validation_alias=AliasChoices("keep_checkpoints", "keep"))
    """Number of recent checkpoints on disk; the best checkpoint is kept in addition."""
    sample_every: int = Field(1000, gt=0)
    """Steps between sample images."""
    evaluate_every: int | None = Field(None, gt=0)
    """Steps between evaluations on a few images; null disables them."""
    evaluation: EvaluationSettings | None = None
    """Evaluation by a protocol; it selects the best checkpoint if it is set."""


def check(kind: type[S], content: Mapping[str, Any], where: str) -> S:
    """Validate plain settings.

    Args:
        kind: class of the settings.
        content: plain values; keys of older versions are accepted.
        where: preset or file, for messages.

    Raises:
        InputError: an unknown key, a wrong type, or a value out of range.
    """
    try:
        return kind.model_validate(dict(content))
    except ValidationError as error:
        raise InputError(f"{where}: {_explain(kind, error.errors()[0])}") from None


def as_current(kind: type[Settings], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the settings in an older checkpoint: current keys, and defaults for keys that were added since."""
    try:
        return kind.model_validate(dict(settings)).model_dump(mode="json")
    except ValidationError:
        return kind.with_current_keys(settings)


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Describe what changed between two plain settings, one line per key.

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


def _leaves(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _nested(annotation: Any) -> list[type[Settings]]:
    """List the settings classes in an annotation, including the members of unions."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return [annotation]
    return [model for part in get_args(annotation) for model in _nested(part)]


def _explain(kind: type[Settings], error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"'{key}' is not a key. {suggest(key, _keys(kind))}"
    if error["type"] == "missing":
        return f"the key '{key}' is missing."
    return f"'{key}' is {json.dumps(error.get('input'), default=str)}: {error['msg'].lower()}."


def _keys(kind: type[BaseModel], prefix: str = "") -> list[str]:
    keys: list[str] = []
    for name, field in kind.model_fields.items():
        keys.append(prefix + name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys += _keys(field.annotation, f"{prefix}{name}.")
    return keys
