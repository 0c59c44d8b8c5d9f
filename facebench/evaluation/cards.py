"""Metric cards and protocols: the YAML that says what is measured, checked at load."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from facebench.core.errors import InputError
from facebench.core.shipped_data import data_folder

Kind = Literal["metrics", "protocols"]
Need = Literal["reference", "identities", "source", "target", "reconstruction", "reencoded", "truth"]
Suite = Literal["paper", "compact"]
IntervalMethod = Literal["jackknife", "bootstrap_images", "bootstrap_identities", "none"]
Damage = Literal[
    "blur", "jpeg", "noise", "occlusion", "identity_drift", "expression_strength", "mode_collapse", "copying"
]
Response = Literal["worse", "better", "rises", "falls", "stays"]


class Reads(BaseModel):
    """What a metric is computed from: one array of one backbone, or several put side by side."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backbone: str
    array: str | tuple[str, ...]
    normalise: bool = False
    """Divide every row by its L2 norm first."""


class Card(BaseModel):
    """One metric: what it is, which function computes it from which features, and when to trust it.

    `needs` decides how the function of `facebench.metrics` is called:

    | needs | called with |
    |---|---|
    | nothing | the generated rows |
    | reference | generated rows, reference rows |
    | identities | genuine and impostor scores of all pairs among the generated rows |
    | identities, reference | genuine and impostor scores of all generated × reference pairs |
    | source | generated rows, source rows, matched by the manifest |
    | source, and a pair network is read | one row for each pair |
    | target | generated rows, target rows, matched by the manifest |
    | reconstruction | generated rows, rows of what the model makes when nothing is to change |
    | reencoded | generated rows, rows of the same images stored again as JPEG |
    | two of the linked ones | rows of the first, rows of the second |
    | truth | generated rows, the manifest's column of the array's name |
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9_]+$")
    title: str
    better: Literal["higher", "lower", "neither"]
    unit: str = ""
    range: tuple[float | None, float | None] = (None, None)
    decimals: int = Field(default=3, ge=0, le=8)
    compute: str
    params: dict[str, Any] = {}
    field: str | None = None
    reads: Reads
    needs: tuple[Need, ...] = ()
    smallest_n: int = Field(default=2, ge=1)
    reliable_n: int = Field(default=2, ge=1)
    depends_on_n: bool = False
    """The value drifts with the number of images: only runs of equal size are ranked together."""
    interval: IntervalMethod = "none"
    source: str
    about: str
    formula: str = ""
    pitfalls: tuple[str, ...] = ()
    claims: dict[Damage, Response] = {}
    """What the value does as the generated faces are damaged more and more; `facebench validate` tests it."""

    @model_validator(mode="after")
    def _worse_has_a_meaning(self) -> Card:
        if self.better == "neither" and {"worse", "better"} & set(self.claims.values()):
            raise ValueError("claims: a metric without a better direction rises, falls or stays")
        return self

    @model_validator(mode="after")
    def _sizes_are_ordered(self) -> Card:
        if self.reliable_n < self.smallest_n:
            raise ValueError("reliable_n: must not be below smallest_n")
        return self

    @property
    def arrow(self) -> str:
        """The direction in which the value gets better: ↑, ↓, or nothing."""
        return {"higher": "↑", "lower": "↓", "neither": ""}[self.better]


class TableLayout(BaseModel):
    """How a protocol's leaderboard is laid out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: Literal["model"] = "model"
    columns: Literal["metrics"] = "metrics"
    blocks: tuple[str, ...] = ()
    """Tags of the runs: rows that share their values stand together, and the best of each block is marked."""
    joined: dict[str, str] = {}
    """Metric and the spread that is printed with it in one cell, as mean ± std."""


class PublishedTable(BaseModel):
    """Which rows of a file of published numbers belong to a protocol, and which metric each column is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    where: dict[str, str] = {}
    columns: dict[str, str]


class Published(BaseModel):
    """Numbers that others published for a protocol, in files of `results/published`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    name: str
    """The column that names the method of a row."""
    tags: dict[str, str] = {}
    """Tag and the column that holds it."""
    tables: tuple[PublishedTable, ...]


