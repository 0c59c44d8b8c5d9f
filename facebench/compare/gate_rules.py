"""Rules of the gate: by how much each metric may be worse than the baseline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from facebench.core.errors import InputError
from facebench.core.suggest import suggest
from facebench.core.yaml_text import parse_yaml


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class Rule(_Strict):
    """Conditions on one metric; every given condition must hold.

    Attributes:
        min: smallest allowed value.
        max: largest allowed value.
        change: largest allowed worsening, in the unit of the metric; in either direction where neither is better.
        relative: largest allowed worsening as a fraction of the baseline value: 0.05 is five percent.
        interval: whether the metric must not be worse at the level of the record.
    """

    min: float | None = None
    max: float | None = None
    change: float | None = Field(default=None, ge=0)
    relative: float | None = Field(default=None, ge=0)
    interval: bool = False

    @model_validator(mode="after")
    def _check_conditions(self) -> Rule:
        if not self.model_fields_set:
            raise ValueError("the rule is empty: give min, max, change, relative or interval")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self

    @property
    def compares(self) -> bool:
        """Whether the rule needs the value of the baseline."""
        return self.interval or self.change is not None or self.relative is not None

    @property
    def judges_without_interval(self) -> bool:
        """Whether the rule has a condition that needs no interval."""
        return any(bound is not None for bound in (self.min, self.max, self.change, self.relative))

    @property
    def judges(self) -> bool:
        """Whether the rule can fail; `interval: false` alone only shows the metric."""
        return self.compares or self.min is not None or self.max is not None


class Rules(_Strict):
    """Rules of the gate.

    Attributes:
        level: probability that a record fails by chance although no metric is worse.
        default: rule of all metrics that have a better direction.
        metrics: rules that replace the default, by metric id.
    """

    level: float = Field(default=0.05, gt=0, lt=0.5)
    default: Rule = Rule(interval=True)
    metrics: dict[str, Rule] = {}

    def of(self, metric: str, better: str) -> Rule:
        """Return the rule of a metric; without a rule of its own, a metric without a better direction is shown only."""
        return self.metrics.get(metric) or (Rule(interval=False) if better == "neither" else self.default)


def read_rules(rules: Rules | Mapping[str, Any] | str | Path | None, known: Iterable[str]) -> Rules:
    """Read rules from a YAML file or a mapping.

    Args:
        rules: a file, a mapping, or rules; None for the default rule.
        known: metric ids that the rules may name.

    Raises:
        InputError: the file is missing or not YAML, or a key is unknown or has an invalid value. The message
            names the file and the key, and suggests a known key.

    Example:
        >>> read_rules({"metrics": {"fid_clean": {"max": 30.0}}}, ["fid_clean"]).of("fid_clean", "lower").max
        30.0
    """
    if isinstance(rules, Rules):
        return rules
    if rules is None:
        return Rules()
    source = str(rules) if isinstance(rules, str | Path) else "rules"
    content = _read_yaml(Path(rules)) if isinstance(rules, str | Path) else rules
    if not isinstance(content, Mapping):
        raise InputError(
            f"{source}: expected the keys `default`, `metrics` and `level`, found {type(content).__name__}."
        )
    try:
        validated = Rules.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{source}: {_explain(error)}") from error
    for metric in validated.metrics:
        if metric not in set(known):
            raise InputError(
                f"{source}: metrics.{metric}: neither the run nor the baseline has this metric. "
                f"{suggest(metric, known)}"
            )
    return validated


def _read_yaml(file: Path) -> Any:
    try:
        return parse_yaml(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"The rules {file} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise InputError(f"{file}: not valid YAML: {error}. Correct the file.") from error


def _explain(error: ValidationError) -> str:
    parts = []
    for problem in error.errors():
        path = [str(step) for step in problem["loc"]]
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            model = Rules if len(path) == 1 else Rule
            message = f"unknown key. {suggest(path[-1], model.model_fields)}"
        parts.append(f"{'.'.join(path)}: {message}")
    return "; ".join(parts)
