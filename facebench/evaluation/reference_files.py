"""Reference statistics of a run: read from files, checked against its networks, and described in its record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from facebench.backbones import Backbone
from facebench.core.errors import InputError
from facebench.evaluation.cards import Card, load_cards
from facebench.evaluation.config import EvaluationConfig
from facebench.evaluation.plan import Plan
from facebench.evaluation.record import InputRecord
from facebench.evaluation.reference_rows import FRECHET, can_read, what_is_missing
from facebench.evaluation.statistics import ARRAYS, ReferenceStatistics
from facebench.evaluation.statistics_files import holds_statistics, read_statistics
from facebench.features.extraction import Extraction

Statistics = Mapping[str, ReferenceStatistics]
"""Reference statistics by role."""


def open_statistics(config: EvaluationConfig) -> dict[str, ReferenceStatistics]:
    """Read the reference sets that are statistics files, by role.

    Raises:
        InputError: a file is damaged, or names no network and the option `reference_network` is missing.
    """
    files = {role: path for role, path in config.references.items() if holds_statistics(path)}
    if config.reference_network is not None and not files:
        raise InputError(
            "The option 'reference_network' is for a reference of statistics (.npz with mu and sigma)."
        )
    return {role: read_statistics(path, config.reference_network) for role, path in files.items()}


def plan_with_statistics(plan: Plan, statistics: Statistics, config: EvaluationConfig) -> Plan:
    """Set aside the metrics that need more than the reference statistics hold.

    Raises:
        InputError: no metric of the plan can be computed from a file.
    """
    if not statistics:
        return plan
    reading = [card for card in plan.cards if "reference" in card.needs]
    for role, each in statistics.items():
        if not any(can_read(card, each) for card in reading):
            raise InputError(_no_metric(str(config.references[role]), each))
    if len(statistics) < len(config.references):
        return plan
    missing = {card.id: _reason(card, statistics) for card in reading}
    cards = [card for card in plan.cards if not missing.get(card.id)]
    absent = [(card, missing[card.id]) for card in reading if missing[card.id]]
    return replace(plan, cards=cards, absent=[*plan.absent, *absent])


def _reason(card: Card, statistics: Statistics) -> str:
    """Return why no file gives the reference of a metric; empty if one does."""
    reasons = [what_is_missing(card, each) for each in statistics.values()]
    return reasons[0] if all(reasons) else ""


def _no_metric(path: str, statistics: ReferenceStatistics) -> str:
    ids = [
        card.id for card in load_cards().values() if card.compute == FRECHET and can_read(card, statistics)
    ]
    start = f"{path} holds statistics of {statistics.network}, which no metric of this run reads."
    return f"{start} Name one that does: --metrics {ids[0]}" if ids else start


def check_networks(
    statistics: Statistics, networks: Mapping[str, Backbone], config: EvaluationConfig
) -> None:
    """Check that statistics were computed with the weights and the preprocessing of this run.

    Raises:
        InputError: they differ.
    """
    for role, each in statistics.items():
        network = networks.get(each.network)
        if each.origin is None or network is None:
            continue
        for what, stored, own in (
            ("weights", each.origin.weights_sha256, network.weights.sha256),
            ("preprocessing", each.origin.preprocessing, network.preprocessing),
        ):
            if stored != own:
                raise InputError(
                    f"{config.references[role]} was written with other {what} of {each.network} ({stored[:16]}, here "
                    f"{own[:16]}). Write it again: facebench stats DIR --network {each.network}"
                )


def check_widths(statistics: Statistics, generated: Extraction, config: EvaluationConfig) -> None:
    """Check that statistics have as many features as their network.

    Raises:
        InputError: the numbers differ.
    """
    for role, each in statistics.items():
        arrays = generated.arrays.get(each.network, {})
        widths = {np.shape(arrays[name])[1] for name in ARRAYS if name in arrays}
        if widths and len(each.mu) not in widths:
            raise InputError(
                f"{config.references[role]} has {len(each.mu)} features, {each.network} gives {min(widths)}. "
                "Name the network of the file with --reference-network."
            )


def statistics_records(statistics: Statistics, config: EvaluationConfig) -> dict[str, InputRecord]:
    """Return the entries of the record; the number of images is 0 where the file does not hold it."""
    return {
        role: InputRecord(
            path=str(config.references[role]),
            kind="statistics",
            digest=each.digest,
            images=0 if each.origin is None else each.origin.n,
            statistics=f"{each.network}, {'as named by the user' if each.origin is None else each.origin.array}",
        )
        for role, each in statistics.items()
    }


def statistics_warnings(statistics: Statistics, config: EvaluationConfig) -> list[str]:
    """Return a warning for every file without provenance."""
    return [
        f"{config.references[role]} does not say how it was computed; the user named its network, {each.network}"
        for role, each in statistics.items()
        if each.origin is None
    ]