class Protocol(BaseModel):
    """A named set of metrics over named roles of the input."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9-]+$")
    title: str
    about: str
    roles: dict[Literal["generated", "reference"], Literal["folder", "identities", "manifest"]]
    suites: dict[Suite, tuple[str, ...]]
    table: TableLayout = TableLayout()
    published: Published | None = None


Data = TypeVar("Data", Card, Protocol)


def cards() -> dict[str, Card]:
    """All metric cards by id, in the order of their files."""
    return _load_all("metrics", Card)


@cache
def families() -> dict[str, list[Card]]:
    """The metric cards by the name of the file that they come from."""
    return {file.stem: load_yaml(file, Card) for file in sorted(_folder("metrics").glob("*.yaml"))}


def protocols() -> dict[str, Protocol]:
    """All protocols by id. Every metric that a protocol names exists."""
    found = _load_all("protocols", Protocol)
    known = cards()
    for protocol in found.values():
        for suite, ids in protocol.suites.items():
            for metric in ids:
                if metric not in known:
                    raise InputError(
                        f"protocols/{protocol.id}.yaml: suites.{suite} names the metric '{metric}', "
                        f"which has no card. {suggest(metric, known)}"
                    )
    return found


def card(metric: str) -> Card:
    """The card of one metric; an unknown id lists close matches."""
    return _pick("metric", metric, cards())


def protocol(name: str) -> Protocol:
    """One protocol; an unknown name lists close matches."""
    return _pick("protocol", name, protocols())


def suggest(name: str, known: Iterable[str]) -> str:
    """Text that helps after an unknown name: close matches, or everything there is."""
    options = sorted(known)
    close = difflib.get_close_matches(name, options, n=3)
    if close:
        return f"Did you mean {' or '.join(close)}?"
    return f"There are {len(options)}." if len(options) > 20 else f"There are: {', '.join(options)}."


def _pick(what: str, name: str, known: dict[str, Data]) -> Data:
    if name not in known:
        raise InputError(f"There is no {what} '{name}'. {suggest(name, known)}")
    return known[name]


def _folder(kind: Kind) -> Path:
    return data_folder(kind)


@cache
def _load_all(kind: Kind, model: type[Data]) -> dict[str, Data]:
    files = sorted(_folder(kind).glob("*.yaml"))
    if not files:
        raise InputError(f"No {kind} were found in {_folder(kind)}: the installation is incomplete.")
    loaded: dict[str, Data] = {}
    for file in files:
        for item in load_yaml(file, model):
            if item.id in loaded:
                raise InputError(f"{kind}/{file.name}: the id '{item.id}' is taken by another file.")
            loaded[item.id] = item
    return loaded


def load_yaml(file: Path, model: type[Data]) -> list[Data]:
    """Read one file: a single card, or cards that share most of their keys.

    `family` lists the keys in which cards of one file differ. `networks` lists replacements, such as
    `{suffix: sface, network: SFace}`: the file is read once for each, with `{suffix}` and `{network}` replaced
    in every text, so that a metric is added for another network by one line.

    Raises:
        InputError: not YAML, or a key is missing, unknown or of the wrong kind; names file, key and what is allowed.
    """
    place = f"{file.parent.name}/{file.name}"
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{place}: not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{place}: expected a mapping of keys, found {type(content).__name__}.")
    networks = _pop_list(content, "networks", place)
    family = _pop_list(content, "family", place)
    return [
        _validate(_replace({**content, **member}, network), model, place)
        for network in networks
        for member in family
    ]


def _pop_list(content: dict[str, Any], key: str, place: str) -> list[dict[str, Any]]:
    """A list of mappings, taken out of the content; one empty mapping when the key is not there."""
    members = content.pop(key, [{}])
    if not isinstance(members, list) or not all(isinstance(member, dict) for member in members):
        raise InputError(f"{place}: {key}: expected a list of mappings.")
    return members


def _replace(value: Any, names: dict[str, Any]) -> Any:
    """Put names into every text of a nested structure; braces that name nothing stay."""
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
