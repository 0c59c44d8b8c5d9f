"""Read metric cards and protocols from YAML files, with checks that name the file and the key."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from facebench.core.errors import InputError
from facebench.core.shipped_data import data_folder
from facebench.core.suggest import suggest
from facebench.core.yaml_text import parse_yaml

Data = TypeVar("Data", bound=BaseModel)


@cache
def load_folder(kind: Literal["metrics", "protocols"], model: type[Data]) -> tuple[Data, ...]:
    """Read every YAML file of a folder, in the order of the file names.

    Raises:
        InputError: the folder is empty, a file is invalid, or two files use one id.
    """
    folder = data_folder(kind)
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise InputError(f"{folder} contains no {kind}: the installation is incomplete.")
    file_of: dict[str, str] = {}
    items: list[Data] = []
    for file in files:
        for item in load_yaml(file, model):
            identifier = str(getattr(item, "id"))  # noqa: B009
            if identifier in file_of:
                raise InputError(
                    f"{kind}/{file.name}: the id '{identifier}' is also used in {file_of[identifier]}."
                )
            file_of[identifier] = file.name
            items.append(item)
    return tuple(items)


def load_yaml(file: Path, model: type[Data]) -> list[Data]:
    """Read one file: a single item, or a family of items with shared keys.

    `family` lists the keys in which the items differ. `networks` lists replacements, such as
    `{suffix: sface, network: SFace}`: every item is read once for each network, with `{suffix}` and `{network}`
    replaced in every text. If an item has its own list `networks` of suffixes, it is read for these only.

    Raises:
        InputError: not YAML, or a key is missing, unknown or of the wrong type; names file, key and allowed keys.
    """
    place = f"{file.parent.name}/{file.name}"
    content = _read_mapping(file, place)
    networks = {str(network.get("suffix")): network for network in _pop_list(content, "networks", place)}
    members = _pop_list(content, "family", place) or [{}]
    items = []
    for network in networks or [None]:
        for member in members:
            item = {**content, **member}
            suffixes = item.pop("networks", None)
            if suffixes is None or network in suffixes:
                item = item if network is None else _replace(item, networks[network])
                items.append(_validate(item, model, place))
    return items


def _read_mapping(file: Path, place: str) -> dict[str, Any]:
    try:
        content = parse_yaml(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{place}: not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{place}: expected a mapping of keys, found {type(content).__name__}.")
    return content


def _pop_list(content: dict[str, Any], key: str, place: str) -> list[dict[str, Any]]:
    """Remove a list of mappings from the content and return it; an empty list when the key is absent."""
    members = content.pop(key, [])
    if not isinstance(members, list) or not all(isinstance(member, dict) for member in members):
        raise InputError(f"{place}: {key}: expected a list of mappings.")
    return members


def _replace(value: Any, names: dict[str, Any]) -> Any:
    """Replace `{name}` in every text of a nested structure; unknown names in braces stay."""
    if isinstance(value, str):
        for name, text in names.items():
            value = value.replace(f"{{{name}}}", str(text))
        return value
    if isinstance(value, dict):
        return {key: _replace(item, names) for key, item in value.items()}
    return [_replace(item, names) for item in value] if isinstance(value, list) else value


def _validate(content: Any, model: type[Data], place: str) -> Data:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{place}: {_explain(error, model)}") from error


def _explain(error: ValidationError, model: type[BaseModel]) -> str:
    parts = []
    for problem in error.errors():
        key = ".".join(str(step) for step in problem["loc"]) or "card"
        message = problem["msg"]
        if problem["type"] == "extra_forbidden":
            message = f"unknown key. {suggest(str(problem['loc'][-1]), model.model_fields)}"
        parts.append(f"{key}: {message}")
    return "; ".join(parts)
