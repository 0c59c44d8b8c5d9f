"""Select the metrics of a run by protocol, suite and available weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import get_args

from facebench.backbones import weights
from facebench.core.errors import InputError
from facebench.core.suggest import suggest
from facebench.evaluation.cards import Card, find_card
from facebench.evaluation.protocols import Protocol, Suite, find_protocol
from facebench.evaluation.trained_protocols import check_not_trained

DETECTOR = "yunet"
"""Stands for the face detector of the run in metric cards, whichever `EvaluationConfig.detector` selects.

It has arrays like a backbone, but the extraction runs it once for all face networks."""
PAIR_NETWORKS = frozenset({"lpips"})
"""Networks whose input is a pair of images, a generated image and its source (`facebench.features.pairs`)."""
SUITES = ("auto", *get_args(Suite))


@dataclass(frozen=True)
class Plan:
    """Metrics of a run.

    Attributes:
        protocol: the protocol.
        suite: "paper", "compact", or "custom" for metrics selected by id.
        cards: the metrics.
        warnings: remarks for the record.
    """

    protocol: Protocol
    suite: str
    cards: list[Card]
    warnings: list[str] = field(default_factory=list)

    def backbones(self, role: str = "generated") -> list[str]:
        """Return the networks that process the images of a role; every metric reads the generated images."""
        kind = role.partition(":")[0]
        reading = [card for card in self.cards if kind == "generated" or kind in card.needs]
        names = [name for card in reading for name in card.backbones]
        return sorted(set(names) - {DETECTOR} - PAIR_NETWORKS)

    def pair_networks(self) -> list[str]:
        """Return the networks that compare every generated image with its source."""
        return sorted({card.reads.backbone for card in self.cards} & PAIR_NETWORKS)

    def networks(self) -> list[str]:
        """Return all networks whose weights are needed."""
        return sorted({name for card in self.cards for name in card.backbones} - {DETECTOR})

    def needs(self, role: str) -> bool:
        """Return whether any metric needs a role."""
        return any(role in card.needs for card in self.cards)

    @property
    def needs_detector(self) -> bool:
        """Whether a metric counts detected faces, independent of the networks."""
        return any(card.reads.backbone == DETECTOR for card in self.cards)


def make_plan(protocol: str, suite: str = "auto", metrics: Sequence[str] | None = None) -> Plan:
    """Select the suite and the metrics.

    Args:
        protocol: name of a protocol.
        suite: "paper", "compact", or "auto": paper when all its weights are present, else compact.
        metrics: ids to compute in place of the protocol's metrics; the record then names the suite "custom".

    Raises:
        InputError: unknown protocol, suite or metric, or a suite that the protocol lacks.

    Example:
        >>> make_plan("quality", "compact").backbones("reference")
        ['lite0']
    """
    check_not_trained(protocol)
    selected = find_protocol(protocol)
    if suite not in SUITES:
        raise InputError(f"There is no suite '{suite}'. {suggest(suite, SUITES)}")
    if metrics is not None:
        return Plan(selected, "custom", [find_card(metric.strip()) for metric in dict.fromkeys(metrics)])
    if suite != "auto":
        return Plan(selected, suite, _suite_cards(selected, suite))
    missing = _missing_weights(_suite_cards(selected, "paper"))
    if not missing:
        return Plan(selected, "paper", _suite_cards(selected, "paper"))
    warning = (
        f"suite compact, because weights of the paper suite are missing ({', '.join(missing)}); "
        "fetch them with: facebench weights fetch --suite paper"
    )
    return Plan(selected, "compact", _suite_cards(selected, "compact"), [warning])


def _suite_cards(protocol: Protocol, suite: str) -> list[Card]:
    ids = {str(key): metrics for key, metrics in protocol.suites.items()}.get(suite)
    if ids is None:
        raise InputError(
            f"The protocol '{protocol.id}' has no suite '{suite}', only {', '.join(protocol.suites)}."
        )
    return [find_card(metric) for metric in ids]


def _missing_weights(cards: Sequence[Card]) -> list[str]:
    return weights.suite_ready(sorted({name for card in cards for name in card.backbones} - {DETECTOR}))
