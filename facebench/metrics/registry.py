"""How each metric function is called and what its result means, for metric cards.

A metric card names a function of `facebench.metrics` (`compute: precision_recall`). The entry of that function in
this file says which arrays it takes, which of its results are averages over images, which are proportions, and
which samples vary independently. Nothing is inferred from parameter names.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from facebench.core.errors import InputError
from facebench.core.suggest import suggest
from facebench.metrics.affect_agreement import affect_agreement
from facebench.metrics.arrays import Array, Floats, vector
from facebench.metrics.authenticity import authenticity
from facebench.metrics.biometric_capacity import biometric_capacity
from facebench.metrics.class_agreement import class_agreement, same_class
from facebench.metrics.class_change import class_change, row_class_change
from facebench.metrics.clipped_density_coverage import clipped_density_coverage
from facebench.metrics.copied_share import copied_share
from facebench.metrics.density_coverage import density_coverage
from facebench.metrics.distinct_identities import distinct_identities
from facebench.metrics.edit_control import edit_linearity, harmonic_edit_score, harmonic_edit_scores
from facebench.metrics.edit_trade_off import edit_trade_off
from facebench.metrics.expression_confusion import expression_confusion, read_as_wanted
from facebench.metrics.frechet import frechet_distance
from facebench.metrics.frechet_infinity import frechet_infinity
from facebench.metrics.id_booth import id_booth_scores, id_booth_summary, id_booth_verification
from facebench.metrics.kernel_distance import kernel_distance
from facebench.metrics.leakage import closest_cosines, leakage, leaked
from facebench.metrics.macro_recall import macro_recall
from facebench.metrics.mean_std import mean_std
from facebench.metrics.membership import membership
from facebench.metrics.mind import mind, sliced_wasserstein
from facebench.metrics.mmd_rbf import mmd_rbf
from facebench.metrics.paired import (
    cosine_similarity,
    paired_delta,
    paired_distance,
    paired_similarity,
    row_delta,
    row_distance,
)
from facebench.metrics.pairs import PairScores, pair_scores
from facebench.metrics.precision_recall import precision_recall
from facebench.metrics.retrieval import retrieval_rates
from facebench.metrics.share_verified import is_verified, is_verified_at, share_verified, share_verified_at
from facebench.metrics.spread import spread
from facebench.metrics.vendi import vendi_score
from facebench.metrics.verification import Summary, summarise, verification
from facebench.metrics.verification_blocked import BlockedVerification, blocked_verification
from facebench.metrics.wanted_class import is_wanted_class, wanted_class

Argument = Literal[
    "generated",
    "reference",
    "held_out",
    "partner",
    "reference_identities",
    "genuine",
    "impostor",
    "score",
    "identity",
    "threshold",
]
"""What an array holds.

`partner` is the row that belongs to the generated image: its source, its target or its true value. `score` and
`identity` are the score of the wanted expression and the cosine with the source, of each edit. `threshold` is the
cosine from which a pair counts as one person.
"""

Sample = Literal[
    "set",
    "two_sets",
    "pairs_of_images",
    "verification",
    "leakage",
    "membership",
    "retrieval",
    "edits",
    "edit_series",
    "edit_trade_off",
    "verified_edits",
]
"""What is compared.

