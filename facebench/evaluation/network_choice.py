"""Choice of networks: which of them have their weights, and which is the best at hand for each kind of measurement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from facebench.backbones.weights import availability
from facebench.backbones.weights.registry import WITHOUT_WEIGHTS, Entry
from facebench.evaluation.cards import DETECTOR, Card, card_family, find_card, load_cards
from facebench.evaluation.kinds import KINDS, Kind, kind_of, rank_of
from facebench.evaluation.protocols import load_protocols
from facebench.evaluation.record import NetworkChoice

_SAME_MEASURE: Mapping[str, str] = {"fid": "fd", "kid": "kd", "cmmd": "mmd", "cr_fiqa": "face_quality"}
"""Families of the paper suite that have another name in the compact suite."""
_SUBSTITUTES: Mapping[str, str] = {"_arcface": "_buffalo"}
"""Suffixes of metric ids, and the suffix of a network with published weights that measures the same."""


def missing_entries(card: Card, *, official: bool = False) -> list[Entry]:
    """Return the files of weights that a metric lacks.

    Args:
        card: the metric.
        official: whether weights imported with `--unofficial` count as missing.
    """
    return [
        entry
        for backbone in card.backbones
        if backbone not in WITHOUT_WEIGHTS | {DETECTOR}
        for entry in availability.missing_entries(backbone, official=official)
    ]


def reason_missing(card: Card, entries: Sequence[Entry]) -> str:
    """Return why a metric has no value, and the commands that bring its weights."""
    commands = "; ".join(availability.command_for(entry) for entry in entries)
    lacking = [name for name in card.backbones if any(name in entry.backbones for entry in entries)]
    return f"the weights of {' and '.join(lacking)} are missing: {commands}"


def substitute(card: Card) -> Card:
    """Return the same metric of another network if only that network has its weights, else the metric itself."""
    if not missing_entries(card, official=True):
        return card
    for suffix, other in _SUBSTITUTES.items():
        known = load_cards().get(card.id.replace(suffix, other))
        if suffix in card.id and known is not None and not missing_entries(known, official=True):
            return known
    return card


def best_cards(ready: Sequence[Card], simpler: Sequence[Card]) -> list[Card]:
    """Return the ready metrics of the paper suite, and those of the compact suite that measure something else."""
    covered = {_measure(card) for card in ready}
    return [*ready, *(card for card in simpler if _measure(card) not in covered)]


def _measure(card: Card) -> tuple[object, ...]:
    """Return what metrics of different networks have in common when they measure the same."""
    family = card_family(card.id)
    return (
        kind_of(card),
        _SAME_MEASURE.get(family, family),
        card.compute,
        card.field or "mean",
        card.needs,
    )


def choices_of(wanted: Sequence[Card], taken: Sequence[Card], reason: str) -> list[NetworkChoice]:
    """Return, by kind of measurement, the networks of a run and the missing networks.

    Args:
        wanted: the metrics of the best suite.
        taken: the metrics that are computed.
        reason: why these networks were taken.
    """
    choices = []
    for kind in KINDS[:-1]:
        networks = {card.reads.backbone for card in taken if kind_of(card) == kind}
        missing = {
            card.reads.backbone: "; ".join(map(availability.command_for, entries))
            for card in wanted
            if kind_of(card) == kind and (entries := missing_entries(card))
        }
        if networks or missing:
            ranked = sorted(networks, key=lambda name: (rank_of(kind, name), name))
            found = reason if networks else "no network at hand"
            choices.append(NetworkChoice(kind=kind, networks=ranked, reason=found, missing=missing))
    return choices


@dataclass(frozen=True)
class NetworkState:
    """A network and its weights on this machine."""

    network: str
    missing: list[Entry]
    """Missing files."""
    unofficial: bool
    """Whether other weights than the published ones were imported."""
    is_best: bool
    """Whether it is the best network of its kind with published weights at hand."""


def network_states() -> dict[str, list[NetworkState]]:
    """Return the networks that protocols read, by kind of measurement and best first.

    Example:
        >>> [state.network for state in network_states()["quality"]][-1]
        'sface-quality'
    """
    cards = {
        metric: find_card(metric)
        for protocol in load_protocols().values()
        for metrics in protocol.suites.values()
        for metric in metrics
    }
    return {kind: states for kind in KINDS[:-1] if (states := _states(kind, list(cards.values())))}


def _states(kind: Kind, cards: Sequence[Card]) -> list[NetworkState]:
    card_of = {card.reads.backbone: card for card in cards if kind_of(card) == kind}
    states: list[NetworkState] = []
    for network in sorted(card_of, key=lambda name: (rank_of(kind, name), name)):
        missing = missing_entries(card_of[network])
        official = not missing_entries(card_of[network], official=True)
        is_best = official and not any(state.is_best for state in states)
        states.append(NetworkState(network, missing, not missing and not official, is_best))
    return states
