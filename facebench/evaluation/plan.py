"""Select the metrics of a run by protocol, suite and available weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

from facebench.backbones.text_networks import TEXT_NETWORKS
from facebench.backbones.weights import availability
from facebench.backbones.weights.registry import WITHOUT_WEIGHTS
from facebench.core.errors import InputError
from facebench.core.suggest import suggest
from facebench.evaluation.cards import DETECTOR, Card, added_networks, card_family, find_card
from facebench.evaluation.kinds import kind_of
from facebench.evaluation.metric_result import Estimate, metric_result
from facebench.evaluation.network_choice import (
    best_cards,
    choices_of,
    missing_entries,
    reason_missing,
    substitute,
)
from facebench.evaluation.protocols import Protocol, Suite, find_protocol
from facebench.evaluation.record import MetricResult, NetworkChoice
from facebench.evaluation.trained_protocols import check_not_trained

PAIR_NETWORKS = frozenset({"lpips"})
"""Networks whose input is a pair of images, a generated image and its source (`facebench.features.pairs`)."""
IMAGE_NETWORKS = frozenset(
    {"lite0", "inception-tf", "inception-clean", "inception-legacy", "clip-vitl14-336", "vgg16", "lpips"}
    | {"image-pixels", "image-thumbnail"}
    | {"dinov2-vitl14", "dinov2-vitb14"}
    | set(TEXT_NETWORKS)
)
"""Networks that read whole images."""
SUITES = ("auto", *get_args(Suite))


@dataclass(frozen=True)
class Plan:
    """Metrics of a run.

    Attributes:
        protocol: the protocol.
        suite: "paper", "compact", "auto" for the best networks of both, or "custom" for metrics selected by id.
        cards: the metrics whose networks have their weights.
        absent: the remaining metrics, with the command that brings their weights.
        choices: networks by kind of measurement, and why they were chosen.
        warnings: remarks for the record.
        grouping: networks that no metric reads, from which the groups of `--by` are formed.
    """

    protocol: Protocol
    suite: str
    cards: list[Card]
    absent: list[tuple[Card, str]] = field(default_factory=list)
    choices: list[NetworkChoice] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    grouping: tuple[str, ...] = ()

    def backbones(self, role: str = "generated") -> list[str]:
        """Return the networks that process the images of a role; every metric reads the generated images."""
        kind = role.partition(":")[0]
        reading = [card for card in self.cards if kind == "generated" or kind in card.needs]
        names = [name for card in reading for name in card.backbones]
        names += self.grouping if kind in ("generated", "reference") else ()
        return sorted(set(names) - {DETECTOR} - PAIR_NETWORKS)

    def pair_networks(self) -> list[str]:
        """Return the networks that compare every generated image with its source."""
        return sorted({card.reads.backbone for card in self.cards} & PAIR_NETWORKS)

    def text_networks(self) -> list[str]:
        """Return the comparisons of generated images with texts of the manifest."""
        return sorted({card.reads.backbone for card in self.cards} & set(TEXT_NETWORKS))

    def networks(self) -> list[str]:
        """Return all networks whose weights are needed."""
        return sorted({name for card in self.cards for name in card.backbones} - {DETECTOR})

    def needs(self, role: str) -> bool:
        """Return whether any metric needs a role."""
        return any(role in card.needs for card in self.cards)

    @property
    def finds_copies(self) -> bool:
        """Whether a metric looks for images of the reference set among the generated images."""
        return any(card.claims.get("copying") in ("worse", "better") for card in self.cards)

    def with_absent(self, results: Mapping[str, MetricResult]) -> dict[str, MetricResult]:
        """Return the results with an entry without a value for every metric whose weights are missing."""
        missing = {card.id: metric_result(card, Estimate(reason=reason)) for card, reason in self.absent}
        return {**results, **missing}

    def with_clips(self) -> Plan:
        """Return the plan with the metrics of clips, for its networks and for networks that only these metrics read."""
        if self.suite == "custom":
            return self
        known = set(self.networks()) | {DETECTOR}
        cards = [find_card(metric) for metric in self.protocol.clips]
        chosen = [
            card for card in cards if kind_of(card) in ("pose", "image") or card.reads.backbone in known
        ]
        missing = {card.id: missing_entries(card) for card in chosen}
        absent = [(card, reason_missing(card, missing[card.id])) for card in chosen if missing[card.id]]
        ready = [card for card in chosen if not missing[card.id]]
        return replace(self, cards=[*self.cards, *ready], absent=[*self.absent, *absent])

    def for_domain(self, domain: str) -> Plan:
        """Return the plan without the cards of a suite that another card replaces for images of this kind.

        Cards that differ only in the network are alternatives. Of alternatives of which some are trained on this
        kind, the rest is left out. Metrics that were selected by id all stay.

        Args:
            domain: "photographs", "rendered", or "mixed", which keeps every card.
        """
        if self.suite == "custom" or domain == "mixed" or self.protocol.every_network:
            return self
        fitting = {_alternatives(card) for card in self.cards if card.domain == domain}
        kept = [
            card
            for card in self.cards
            if card.domain in ("any", domain) or _alternatives(card) not in fitting
        ]
        used = {name for card in kept for name in card.backbones}
        dropped = {name for card in self.cards for name in card.backbones} - used
        choices = [
            choice.model_copy(update={"networks": [name for name in choice.networks if name not in dropped]})
            for choice in self.choices
        ]
        return replace(self, cards=kept, choices=choices)

    @property
    def needs_faces(self) -> bool:
        """Whether a metric reads faces."""
        names = {card.reads.backbone for card in self.cards} | set(self.grouping)
        return bool(names - IMAGE_NETWORKS)

    @property
    def needs_detector(self) -> bool:
        """Whether a metric counts detected faces, independent of the networks."""
        return any(card.reads.backbone == DETECTOR for card in self.cards)


def _alternatives(card: Card) -> str:
    """Return what cards of different networks have in common when they measure the same."""
    common = card.model_dump(mode="json", include={"compute", "params", "field", "needs", "over_frames"})
    return f"{card_family(card.id)} {card.reads.array} {common}"


def make_plan(protocol: str, suite: str = "auto", metrics: Sequence[str] | None = None) -> Plan:
    """Select the suite and the metrics, and set aside metrics whose weights are missing.

    Args:
        protocol: name of a protocol.
        suite: "paper", "compact", or "auto": for each kind of measurement the best networks at hand.
        metrics: ids to compute in place of the protocol's metrics; the record then names the suite "custom".

    Raises:
        InputError: unknown protocol, suite or metric, or a suite that the protocol lacks.
        WeightsError: no network has its weights.

    Example:
        >>> make_plan("quality", "compact").backbones("reference")
        ['lite0']
    """
    check_not_trained(protocol)
    selected = find_protocol(protocol)
    if suite not in SUITES:
        raise InputError(f"'{suite}' is not a suite. {suggest(suite, SUITES)}")
    if metrics is not None:
        cards = [find_card(metric.strip()) for metric in dict.fromkeys(metrics)]
        return _with_weights(Plan(selected, "custom", cards))
    if suite != "auto":
        return _with_weights(Plan(selected, suite, suite_cards(selected, suite)))
    return _automatic(selected)


def suite_cards(protocol: Protocol, suite: str) -> list[Card]:
    """Return the metrics of a suite.

    Raises:
        InputError: the protocol lacks the suite.
    """
    ids = {str(key): metrics for key, metrics in protocol.suites.items()}.get(suite)
    if ids is None:
        raise InputError(
            f"The protocol '{protocol.id}' has no suite '{suite}', only {', '.join(protocol.suites)}."
        )
    return [find_card(metric) for metric in ids]


def _with_weights(plan: Plan) -> Plan:
    """Set aside the metrics whose weights are missing.

    Raises:
        WeightsError: no network has its weights, so only the detected faces could be counted.
    """
    missing = {card.id: missing_entries(card) for card in plan.cards}
    absent = [(card, reason_missing(card, missing[card.id])) for card in plan.cards if missing[card.id]]
    present = [card for card in plan.cards if not missing[card.id]]
    if absent and all(card.reads.backbone == DETECTOR for card in present):
        raise availability.nothing_at_hand(entry for entries in missing.values() for entry in entries)
    choices = choices_of(plan.cards, present, f"suite {plan.suite}") if plan.suite != "custom" else []
    return Plan(plan.protocol, plan.suite, present, absent, choices, plan.warnings)


def _automatic(protocol: Protocol) -> Plan:
    """Take the best networks at hand; weights imported with `--unofficial` are never chosen by themselves."""
    if len(protocol.suites) == 1:
        return _with_weights(Plan(protocol, str(*protocol.suites), suite_cards(protocol, *protocol.suites)))
    own = own_cards(protocol)
    names = {card.id for card in own}
    paper, compact = (
        [card for card in suite_cards(protocol, suite) if card.id not in names]
        for suite in ("paper", "compact")
    )
    ready = [substitute(card) for card in paper if not missing_entries(substitute(card), official=True)]
    if len(ready) == len(paper):
        choices = choices_of(paper, [*ready, *own], "all weights are at hand")
        return Plan(protocol, "paper", [*ready, *own], choices=choices)
    missing = sorted({entry.name for card in paper for entry in missing_entries(card, official=True)})
    remedy = "fetch them with: facebench weights fetch --suite paper; facebench doctor lists what needs other steps"
    if not any(needs_weights(card) for card in ready):
        warning = (
            f"suite compact, because weights of the paper suite are missing ({', '.join(missing)}); {remedy}"
        )
        plan = _with_weights(Plan(protocol, "compact", [*compact, *own], warnings=[warning]))
        return replace(plan, choices=choices_of(paper, plan.cards, "best at hand"))
    cards = best_cards(ready, [card for card in compact if not missing_entries(card)]) + own
    choices = choices_of(paper, cards, "best at hand")
    warning = (
        "suite auto takes the best networks at hand, "
        + "; ".join(f"{choice.kind}: {', '.join(choice.networks)}" for choice in choices if choice.networks)
        + f". Missing: {', '.join(missing)}; {remedy}"
    )
    return Plan(protocol, "auto", cards, choices=choices, warnings=[warning])


def own_cards(protocol: Protocol) -> list[Card]:
    """Return the metrics of a protocol that read networks of the user."""
    added = {network.name for network in added_networks()}
    ids = dict.fromkeys(metric for metrics in protocol.suites.values() for metric in metrics)
    return [card for card in map(find_card, ids) if card.reads.backbone in added]


def needs_weights(card: Card) -> bool:
    """Return whether a metric reads a network with trained weights."""
    return bool(set(card.backbones) - WITHOUT_WEIGHTS - {DETECTOR})
