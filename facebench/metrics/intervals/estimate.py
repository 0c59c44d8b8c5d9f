"""Interval of any function of arrays of rows, and of the verification statistics of embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array
from facebench.metrics.interval import Interval, Metric
from facebench.metrics.intervals.bootstrap import bootstrap_images
from facebench.metrics.intervals.identity import bootstrap_identities, jackknife_identities
from facebench.metrics.intervals.jackknife import jackknife
from facebench.metrics.pairs import pair_scores
from facebench.metrics.registry import entry_of
from facebench.metrics.units import Units

MAX_STORED_PAIRS = 20_000_000
"""Most pairs whose scores are stored, 24 bytes each; above, scores are counted in blocks."""

Labels = Sequence[object] | Array


def estimate(
    function: Metric,
    *arrays: Array,
    units: Labels | Sequence[Labels] | None = None,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Confidence interval of a metric, for new units.

    Distances between two sets and metrics of neighbours use the grouped jackknife; all other functions use the BCa
    bootstrap. Arrays of equal length are rows of the same images unless the function is a metric of several sets.

    Args:
        function: returns one number, or a dataclass whose first number counts. Functions of `facebench.metrics` and
            `functools.partial` objects of them are recognised.
        arrays: rows are images.
        units: labels of the units that vary independently, such as identities: one list for each array; one list for
            all arrays of paired rows; or a tuple of two lists, source and target, for rows of a crossed design. None
            makes rows independent.
        seed: seed of the resampling.
        level: nominal coverage.

    Raises:
        InputError: labels do not match the rows, or what the function raises.

    Source:
        Davison and Hinkley 1997, section 3.8; Field and Welsh 2007; Owen 2007; see `bootstrap_images` and `jackknife`.

    Example:
        >>> people = np.repeat(np.arange(60), 5)
        >>> scores = np.random.default_rng(0).standard_normal(60)[people]
        >>> wide = estimate(np.mean, scores, units=people)
        >>> narrow = estimate(np.mean, scores)
        >>> wide.high - wide.low > 1.5 * (narrow.high - narrow.low), wide.unit
        (True, 'unit')
    """
    rows = [np.asarray(array) for array in arrays]
    if not rows:
        raise InputError("estimate needs at least one array.")
    if _are_sets(function, rows):
        found = jackknife(function, *rows, units=_units_by_side(units, rows), seed=seed, level=level)
    elif _resampling(function) == "jackknife":
        found = jackknife(function, rows[0], units=_units_by_side(units, rows), seed=seed, level=level)
    else:
        found = bootstrap_images(function, *rows, units=_shared_units(units, rows), seed=seed, level=level)
    if not found:
        raise InputError("estimate: the function returns no number.")
    return next(iter(found.values()))


def _resampling(function: Metric) -> str:
    entry = entry_of(function)
    return "bootstrap" if entry is None else entry.resampling


def _are_sets(function: Metric, rows: list[Array]) -> bool:
    """Rows of several sets in no particular order: declared by the registry, or evident from unequal lengths."""
    entry = entry_of(function)
    if entry is not None:
        return entry.sample in ("two_sets", "membership") and len(rows) == len(entry.arguments)
    return len(rows) == 2 and len(rows[0]) != len(rows[1])


def _is_label_list(labels: Any, n: int) -> bool:
    """Whether this is one list of n labels and no list of lists."""
    return len(labels) == n and np.ndim(labels[0]) == 0


def _units_by_side(units: Any, rows: list[Array]) -> list[Units] | None:
    if units is None:
        return None
    lists = [units] if len(rows) == 1 and _is_label_list(units, len(rows[0])) else list(units)
    if len(rows) == 1 and len(lists) == 2:
        return [_checked(lists, len(rows[0]))]
    if len(lists) != len(rows):
        raise InputError(f"units: {len(lists)} lists of labels for {len(rows)} arrays; give one for each.")
    return [_checked([labels], len(side)) for labels, side in zip(lists, rows, strict=True)]


def _shared_units(units: Any, rows: list[Array]) -> Units | None:
    """Units of rows that belong together: one factor, or two for a crossed design."""
    if units is None:
        return None
    n = len(rows[0])
    if _is_label_list(units, n):
        return _checked([units], n)
    lists = list(units)
    if len(lists) == 2 and len(rows) > 1 and np.array_equal(np.asarray(lists[0]), np.asarray(lists[1])):
        lists = lists[:1]
    if len(lists) > 2 and all(np.array_equal(lists[0], other) for other in lists[1:]):
        lists = lists[:1]
    if len(lists) not in (1, 2):
        raise InputError(f"units: {len(lists)} lists of labels; give one, or source and target.")
    return _checked(lists, n)


def _checked(lists: Sequence[Labels], n: int) -> Units:
    for labels in lists:
        if len(labels) != n:
            raise InputError(f"units: {len(labels)} labels for {n} rows; give one for each row.")
    return Units.of(*lists)


def verification(
    embeddings: Array,
    identities: Labels,
    reference: Array | None = None,
    reference_identities: Labels | None = None,
    seed: int = 0,
) -> dict[str, Interval]:
    """Confidence intervals of all verification statistics of embeddings, for new identities.

    Scores of up to 20 million pairs are stored and resampled; more pairs are counted in blocks and jackknifed.

    Args:
        embeddings: (n, d), any norm but 0.
        identities: (n,) identity of each row, compared as strings.
        reference: (m, d) embeddings of a second set; without it all pairs of `embeddings` are compared.
        reference_identities: (m,) likewise.
        seed: seed of the resampling.

    Returns:
        Intervals by statistic: `eer`, `fmr100`, `fmr1000`, `auc`, `fdr`, `genuine_mean`, `genuine_std`,
        `impostor_mean`, `impostor_std`, and the other numbers of `Verification`.

    Raises:
        InputError: as `pair_scores`; no genuine or no impostor pair; fewer than four identities for many pairs.

    Example:
        >>> points = np.random.default_rng(0).standard_normal((60, 8))
        >>> verification(points, np.arange(60) % 12)["eer"].unit
        'identity'
    """
    n = len(embeddings)
    pairs = n * (n - 1) // 2 if reference is None else n * len(reference)
    if pairs <= MAX_STORED_PAIRS:
        scores = pair_scores(embeddings, identities, reference, reference_identities)
        return bootstrap_identities(scores, seed=seed)
    return jackknife_identities(embeddings, identities, reference, reference_identities, seed=seed)
