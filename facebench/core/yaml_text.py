"""Strict reading of YAML: repeated keys and documents that expand without limit are errors."""

from __future__ import annotations

from typing import Any

import yaml

MAX_NODES = 100_000
"""Largest number of values of a document, with every alias replaced by what it refers to."""


def parse_yaml(text: str) -> Any:
    """Parse one YAML document without tags of Python.

    Raises:
        ValueError: not YAML, nested too deeply, a repeated key, an invalid date or number, or aliases that expand to
            more than 100,000 values. The message is one line.

    Example:
        >>> parse_yaml("a: [1, 2]")
        {'a': [1, 2]}
        >>> parse_yaml("{a: 1, a: 2}")
        Traceback (most recent call last):
        ValueError: the key 'a' is given twice (line 1, column 8)
    """
    return _parse(text, _UniqueKeyLoader)


def parse_shipped_yaml(text: str) -> Any:
    """Parse YAML of the package, as `parse_yaml`, with libyaml where PyYAML has it: ten times as fast.

    libyaml has no limit of depth and may overflow the stack, so it reads no file of a user.
    """
    return _parse(text, _FastLoader)


def _parse(text: str, loader: type[yaml.SafeLoader]) -> Any:
    try:
        content = yaml.load(text, loader)  # a SafeLoader
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except yaml.MarkedYAMLError as error:
        raise ValueError(_one_line(error)) from error
    except Exception as error:  # dates and numbers that do not exist, keys that cannot be keys
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error
    if _size(content, {}, set()) > MAX_NODES:
        raise ValueError(f"its aliases expand to more than {MAX_NODES:,} values")
    return content


class _UniqueKeys:
    """Part of a YAML loader that rejects repeated keys; PyYAML would silently keep the last one."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        scalars = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key in scalars:
            if key.value in seen and key.value != "<<":
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {key.value!r} is given twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return dict(super().construct_mapping(node, deep))  # type: ignore[misc]


class _UniqueKeyLoader(_UniqueKeys, yaml.SafeLoader):
    pass


class _FastLoader(_UniqueKeys, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    pass


def _one_line(error: yaml.MarkedYAMLError) -> str:
    problem = " ".join(str(error.problem or error.context or "a syntax error").split())
    mark = error.problem_mark or error.context_mark
    return problem if mark is None else f"{problem} (line {mark.line + 1}, column {mark.column + 1})"


def _size(value: Any, known: dict[int, int], above: set[int]) -> int:
    """Return the number of values, counting a shared part once for each reference to it."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) in above:
        raise ValueError("an alias refers to the value that contains it")
    if id(value) not in known:
        parts = [*value.keys(), *value.values()] if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_size(part, known, above | {id(value)}) for part in parts)
    return known[id(value)]
