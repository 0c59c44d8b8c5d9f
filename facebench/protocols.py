"""Which metrics a run computes: a protocol, a suite, and the weights at hand decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from facebench import cards, weights
from facebench.cards import Card, Protocol
from facebench.errors import InputError

# The face detector gives arrays like any backbone does, but the extraction runs it for all face networks at once.
DETECTOR = "yunet"
SUITES = ("auto", "paper", "compact")


@dataclass(frozen=True)
class Plan:

def _cards_of(protocol: Protocol, suite: str) -> list[Card]:
    ids = {str(key): metrics for key, metrics in protocol.suites.items()}.get(suite)
    if ids is None:
        raise InputError(f"The protocol '{protocol.id}' has no suite '{suite}', only {', '.join(protocol.suites)}.")
    return [cards.card(metric) for metric in ids]


def _missing_weights(chosen: Sequence[Card]) -> list[str]:
    names = sorted({card.reads.backbone for card in chosen} - {DETECTOR})
    return weights.suite_ready(names)
