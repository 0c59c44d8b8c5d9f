"""Read metric cards and protocols from YAML files, with checks that name the file and the key."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from facebench.core.errors import InputError
from facebench.core.shipped_data import data_folder
from facebench.core.suggest import suggest
from facebench.core.yaml_text import parse_shipped_yaml

Data = TypeVar("Data", bound=BaseModel)


@dataclass(frozen=True)
class AddedNetwork:
    """A network of the user, for the families of cards that its arrays allow."""

    name: str
    title: str
    source: str
    arrays: frozenset[str]
    threshold: float | None = None
    """Cosine from which two embeddings are of one person; None if it is unknown."""
    rate: str = ""
    """False match rate at the threshold, and the pairs that it comes from."""

    @property
    def replacements(self) -> dict[str, Any]:
        """Replacements in a family of cards."""
        names = {"suffix": self.name, "backbone": self.name, "network": self.title, "paper": self.source}
        return names if self.threshold is None else {**names, "threshold": self.threshold, "rate": self.rate}


@cache
def load_folder(
    kind: Literal["metrics", "protocols"], model: type[Data], added: tuple[AddedNetwork, ...] = ()
) -> tuple[Data, ...]:
    """Read every YAML file of a folder, in the order of the file names.

    Args:
        kind: the folder.
        model: type of the items.
        added: networks of the user; families of cards are also read for them.

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
        for item in load_yaml(file, model, added):
            identifier = str(getattr(item, "id"))  # noqa: B009
            if identifier in file_of:
                raise InputError(
                    f"{kind}/{file.name}: the id '{identifier}' is also used in {file_of[identifier]}."
                )
            file_of[identifier] = file.name
            items.append(item)
    return tuple(items)


def load_yaml(file: Path, model: type[Data], added: tuple[AddedNetwork, ...] = ()) -> list[Data]:
    """Read one file: a single item, or a family of items with shared keys.

    `family` lists the keys in which the items differ. `networks` lists replacements, such as
    `{suffix: sface, network: SFace}`: every item is read once for each network, with `{suffix}` and `{network}`
    replaced in every text. If an item has its own list `networks` of suffixes, it is read for these only. Items
    without `{suffix}` in their id are read once. Networks of the user are read for every item whose arrays they have,
    unless the item needs a number that belongs to the network, such as `{threshold}`.

    Raises:
        InputError: not YAML, or a key is missing, unknown or of the wrong type; names file, key and allowed keys.
    """
    place = f"{file.parent.name}/{file.name}"
    content = _read_mapping(file, place)
    networks = {str(network.get("suffix")): network for network in _pop_list(content, "networks", place)}
    members = [{**content, **member} for member in _pop_list(content, "family", place) or [{}]]
    items = [_without_networks(member) for member in members if not _is_family(member)]
    for suffix, network in networks.items():
        for member in members:
            if _is_family(member) and suffix in member.get("networks", networks):
                items.append(_replace(_without_networks(member), network))
    listed = {key for network in networks.values() for key in network}
    for own in added:
        items += [
            _replace(_without_networks(member), own.replacements)
            for member in members
            if _is_family(member)
            and _arrays_read(member) <= own.arrays
            and not any(f"{{{key}}}" in str(member) for key in listed - own.replacements.keys())
        ]
    return [_validate(item, model, place) for item in items]


def _is_family(member: dict[str, Any]) -> bool:
    """Return whether an item is read once for each network."""
    return "{suffix}" in str(member.get("id"))


def _without_networks(member: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in member.items() if key != "networks"}


def _arrays_read(member: dict[str, Any]) -> set[str]:
    reads = member.get("reads")
    array = reads.get("array") if isinstance(reads, dict) else None
    return {array} if isinstance(array, str) else set(map(str, array or [""]))


def _read_mapping(file: Path, place: str) -> dict[str, Any]:
    try:
        content = parse_shipped_yaml(file.read_text(encoding="utf-8"))
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
    """Replace `{name}` in every text of a nested structure; unknown names in braces stay.

    A text that is only `{name}` becomes the value itself, such as a number.
    """
    if isinstance(value, str):
        if value[:1] == "{" and value[1:-1] in names:
            return names[value[1:-1]]
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
