"""Rules of the gate: how much worse than the baseline each number may be, read from YAML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from facebench.core.errors import InputError
from facebench.core.suggest import suggest


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class Rule(_Strict):
    """What one metric must keep; every key that is given must hold."""

    min: float | None = None
    """Smallest value allowed, whatever the baseline is."""
    max: float | None = None
    """Largest value allowed, whatever the baseline is."""
    change: float | None = Field(default=None, ge=0)
    """Largest change to the worse, in the metric's unit; in both directions where neither is better."""
    relative: float | None = Field(default=None, ge=0)
    """The same as a fraction of the baseline's value: 0.05 is five percent."""
    interval: bool = False
    """Not worse than the baseline beyond the interval of the difference."""

    @model_validator(mode="after")
    def _says_something(self) -> Rule:
        if not self.model_fields_set:
            raise ValueError("the rule is empty: give min, max, change, relative or interval")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self

    @property
    def compares(self) -> bool:
        """Whether the rule needs a value of the baseline."""
        return self.interval or self.change is not None or self.relative is not None

    @property
    def judges(self) -> bool:
        """Whether the rule can fail at all; `interval: false` alone only shows the metric."""
        return self.compares or self.min is not None or self.max is not None


class Rules(_Strict):
    """A rule for all metrics that have a better direction, and rules of single metrics in its place."""

    default: Rule = Rule(interval=True)
    metrics: dict[str, Rule] = {}

    def of(self, metric: str, better: str) -> Rule:
        """The rule of one metric; one without a better direction is only shown unless it has a rule of its own."""
        return self.metrics.get(metric) or (Rule(interval=False) if better == "neither" else self.default)


def read_rules(rules: Rules | Mapping[str, Any] | str | Path | None, known: Iterable[str]) -> Rules:
    """Rules from a YAML file, a mapping or None (the default rule for every metric).

    Args:
        rules: where they come from.
        known: ids of the metrics that may be named.

    Raises:
        InputError: the file is missing or not YAML, or a key is unknown or has a wrong value; the message
            names the file, the key and what was probably meant.

    Example:
        >>> read_rules({"metrics": {"fid_clean": {"max": 30.0}}}, ["fid_clean"]).of("fid_clean", "lower").max
        30.0
    """
    if isinstance(rules, Rules):
        return rules
    if rules is None:
        return Rules()
    place = str(rules) if isinstance(rules, str | Path) else "rules"
    content = _read(Path(rules)) if isinstance(rules, str | Path) else rules
    if not isinstance(content, Mapping):
        raise InputError(f"{place}: expected the keys `default` and `metrics`, found {content!r}.")
    try:
        found = Rules.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{place}: {_explain(error)}") from error
    for metric in found.metrics:
        if metric not in set(known):
            raise InputError(
                f"{place}: metrics.{metric}: neither the run nor the baseline has this metric. "
                f"{suggest(metric, known)}"
            )
    return found


def _read(file: Path) -> Any:
    try:
        return yaml.load(file.read_text(encoding="utf-8"), _NoRepeats)  # a SafeLoader
    except OSError as error:
        raise InputError(f"The rules {file} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: not valid YAML: {error}") from error


class _NoRepeats(yaml.SafeLoader):
    """YAML in which a key given twice is an error: the first one would be lost without a word."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {key.value!r} is given twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return dict(super().construct_mapping(node, deep))


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
