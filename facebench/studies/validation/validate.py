"""Evaluate every metric on faces with known damage, and compare its response with the claims of its card."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from facebench.core.environment import facebench_version
from facebench.core.errors import InputError
from facebench.core.progress import Progress, no_progress
from facebench.core.suggest import suggest
from facebench.evaluation.cards import DETECTOR, Card, Damage, find_card, load_cards
from facebench.evaluation.pipeline import evaluate
from facebench.evaluation.plan import make_plan
from facebench.evaluation.protocols import load_protocols
from facebench.evaluation.record import MetricResult, Run
from facebench.studies.validation.datasets import ValidationFaces, render_faces
from facebench.studies.validation.verdicts import LEVEL, Claim, Curve, Verdict, curve, judge, widening

STRENGTHS = (0.25, 0.5, 0.75, 1.0)
"""Strengths of every damage, in addition to 0."""

Runs = dict[tuple[Damage | None, float], Run]


class ValidationConfig(BaseModel):
    """Options of a validation.

    Attributes:
        suite: suite whose metrics are validated: all metrics with its networks.
        metrics: validate only these metrics.
        damages: apply only these damages; by default all damages in the claims of the cards.
        identities: number of people in the generated set, and in the real set.
        images: number of images of each person.
        size: width and height in pixels.
        seed: seed of faces, damages and resampling.
        device: device of the networks.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    suite: Literal["auto", "paper", "compact"] = "compact"
    metrics: tuple[str, ...] | None = None
    damages: tuple[str, ...] | None = None
    identities: int = Field(16, ge=2)
    images: int = Field(8, ge=1)
    size: int = Field(112, ge=32)
    seed: int = 0
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"


@dataclass(frozen=True)
class Validation:
    """Verdicts on the claims of metric cards.

    Attributes:
        suite: suite of the metrics; "custom" for metrics selected by id.
        faces: identities, images, size and seed of the rendered faces.
        claims: every claim with its response curve and verdict.
        unclaimed: metrics whose cards have no claims.
    """

    suite: str
    faces: dict[str, int]
    claims: list[Claim]
    unclaimed: list[str]

    def with_verdict(self, verdict: Verdict) -> list[Claim]:
        """Return the claims with a verdict."""
        return [claim for claim in self.claims if claim.verdict == verdict]

    @property
    def passed(self) -> bool:
        """Whether no claim is broken."""
        return not self.with_verdict("broken")

    def record(self) -> dict[str, Any]:
        """Return the validation as plain data for JSON."""
        comparisons = sum(len(claim.curve.changes) for claim in self.claims)
        return {
            "schema": 1,
            "facebench": facebench_version().model_dump(),
            "suite": self.suite,
            "faces": self.faces,
            "level": LEVEL,
            "comparisons": comparisons,
            "widened_by": round(widening(comparisons), 4),
            "claims": [_claim_record(claim) for claim in self.claims],
            "without_claims": self.unclaimed,
        }


def validate(suite: str = "compact", *, progress: Progress = no_progress, **options: Any) -> Validation:
    """Damage rendered faces at four strengths and compare every metric with the claims of its card.

    Args:
        suite: "paper", "compact" or "auto".
        progress: callback invoked with the stage, the number of images or sets done, and the total.
        options: further fields of `ValidationConfig`.

    Returns:
        Every claim with its response curve and verdict. Features are stored, so a second validation computes
        only changes.

    Raises:
        InputError: an unknown suite, metric or damage, no claim to test, or too few faces.
        WeightsError: weights of the suite are missing.

    Example:
        >>> from facebench.studies.validation import validate
        >>> validate("compact").passed  # doctest: +SKIP
        True
    """
    config = _config({"suite": suite, **options})
    cards, damages = suite_metrics(config.suite, config.metrics), _damages(config.damages)
    claiming = {damage: [card for card in cards if damage in card.claims] for damage in damages}
    claiming = {damage: members for damage, members in claiming.items() if members}
    if not claiming:
        raise InputError("Nothing to validate: no card of these metrics has a claim about these damages.")
    runs = _evaluate_all(config, claiming, progress)
    return Validation(
        suite=config.suite if config.metrics is None else "custom",
        faces=config.model_dump(include={"identities", "images", "size", "seed"}),
        claims=judge(_curves(claiming, runs)),
        unclaimed=[card.id for card in cards if not card.claims],
    )


