"""The scale of a metric: its value for real faces alone, with as many images as were generated.

| metric | scale |
|---|---|
| of two sets, such as a Fréchet distance | images of one half of the reference set against the other half |
| of one set, such as the Vendi score | images of the reference set |
| verification, such as the EER | all pairs of reference images: the error of the recogniser itself |

The halves share no person, unless the generated set shows people of the reference set: then halves share no image.
The first half gives as many images as were generated, or all that it has; the second half is used whole. The scale is
the mean over `SPLITS` random splits. It is stored, because it depends on the reference set and not on the model.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from facebench.core.errors import InputError
from facebench.core.version import __version__
from facebench.evaluation.cards import DETECTOR, Card
from facebench.evaluation.estimate import numbers_of
from facebench.evaluation.metric_result import field_of
from facebench.evaluation.record import MetricResult, RealScale
from facebench.evaluation.reference_rows import can_read_alone
from facebench.evaluation.role_features import RoleFeatures
from facebench.evaluation.sample_selection import draw_sample, reference_sample
from facebench.evaluation.samples import IdentityPairs, Sample, TwoSets
from facebench.features.engine.cache import Cache
from facebench.features.store.sqlite import Network, Store
from facebench.metrics.arrays import Array
from facebench.metrics.intervals.estimate import MAX_STORED_PAIRS
from facebench.metrics.moments import Moments
from facebench.metrics.registry import MetricFunction, metric_function
from facebench.metrics.units import Units

SPLITS = 4
"""Random splits of the reference set over which a scale is averaged; one for functions with an interval of their own,
which take minutes."""
_KEYS = {"compute", "params", "reads", "over_frames", "needs"}
"""Cards that agree in these keys share one scale."""

Rows = npt.NDArray[np.int64]
Values = Mapping[str, npt.NDArray[np.float64]]


def add_scales(
    results: Mapping[str, MetricResult],
    cards: Sequence[Card],
    features: RoleFeatures,
    *,
    seed: int,
    store: Store | None,
) -> None:
    """Set the field `real` of every result that has a value and a scale.

    Args:
        results: results by metric id, such as those of `estimate_metrics`.
        cards: the metrics.
        features: features of all roles; without a reference set there is no scale.
        seed: seed of the splits.
        store: earlier scales are read from it, and new ones are written to it.
    """
    cache = Cache(store)
    known: dict[str, _Scale | None] = {}
    for card in cards:
        for metric, view in _views(card, features):
            result = results.get(metric)
            if result is None or result.value is None:
                continue
            n = result.n.get("generated", 0)
            key = json.dumps([n, metric.partition("@")[2], card.model_dump(include=_KEYS)])
            if key not in known:
                known[key] = _scale(card, view, n, seed, cache)
            scale = known[key]
            result.real = None if scale is None else scale.of(card)
    cache.flush()


def _views(card: Card, features: RoleFeatures) -> list[tuple[str, RoleFeatures]]:
    """Return the features with each reference set, by the id of the result that it scales."""
    names = features.reference_names
    if "reference" in card.needs and names:
        return [(f"{card.id}@{name}", features.with_reference(name)) for name in names]
    return [(card.id, features.with_reference(names[0]) if names else features)]


@dataclass(frozen=True)
class _Scale:
    """Values by field, one for each split, and the numbers of images or pairs behind each."""

    values: Values
    n: Mapping[str, int]
    note: str = ""

    def of(self, card: Card) -> RealScale | None:
        """Return the scale of one field; None where a split has no value."""
        values = self.values.get(field_of(card, self.values))
        if values is None or not np.isfinite(values).all():
            return None
        low, high = float(values.min()), float(values.max())
        return RealScale(value=float(values.mean()), low=low, high=high, n=dict(self.n), note=self.note)


def _scale(card: Card, features: RoleFeatures, generated: int, seed: int, cache: Cache) -> _Scale | None:
    """Return the scale of a card; None where the reference set does not allow one."""
    kind = metric_function(card.compute).sample
    if card.over_frames is not None:
        return None
    try:
        if kind == "two_sets":
            sample = draw_sample(card, features)
            return (
                _of_halves(card, sample, features, generated, seed, cache)
                if isinstance(sample, TwoSets) and not isinstance(sample.reference, Moments)
                else None
            )
        if kind in ("set", "verification") and _has_rows(card, features):
            sample = reference_sample(card, features)
            if isinstance(sample, IdentityPairs):
                return _of_pairs(card, sample, cache)
            return _of_one_set(card, sample, generated, seed, cache)
    except InputError:
        return None
    return None


def _has_rows(card: Card, features: RoleFeatures) -> bool:
    """Whether the network of the card has read the reference set."""
    if "reference" in features.statistics:
        return can_read_alone(card, features.statistics["reference"])
    extraction = features.extractions.get("reference")
    return (
        extraction is not None
        and card.reads.backbone != DETECTOR
        and card.reads.backbone in extraction.arrays
    )


def _of_halves(
    card: Card, sample: TwoSets, features: RoleFeatures, generated: int, seed: int, cache: Cache
) -> _Scale:
    assert isinstance(sample.reference, np.ndarray)
    assert sample.reference_units is not None
    reference = sample.reference
    rng = np.random.default_rng(seed)
    units = sample.reference_units if _are_other_people(sample, features) else Units.rows(len(reference))
    count = 1 if metric_function(card.compute).has_interval else SPLITS
    halves = [_halves(units, seed + split) for split in range(count)]
    n = min(generated, *(len(first) for first, _ in halves))
    m = min(len(second) for _, second in halves)
    if n < card.smallest_n:
        raise InputError(f"half of the reference set is fewer than {card.smallest_n} images")
    splits = [(rng.permutation(first)[:n], rng.permutation(second)[:m]) for first, second in halves]
    function, order = _function(card), metric_function(card.compute).order

    def value(split: tuple[Rows, Rows]) -> Any:
        first, second = (reference[rows] for rows in split)
        return function(*order(generated=first, reference=second))

    values = _stored(card, reference, splits, value, cache)
    note = "" if n == generated else f"from {n} images, fewer than the {generated} generated ones"
    return _Scale(values, {"generated": n, "reference": m}, note)


def _of_one_set(card: Card, sample: Sample, generated: int, seed: int, cache: Cache) -> _Scale:
    rng = np.random.default_rng(seed)
    n = min(generated, len(sample.generated))
    if n < card.smallest_n:
        raise InputError(f"the reference set has fewer than {card.smallest_n} images")
    count = SPLITS if n < len(sample.generated) else 1
    drawn = [np.sort(rng.permutation(len(sample.generated))[:n]) for _ in range(count)]
    function = _function(card)
    values = _stored(card, sample.generated, drawn, lambda rows: function(sample.generated[rows]), cache)
    note = "" if n == generated else f"from {n} images, fewer than the {generated} generated ones"
    return _Scale(values, {"reference": n}, note)


def _of_pairs(card: Card, sample: IdentityPairs, cache: Cache) -> _Scale:
    if sample.size < max(2, card.smallest_n):
        raise InputError(f"the reference set has fewer than {card.smallest_n} people")
    codes = Units.of(sample.identities).factors[0].codes
    function = metric_function(card.compute)
    values = _stored(card, sample.generated, [codes], lambda _: _verification(function, sample), cache)
    return _Scale(values, {"reference": len(sample.generated), "identities": sample.size})


def _verification(function: MetricFunction, sample: IdentityPairs) -> Any:
    """Verification over all pairs of a set."""
    pairing = function.pairing
    assert pairing is not None
    if pairing.blocked is not None and sample.pairs > MAX_STORED_PAIRS:
        return pairing.blocked(sample.generated, sample.identities).statistics
    scores = pairing.scores(sample.generated, sample.identities)
    return function.function(scores.genuine, scores.impostor)


def _function(card: Card) -> Callable[..., Any]:
    return functools.partial(metric_function(card.compute).function, **card.params)


def _are_other_people(sample: TwoSets, features: RoleFeatures) -> bool:
    """Whether the generated set shows no person of the reference set."""
    return not {*features.identities("generated")} & {*sample.reference_identities} - {None}


def _halves(units: Units, seed: int) -> tuple[Rows, Rows]:
    """Split rows at random into two halves that share no unit, the larger one first."""
    side = units.deal(2, seed)[0]
    first, second = np.flatnonzero(side == 0), np.flatnonzero(side == 1)
    return (first, second) if len(first) >= len(second) else (second, first)


def _stored(
    card: Card, rows: Array, draws: Sequence[Any], value: Callable[[Any], Any], cache: Cache
) -> dict[str, npt.NDArray[np.float64]]:
    """Return the values by field for each draw, from the store where it has them."""
    network = Network("real-scale", weights=__version__, preprocessing=card.compute)
    address = _address(card, rows, draws)
    found = cache.get(network, [address]).get(address)
    if found is None:
        answers = [numbers_of(value(draw)) for draw in draws]
        fields = [name for name in answers[0] if all(answer.get(name) is not None for answer in answers)]
        found = {name: np.array([answer[name] for answer in answers], np.float64) for name in fields}
        cache.put(network, address, found)
    return found


def _address(card: Card, rows: Array, draws: Sequence[Any]) -> bytes:
    """Return the digest of the function, its parameters, and the rows of each draw."""
    digest = hashlib.sha256(json.dumps([card.compute, card.params], sort_keys=True).encode())
    digest.update(np.ascontiguousarray(rows).tobytes())
    for draw in draws:
        for part in draw if isinstance(draw, tuple) else (draw,):
            digest.update(np.ascontiguousarray(part).tobytes() + b"|")
    return digest.digest()