| sample | rows |
|---|---|
| set | generated images |
| two_sets | generated and reference images, in no particular order |
| pairs_of_images | row i of both arrays belongs together |
| verification | genuine and impostor scores of pairs of images |
| leakage | generated images, and the training set with its identities |
| membership | generated images, the training set, and images that were not trained on |
| retrieval | numbers of each generated image as a query in the reference set |
| edits | the strongest edit of each source towards each expression: predicted and wanted expression |
| edit_series | one row of scores and one of strengths for each source and expression |
| edit_trade_off | for each source and expression, whether each strength shows the expression and keeps the person |
| verified_edits | edit and source, with the threshold of the recogniser among the sources |
"""

Unit = Literal["image", "identity"]
Resampling = Literal["bootstrap", "jackknife", "none"]
PerImage = Callable[..., Floats]


@dataclass(frozen=True)
class Pairing:
    """How the scores of a verification metric are made, and how they are summarised.

    Attributes:
        scores: from embeddings, identities and, optionally, reference embeddings and identities.
        summary: from a curve of error rates and the spread of the scores; used on every resample.
        blocked: the same statistics over all pairs without storing them; None when the pairs are a short list.
    """

    scores: Callable[..., PairScores]
    summary: Summary
    blocked: Callable[..., BlockedVerification] | None = None


@dataclass(frozen=True)
class MetricFunction:
    """One metric function, as metric cards use it.

    Attributes:
        function: the function; it takes the arrays by position and the parameters of the card by keyword.
        arguments: what each array holds, in order.
        sample: what is compared.
        unit: what is resampled for the interval. `image` becomes the identity or the source where images share
            one; `identity` is always the identity.
        resampling: `bootstrap` for averages, `jackknife` for distances between sets and for metrics of
            neighbours, which a repeated row would distort.
        per_image: result field to a function of the same arguments and parameters that returns one number per
            generated image, whose mean is that field. Fields that are not averages over images are absent.
        shares: result field to its full scale (1, or 100 for a percentage), for fields that are proportions.
            They get Clopper-Pearson ends near 0 and near the full scale.
        pairing: for verification only.
        has_interval: whether the result holds its own interval, for the units and the seed that it is given.
        plotted_against_n: whether the record also holds the value on subsets, for a plot of value against n.
    """

    function: Callable[..., Any]
    arguments: tuple[Argument, ...]
    sample: Sample
    unit: Unit = "image"
    resampling: Resampling = "bootstrap"
    per_image: Mapping[str, PerImage] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    pairing: Pairing | None = None
    plotted_against_n: bool = False
    has_interval: bool = False

    @property
    def name(self) -> str:
        """The name that cards use."""
        return self.function.__name__

    def order(self, **arrays: Any) -> list[Any]:
        """Sort arrays given by argument name into the order of the function's parameters.

        Example:
            >>> metric_function("affect_agreement").order(generated=[1], partner=[0])
            [[0], [1]]
        """
        return [arrays[name] for name in self.arguments]


def metric_function(name: str) -> MetricFunction:
    """Return the entry of one metric function.

    Args:
        name: of a function in `facebench.metrics`, as in the `compute` key of a card.

    Raises:
        InputError: the function is unknown; the message lists close matches.

    Example:
        >>> metric_function("frechet_distance").arguments
        ('generated', 'reference')
    """
    known = metric_functions()
    if name not in known:
        raise InputError(f"'{name}' is not a metric function. {suggest(name, known)}")
    return known[name]


@functools.cache
def metric_functions() -> Mapping[str, MetricFunction]:
    """All metric functions by name."""
    return {entry.name: entry for entry in _ENTRIES}


def entry_of(function: Callable[..., Any]) -> MetricFunction | None:
    """Return the entry of a function, or of a `functools.partial` of it; None for any other function."""
    inner = function.func if isinstance(function, functools.partial) else function
    return next((entry for entry in _ENTRIES if entry.function is inner), None)


def _values(values: Array) -> Floats:
    return vector(values, "values")


def _absolute_error(target: Array, generated: Array) -> Floats:
    return np.abs(row_delta(generated, target))


def _bias(target: Array, generated: Array) -> Floats:
    return row_delta(generated, target)


def _same_sign(target: Array, generated: Array) -> Floats:
    return np.asarray(np.sign(target) == np.sign(generated), dtype=np.float64)


_TWO_SETS: tuple[Argument, ...] = ("generated", "reference")
_PAIRED: tuple[Argument, ...] = ("generated", "partner")
_TARGET_FIRST: tuple[Argument, ...] = ("partner", "generated")
_SCORES: tuple[Argument, ...] = ("genuine", "impostor")
_RATES: Mapping[str, float] = dict.fromkeys(
    ("eer", "eer_low", "eer_high", "fmr100", "fmr1000", "tar_1e4", "zero_fmr", "auc"), 1.0
)


def _distance_of_sets(
    function: Callable[..., Any], shares: Mapping[str, float] | None = None
) -> MetricFunction:
    return MetricFunction(function, _TWO_SETS, "two_sets", resampling="jackknife", shares=shares or {})


_ENTRIES: tuple[MetricFunction, ...] = (
    # Distances between two sets, and metrics of neighbours.
    MetricFunction(frechet_distance, _TWO_SETS, "two_sets", resampling="jackknife", plotted_against_n=True),
    MetricFunction(frechet_infinity, _TWO_SETS, "two_sets", resampling="jackknife", has_interval=True),
    _distance_of_sets(kernel_distance),
    _distance_of_sets(mmd_rbf),
    _distance_of_sets(precision_recall, {"precision": 1.0, "recall": 1.0}),
    _distance_of_sets(density_coverage, {"coverage": 1.0}),
    _distance_of_sets(clipped_density_coverage, {"density": 1.0, "coverage": 1.0}),
    _distance_of_sets(mind),
    _distance_of_sets(sliced_wasserstein),
    _distance_of_sets(authenticity, {"value": 100.0}),
    _distance_of_sets(copied_share, {"share": 1.0}),
    MetricFunction(
        membership,
        ("generated", "reference", "held_out"),
        "membership",
        resampling="jackknife",
        shares={"auc": 1.0},
    ),
    # One set.
    MetricFunction(vendi_score, ("generated",), "set", resampling="jackknife"),
    MetricFunction(mean_std, ("generated",), "set", per_image={"mean": _values}),
    MetricFunction(spread, ("generated",), "set"),
    # Pairs of images.
    MetricFunction(paired_similarity, _PAIRED, "pairs_of_images", per_image={"mean": cosine_similarity}),
    MetricFunction(
        share_verified,
        _PAIRED,
        "pairs_of_images",
        per_image={"mean": is_verified},
        shares={"mean": 1.0},
    ),
    MetricFunction(paired_delta, _PAIRED, "pairs_of_images", per_image={"mean": row_delta}),
    MetricFunction(paired_distance, _PAIRED, "pairs_of_images", per_image={"mean": row_distance}),
    MetricFunction(
        affect_agreement,
        _TARGET_FIRST,
        "pairs_of_images",
        per_image={"mae": _absolute_error, "mean_delta": _bias, "sagr": _same_sign},
        shares={"sagr": 1.0},
    ),
    MetricFunction(
        class_agreement,
        _TARGET_FIRST,
        "pairs_of_images",
        per_image={"mean": same_class},
        shares={"mean": 1.0},
    ),
    MetricFunction(class_change, _PAIRED, "pairs_of_images", per_image={"mean": row_class_change}),
    MetricFunction(
        wanted_class,
        _PAIRED,
        "pairs_of_images",
        per_image={"mean": is_wanted_class},
        shares={"mean": 1.0},
    ),
    MetricFunction(macro_recall, _PAIRED, "pairs_of_images"),
    # Edits at several strengths.
    MetricFunction(
        expression_confusion,
        _PAIRED,
        "edits",
        per_image={"accuracy": read_as_wanted},
        shares={"mscr": 1.0, "accuracy": 1.0},
    ),
    MetricFunction(
        harmonic_edit_score, ("score", "identity"), "edits", per_image={"value": harmonic_edit_scores}
    ),
    MetricFunction(edit_linearity, _TARGET_FIRST, "edit_series"),
    MetricFunction(edit_trade_off, _PAIRED, "edit_trade_off", shares={"area": 1.0}),
    MetricFunction(
        share_verified_at,
        ("generated", "partner", "threshold"),
        "verified_edits",
        per_image={"share": is_verified_at},
        shares={"share": 1.0},
    ),
    # Identities.
    MetricFunction(distinct_identities, ("generated",), "set", resampling="jackknife"),
    MetricFunction(biometric_capacity, ("generated",), "set", resampling="jackknife"),
    MetricFunction(
        retrieval_rates,
        ("generated",),
        "retrieval",
        shares={"rank1": 1.0, "rank5": 1.0, "rank10": 1.0, "map": 1.0},
    ),
    MetricFunction(
        verification,
        _SCORES,
        "verification",
        unit="identity",
        shares=_RATES,
        pairing=Pairing(pair_scores, summarise, blocked_verification),
    ),
    MetricFunction(
        id_booth_verification,
        _SCORES,
        "verification",
        unit="identity",
        shares=_RATES,
        pairing=Pairing(id_booth_scores, id_booth_summary),
    ),
    MetricFunction(
        leakage,
        ("generated", "reference", "reference_identities"),
        "leakage",
        per_image={"share": leaked, "similarity": closest_cosines},
        shares={"share": 1.0},
    ),
)