def _config(options: dict[str, Any]) -> ValidationConfig:
    try:
        return ValidationConfig.model_validate(options)
    except ValidationError as error:
        problem = error.errors()[0]
        option = str(problem["loc"][0])
        raise InputError(
            f"The option '{option}' is {problem['input']!r}: {problem['msg'].lower()}."
        ) from error


def suite_metrics(suite: str, metrics: Sequence[str] | None) -> list[Card]:
    """Return the selected metrics, or all metrics of a suite, by family.

    A suite has the metrics of its protocols, and all other metrics with a claim that read the same networks.
    """
    if metrics is not None:
        return [find_card(metric.strip()) for metric in dict.fromkeys(metrics)]
    plans = [make_plan(protocol, suite) for protocol in load_protocols()]
    if suite == "auto" and len({plan.suite for plan in plans}) > 1:  # weights of some protocols only
        return suite_metrics("compact", None)
    ids = {card.id for plan in plans for card in plan.cards}
    networks = {DETECTOR, *(network for plan in plans for network in plan.networks())}
    return [
        card
        for card in load_cards().values()
        if card.id in ids or (card.claims and networks.issuperset(card.backbones))
    ]


def _damages(names: Sequence[str] | None) -> list[Damage]:
    known: tuple[Damage, ...] = get_args(Damage)
    for name in names or ():
        if name not in known:
            raise InputError(f"'{name}' is not a damage. {suggest(name, known)}")
    return [damage for damage in known if names is None or damage in names]


def _evaluate_all(config: ValidationConfig, claiming: dict[Damage, list[Card]], progress: Progress) -> Runs:
    """Render the faces and evaluate them undamaged and with every damage and strength."""
    sets: list[tuple[Damage | None, float]] = [(None, 0.0)]
    sets += [(damage, strength) for damage in claiming for strength in STRENGTHS]
    runs: Runs = {}
    with tempfile.TemporaryDirectory() as scratch:
        faces = render_faces(
            Path(scratch),
            identities=config.identities,
            images=config.images,
            size=config.size,
            seed=config.seed,
            progress=progress,
        )
        for place, (damage, strength) in enumerate(sets):
            progress("damaged sets", place, len(sets))
            cards = claiming[damage] if damage is not None else chain(*claiming.values())
            runs[damage, strength] = _evaluate(faces, (damage, strength), cards, config)
        progress("damaged sets", len(sets), len(sets))
    return runs


def _evaluate(
    faces: ValidationFaces,
    damaged: tuple[Damage | None, float],
    cards: Iterable[Card],
    config: ValidationConfig,
) -> Run:
    damage, strength = damaged
    options: dict[str, Any] = {
        "metrics": sorted({card.id for card in cards}),
        "seed": config.seed,
        "device": config.device,
        "held_out": faces.held_out,
        "domain": "rendered",
    }
    if damage is None:
        return evaluate(faces.manifest, faces.reference, **options)
    with faces.damaged(damage, strength) as manifest:
        return evaluate(manifest, faces.reference, **options)


def _curves(claiming: dict[Damage, list[Card]], runs: Runs) -> list[Curve]:
    """Return one curve for each claim, sorted by metric."""
    curves = []
    for damage, cards in claiming.items():
        by_strength = {0.0: runs[None, 0.0]} | {strength: runs[damage, strength] for strength in STRENGTHS}
        curves += [curve(card, damage, by_strength) for card in cards]
    order = list(load_cards())
    return sorted(curves, key=lambda each: order.index(each.card.id))


def _claim_record(claim: Claim) -> dict[str, Any]:
    card = claim.curve.card
    return {
        "metric": card.id,
        "damage": claim.curve.damage,
        "claim": claim.curve.response_claim,
        "better": card.better,
        "verdict": claim.verdict,
        "why": claim.reason,
        "points": [_point_record(strength, result) for strength, result in claim.curve.results.items()],
    }


def _point_record(strength: float, result: MetricResult) -> dict[str, Any]:
    fields = result.model_dump(include={"value", "low", "high", "method", "n", "reason", "note"})
    return {"strength": strength, **fields}
