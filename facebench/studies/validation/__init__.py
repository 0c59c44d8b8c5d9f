"""Validation: faces are damaged by known amounts, and every metric has to answer as its card claims."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from facebench.core.environment import facebench_version
from facebench.core.errors import InputError
from facebench.core.suggest import suggest
from facebench.evaluation.cards import Card, Damage, find_card, load_cards
from facebench.evaluation.pipeline import evaluate
from facebench.evaluation.plan import make_plan
from facebench.evaluation.protocols import load_protocols
from facebench.evaluation.record import MetricResult, Run
from facebench.studies.validation import datasets
from facebench.studies.validation.verdicts import LEVEL, Curve, Judged, Verdict, curve, judge, widening

__all__ = ["STRENGTHS", "Validation", "validate"]

STRENGTHS = (0.25, 0.5, 0.75, 1.0)
"""Of every damage, beside 0."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Validation:
    """What every claim of a suite's cards came to.

    Attributes:
        suite: whose metrics were validated; "custom" when they were named.
        faces: how the faces were made: identities, images, size, seed.
        judged: every claim with its curve and verdict.
        unclaimed: metrics of the suite whose cards claim nothing.
    """

    suite: str
    faces: dict[str, int]
    judged: list[Judged]
    unclaimed: list[str]

    def of(self, verdict: Verdict) -> list[Judged]:
        """The claims with a verdict."""
        return [claim for claim in self.judged if claim.verdict == verdict]

    @property
    def passed(self) -> bool:
        """Whether no metric broke a claim."""
        return not self.of("broken")

    def record(self) -> dict[str, Any]:
        """Everything as plain data for JSON."""
        comparisons = sum(len(claim.curve.changes) for claim in self.judged)
        return {
            "schema": 1,
            "facebench": facebench_version().model_dump(),
            "suite": self.suite,
            "faces": self.faces,
            "level": LEVEL,
            "comparisons": comparisons,
            "widened_by": round(widening(comparisons), 4),
            "claims": [_claim(claim) for claim in self.judged],
            "without_claims": self.unclaimed,
        }


def validate(
    suite: str = "compact",
    *,
    metrics: Sequence[str] | None = None,
    kinds: Sequence[str] | None = None,
    identities: int = 16,
    images: int = 8,
    size: int = 112,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
) -> Validation:
    """Damage synthetic faces at four strengths and hold every metric to the claims of its card.

    Args:
        suite: "paper", "compact" or "auto"; all metrics that any protocol names in it.
        metrics: ids of the metrics to validate instead of the suite's.
        kinds: only these damages; all that the cards speak of by default.
        identities: people in the generated set, and as many real ones.
        images: of each person.
        size: side of the images in pixels.
        seed: of faces, damages and resampling.
        device: "auto", "cpu", "cuda" or "mps".
        progress: called with the stage, what is done, and the total.

    Returns:
        Every claim with its response curve and verdict. Features go to the store, so that a second validation
        computes only what has changed.

    Raises:
        InputError: an unknown suite, metric or damage, nothing to validate, or too few faces.
        WeightsError: weights of the suite are missing.

    Example:
        >>> from facebench.studies.validation import validate
        >>> validate("compact").passed  # doctest: +SKIP
        True
    """
    chosen, kept = _cards(suite, metrics), _kinds(kinds)
    claiming = {kind: [card for card in chosen if kind in card.claims] for kind in kept}
    claiming = {kind: cards for kind, cards in claiming.items() if cards}
    if not claiming:
        raise InputError("Nothing to validate: no card of these metrics claims anything about these damages.")
    told = progress or _silent
    runs: dict[tuple[Damage | None, float], Run] = {}
    with tempfile.TemporaryDirectory() as scratch:
        faces = datasets.build(
            Path(scratch),
            identities=identities,
            images=images,
            size=size,
            seed=seed,
            progress=told,
        )
        sets = [(None, 0.0), *((kind, strength) for kind in claiming for strength in STRENGTHS)]
        for place, (kind, strength) in enumerate(sets):
            told("damaged sets", place, len(sets))
            wanted = {card.id for of_kind in claiming.values() for card in of_kind}
            if kind is not None:
                wanted = {card.id for card in claiming[kind]}
            runs[kind, strength] = _evaluate(faces, kind, strength, sorted(wanted), seed, device)
        told("damaged sets", len(sets), len(sets))
    return Validation(
        suite=suite if metrics is None else "custom",
        faces={"identities": identities, "images": images, "size": size, "seed": seed},
        judged=judge(_curves(claiming, runs)),
        unclaimed=[card.id for card in chosen if not card.claims],
    )


def _cards(suite: str, metrics: Sequence[str] | None) -> list[Card]:
    """The metrics that were named, or all that the protocols have in a suite, by family."""
    if metrics is not None:
        return [find_card(metric.strip()) for metric in dict.fromkeys(metrics)]
    plans = [make_plan(protocol, suite) for protocol in load_protocols()]
    if suite == "auto" and len({plan.suite for plan in plans}) > 1:  # weights of some protocols only
        return _cards("compact", None)
    named = {card.id for plan in plans for card in plan.cards}
    return [card for card in load_cards().values() if card.id in named]


def _kinds(kinds: Sequence[str] | None) -> list[Damage]:
    known: tuple[Damage, ...] = get_args(Damage)
    for kind in kinds or ():
        if kind not in known:
            raise InputError(f"There is no damage '{kind}'. {suggest(kind, known)}")
    return [kind for kind in known if kinds is None or kind in kinds]


def _evaluate(
    faces: datasets.Stage, kind: Damage | None, strength: float, metrics: list[str], seed: int, device: str
) -> Run:
    if kind is None:
        return evaluate(faces.manifest, faces.reference, metrics=metrics, seed=seed, device=device)
    with faces.damaged(kind, strength) as manifest:
        return evaluate(manifest, faces.reference, metrics=metrics, seed=seed, device=device)


def _curves(claiming: dict[Damage, list[Card]], runs: dict[tuple[Damage | None, float], Run]) -> list[Curve]:
    """One curve for each claim, metric by metric."""
    found = []
    for kind, of_kind in claiming.items():
        of_strength = {0.0: runs[None, 0.0]} | {strength: runs[kind, strength] for strength in STRENGTHS}
        found += [curve(card, kind, of_strength) for card in of_kind]
    order = list(load_cards())
    return sorted(found, key=lambda one: order.index(one.card.id))


def _claim(claim: Judged) -> dict[str, Any]:
    card = claim.curve.card
    return {
        "metric": card.id,
        "damage": claim.curve.kind,
        "claim": claim.curve.claim,
        "better": card.better,
        "verdict": claim.verdict,
        "why": claim.why,
        "points": [_point(strength, result) for strength, result in claim.curve.results.items()],
    }


def _point(strength: float, result: MetricResult) -> dict[str, Any]:
    kept = result.model_dump(include={"value", "low", "high", "method", "n", "reason", "note"})
    return {"strength": strength, **kept}


def _silent(stage: str, done: int, total: int) -> None:
    """Progress for nobody."""
