"""Protocols: named sets of metrics over named roles of the input, read from `protocols/*.yaml`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from facebench.core.errors import InputError
from facebench.core.suggest import suggest
from facebench.evaluation.cards import added_networks, load_cards
from facebench.evaluation.yaml_files import AddedNetwork, load_folder

Suite = Literal["paper", "compact"]
PLAIN = "plain"
MAX_HEADLINE = 8
"""Largest number of headline metrics of a protocol."""


def _as_alternatives(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Headline = Annotated[tuple[str, ...], BeforeValidator(_as_alternatives)]
"""A headline metric: alternatives, of which the first with a value is shown. `*` stands for any network."""


class MetricGroup(BaseModel):
    """Metric families over several networks, with the ids FAMILY_NETWORK or FAMILY_NETWORK_VARIANT."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    families: tuple[str, ...]
    networks: tuple[str, ...]
    """Suffixes of the networks, as in the metric cards."""
    variants: tuple[str, ...] = (PLAIN,)
    """Suffixes after the network; "plain" is the empty suffix."""

    @property
    def ids(self) -> list[str]:
        """Ids of the metrics: all families of the first network, then of the second; variants outermost."""
        return [
            f"{family}_{network}" if variant == PLAIN else f"{family}_{network}_{variant}"
            for variant in self.variants
            for network in self.networks
            for family in self.families
        ]


class TableLayout(BaseModel):
    """Layout of the leaderboard of a protocol."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    blocks: tuple[str, ...] = ()
    """Tags of the runs that define blocks: rows with equal values form a block, whose best value is marked."""
    joined: dict[str, str] = {}
    """Metric, and the spread printed in the same cell as mean ± std."""


class PublishedTable(BaseModel):
    """Rows of a file of published numbers that belong to a protocol, and the metric of each column."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    where: dict[str, str] = {}
    columns: dict[str, str]


class Published(BaseModel):
    """Published numbers for a protocol, in files of `results/published`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    name: str
    """The column that names the method of a row."""
    tags: dict[str, str] = {}
    """Tag, and its column."""
    tables: tuple[PublishedTable, ...]


class Protocol(BaseModel):
    """A named set of metrics over named roles of the input."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9-]+$")
    title: str
    about: str
    roles: dict[Literal["generated", "reference"], Literal["folder", "identities", "manifest"]]
    suites: dict[Suite, tuple[str, ...]]
    clips: tuple[str, ...] = ()
    """Metrics that are added if the images are frames of clips (column `frame`), for the networks of the run."""
    primary: dict[Suite, str] = {}
    """Metric by which a leaderboard is sorted, by suite."""
    every_network: bool = False
    """Whether the protocol judges networks, so that every network runs whatever the kind of the images."""
    headline: tuple[Headline, ...] = Field(default=(), max_length=MAX_HEADLINE)
    """The metrics that the terminal shows; the record and the report contain all."""
    table: TableLayout = TableLayout()
    published: Published | None = None

    def headline_of(self, metrics: Iterable[str]) -> list[str]:
        """Return the headline metrics among ids, in the order of the protocol.

        Each headline gives the first id that matches, with every reference set (`fid_clean@FFHQ`).

        Args:
            metrics: ids of metrics with a value, best network first.

        Example:
            >>> find_protocol("quality").headline_of(["vendi_lite0", "face_found", "fd_lite0"])
            ['fd_lite0', 'face_found']
        """
        known = list(metrics)
        if not self.headline:
            return known[:MAX_HEADLINE]
        shown: list[str] = []
        for alternatives in self.headline:
            matching = [
                metric
                for pattern in alternatives
                for metric in known
                if _matches(pattern, metric) and metric not in shown
            ]
            base = matching[0].partition("@")[0] if matching else ""
            shown += [metric for metric in matching if metric.partition("@")[0] == base]
        return shown

    @field_validator("suites", mode="before")
    @classmethod
    def _expand_groups(cls, suites: Any) -> Any:
        """Replace groups of metrics by their ids, and by those of networks that the user added."""
        return (
            {suite: _expanded(entries) for suite, entries in suites.items()}
            if isinstance(suites, dict)
            else suites
        )

    @field_validator("clips", mode="before")
    @classmethod
    def _expand_clips(cls, entries: Any) -> Any:
        return _expanded(entries) if isinstance(entries, list) else entries


def _expanded(entries: list[Any]) -> list[str]:
    ids = (_ids_of(MetricGroup(**entry)) if isinstance(entry, dict) else [entry] for entry in entries)
    return list(dict.fromkeys(metric for each in ids for metric in each))


def _ids_of(group: MetricGroup) -> list[str]:
    """Return the ids of a group, then those of added networks that have cards of these families."""
    added = group.model_copy(update={"networks": tuple(network.name for network in added_networks())})
    return [*group.ids, *(metric for metric in added.ids if metric in load_cards())]


def _matches(pattern: str, metric: str) -> bool:
    """Return whether an id matches a headline; `*` stands for the suffix of a network."""
    expression = re.escape(pattern).replace(r"\*", "[a-z0-9]+")
    return re.fullmatch(expression, metric.partition("@")[0]) is not None


def load_protocols() -> dict[str, Protocol]:
    """Return all protocols by id.

    Raises:
        InputError: a file is invalid, or names a metric that has no card.
    """
    return _protocols(added_networks())


@cache
def _protocols(added: tuple[AddedNetwork, ...]) -> dict[str, Protocol]:
    protocols = {protocol.id: protocol for protocol in load_folder("protocols", Protocol, added)}
    known = load_cards()
    for protocol in protocols.values():
        metrics = [metric for ids in protocol.suites.values() for metric in ids]
        for pattern in (pattern for alternatives in protocol.headline for pattern in alternatives):
            if not any(_matches(pattern, metric) for metric in metrics):
                raise InputError(
                    f"protocols/{protocol.id}.yaml: headline names '{pattern}', which matches no metric of the "
                    f"suites. {suggest(pattern, metrics)}"
                )
        for suite, metric in protocol.primary.items():
            if metric not in protocol.suites.get(suite, ()):
                raise InputError(
                    f"protocols/{protocol.id}.yaml: primary.{suite} names the metric '{metric}', "
                    f"which the suite does not have. {suggest(metric, protocol.suites.get(suite, ()))}"
                )
        for suite, ids in {**protocol.suites, "clips": protocol.clips}.items():
            for metric in ids:
                if metric not in known:
                    raise InputError(
                        f"protocols/{protocol.id}.yaml: suites.{suite} names the metric '{metric}', "
                        f"which has no card. {suggest(metric, known)}"
                    )
    return protocols


def find_protocol(name: str) -> Protocol:
    """Return one protocol.

    Raises:
        InputError: no protocol has this name; the message names close matches.
    """
    protocols = load_protocols()
    if name not in protocols:
        raise InputError(f"'{name}' is not a protocol. {suggest(name, protocols)}")
    return protocols[name]


def primary_metric(protocol: str, suite: str) -> str | None:
    """Return the metric by which a leaderboard of a protocol is sorted; None if the protocol states none.

    Example:
        >>> primary_metric("quality", "compact")
        'fd_lite0'
    """
    return next(iter(primary_metrics(protocol, suite)), None)


def primary_metrics(protocol: str, suite: str) -> list[str]:
    """Return the metrics by which a leaderboard of a protocol can be sorted, preferred first.

    The suite "auto" has the primary metrics of both suites.
    """
    known = load_protocols().get(protocol)
    if known is None:
        return []
    primary = {str(key): metric for key, metric in known.primary.items()}
    return [primary[key] for key in ((suite,) if suite != "auto" else primary) if key in primary]
