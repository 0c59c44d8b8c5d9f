"""Which metrics a run computes: a protocol, a suite, and the weights at hand decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from facebench.backbones import weights
from facebench.core.errors import InputError
from facebench.core.suggest import suggest
from facebench.evaluation.cards import Card, find_card
from facebench.evaluation.protocols import Protocol, find_protocol
from facebench.evaluation.trained_protocols import check_not_trained

# The face detector gives arrays like any backbone does, but the extraction runs it for all face networks at once.
DETECTOR = "yunet"
# Networks whose input is a pair of images, a generated one and its source (`facebench.features.pairs`).
PAIR_NETWORKS = frozenset({"lpips"})
SUITES = ("auto", "paper", "compact")


@dataclass(frozen=True)
class Plan:
    """What will be measured."""

    protocol: Protocol
    suite: str
    cards: list[Card]
    warnings: list[str] = field(default_factory=list)

    def backbones(self, role: str = "generated") -> list[str]:
        """Names of the networks that must see the images of a role; every metric reads the generated ones."""
        kind = role.partition(":")[0]
        reading = [card.reads.backbone for card in self.cards if kind == "generated" or kind in card.needs]
        return sorted(set(reading) - {DETECTOR} - PAIR_NETWORKS)

    def pair_networks(self) -> list[str]:
        """Names of the networks that must see every generated image together with its source."""
        return sorted({card.reads.backbone for card in self.cards} & PAIR_NETWORKS)

    def networks(self) -> list[str]:
        """Names of all networks whose weights are needed."""
        return sorted({card.reads.backbone for card in self.cards} - {DETECTOR})

    def needs(self, role: str) -> bool:
        """Whether any metric needs a role."""
        return any(role in card.needs for card in self.cards)

    @property
    def needs_detector(self) -> bool:
        """Whether a metric is about finding faces, whatever the networks need."""
        return any(card.reads.backbone == DETECTOR for card in self.cards)


def make_plan(protocol: str, suite: str = "auto", metrics: Sequence[str] | None = None) -> Plan:
    """Choose the suite and the metrics.

    Args:
        protocol: name of a protocol.
        suite: "paper", "compact", or "auto": paper when all its weights are at hand, else compact.
        metrics: ids to compute instead of the protocol's; the suite is then recorded as "custom".

    Raises:
        InputError: unknown protocol, suite or metric, or a suite that the protocol does not have.

    Example:
        >>> make_plan("quality", "compact").backbones("reference")
        ['lite0']
    """
    check_not_trained(protocol)
    chosen = find_protocol(protocol)
    if suite not in SUITES:
        raise InputError(f"There is no suite '{suite}'. {suggest(suite, SUITES)}")
    if metrics is not None:
        return Plan(chosen, "custom", [find_card(metric.strip()) for metric in dict.fromkeys(metrics)])
    if suite != "auto":
        return Plan(chosen, suite, _cards_of(chosen, suite))
    missing = _missing_weights(_cards_of(chosen, "paper"))
    if not missing:
        return Plan(chosen, "paper", _cards_of(chosen, "paper"))
    told = (
        f"suite compact, because the weights of the paper suite are not all at hand "
        f"(missing: {', '.join(missing)}); fetch them with: facebench weights fetch --suite paper"
    )
    return Plan(chosen, "compact", _cards_of(chosen, "compact"), [told])


def _cards_of(protocol: Protocol, suite: str) -> list[Card]:
    ids = {str(key): metrics for key, metrics in protocol.suites.items()}.get(suite)
    if ids is None:
        raise InputError(
            f"The protocol '{protocol.id}' has no suite '{suite}', only {', '.join(protocol.suites)}."
        )
    return [find_card(metric) for metric in ids]


def _missing_weights(chosen: Sequence[Card]) -> list[str]:
    return weights.suite_ready(sorted({card.reads.backbone for card in chosen} - {DETECTOR}))
