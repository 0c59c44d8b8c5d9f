"""Breakdown: the same metrics for every person, every expression, every value of a manifest's column.

A group's number is compared with that of the whole set. With many groups some look bad by chance, so the p values
of a metric are corrected over its groups (Holm 1979).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import scipy.stats

from facebench.core.errors import InputError
from facebench.core.suggest import suggest
from facebench.evaluation.cards import Card
from facebench.evaluation.estimate import measure
from facebench.evaluation.record import GroupResult, MetricResult
from facebench.evaluation.role_features import Mask, Roles
from facebench.images.image_set import ImageSet

Progress = Callable[[str, int, int], None]

SMALLEST_GROUP = 5
"""Images below which a group has no numbers: their spread would say nothing."""


def refuse_useless_column(images: ImageSet, column: str) -> None:
    """Stop before hours of work when a column cannot make groups.

    Raises:
        InputError: no such column, or no value of it that enough images share.
    """
    if column not in images.columns:
        has = suggest(column, images.columns) if images.columns else "It has no columns at all."
        raise InputError(f"{images.root} has no column '{column}' to group by. {has}")
    sizes = Counter(value for value in images.column(column) if value)
    if max(sizes.values()) < SMALLEST_GROUP:
        raise InputError(
            f"No {SMALLEST_GROUP} images of {images.root} share a value of the column '{column}' "
            f"({len(sizes)} values): it cannot make groups. Give a column with few values, such as expression."
        )


def measure_groups(
    cards: Sequence[Card],
    roles: Roles,
    column: str,
    whole: Mapping[str, MetricResult],
    *,
    seed: int,
    progress: Progress,
) -> dict[str, dict[str, GroupResult]]:
    """Every metric for every value of a column, smallest value first.

    Distributions are compared with the reference images of the same group where the reference set has any of the
    groups, else with the whole reference set. By identity, verification takes the pairs of one identity: with itself
    (genuine) and with everybody else (impostor). By any other column it takes the pairs within the group.

    Args:
        cards: what to measure.
        roles: the features of the run.
        column: of the generated items.
        whole: the results over all images.
        seed: of the resampling.
        progress: called with the stage, the groups done and all.

    Returns:
        By "column=value", the results by metric.
    """
    values = roles.column("generated", column)
    names = sorted({value for value in values if value is not None}, key=_natural)
    found: dict[str, dict[str, GroupResult]] = {}
    for place, name in enumerate(names):
        progress(f"by {column}", place, len(names))
        found[f"{column}={name}"] = _one_group(cards, roles, column, name, whole, seed)
    progress(f"by {column}", len(names), len(names))
    return _corrected(found)


def without_group(roles: Roles, column: str) -> int:
    """How many generated images have no value in a column, and so are in no group."""
    return sum(value is None for value in roles.column("generated", column))


def _one_group(
    cards: Sequence[Card], roles: Roles, column: str, name: str, whole: Mapping[str, MetricResult], seed: int
) -> dict[str, GroupResult]:
    kept = _members(roles, column, name)
    share = float(kept["generated"].mean())
    size = int(kept["generated"].sum())
    if size < SMALLEST_GROUP:
        reason = f"{size} images in this group, at least {SMALLEST_GROUP} are needed"
        return {metric: _without_value(result, size, reason) for metric, result in whole.items()}
    views = {
        "inside": roles.keeping(kept),
        "subject": roles.of(name),
        # Whose face leaked is asked of everybody in the training set.
        "everybody": roles.keeping({"generated": kept["generated"]}),
    }
    by_view: dict[str, list[Card]] = {view: [] for view in views}
    for card in cards:
        subject = column == "identity" and "identities" in card.needs
        view = "everybody" if card.compute == "leakage" else "subject" if subject else "inside"
        by_view[view].append(card)
    results: dict[str, MetricResult] = {}
    for view, chosen in by_view.items():
        results |= measure(chosen, views[view], seed=seed, progress=lambda *_: None).results
    return {metric: _tested(results[metric], whole[metric], size, share) for metric in whole}


def _members(roles: Roles, column: str, name: str) -> dict[str, Mask]:
    """The images of a group, on the generated side and, where it has such groups, in every reference set."""
    own = roles.column("generated", column)
    kept: dict[str, Mask] = {"generated": np.array([value == name for value in own], dtype=np.bool_)}
    for role in roles.extractions:
        if role.partition(":")[0] == "reference":
            values = roles.column(role, column)
            if set(values) & set(own) - {None}:
                kept[role] = np.array([value == name for value in values], dtype=np.bool_)
    return kept


def _without_value(result: MetricResult, size: int, reason: str) -> GroupResult:
    empty = {"value": None, "low": None, "high": None, "level": None, "method": "none", "note": ""}
    content = {**result.model_dump(), **empty, "n": {"generated": size}, "reason": reason}
    return GroupResult(**content)


def _tested(result: MetricResult, whole: MetricResult, size: int, share: float) -> GroupResult:
    """The result with its difference from the whole set and the p value of that difference, not yet corrected.

    The standard error is the larger of the group's own and the whole set's, scaled to the group's size: a small
    group that happens to agree with itself proves nothing. The group is part of the whole, hence 1 - share.
    """
    difference = None
    if result.value is not None and whole.value is not None and share < 1:
        difference = result.value - whole.value
    p = None
    if difference is not None and not result.depends_on_n and result.low is not None:
        error = math.sqrt(1 - share) * max(_error(result), _error(whole) / math.sqrt(share))
        p = _two_sided(difference, error, size - 1)
    counts = result.n if "generated" in result.n else {"generated": size, **result.n}
    return GroupResult(**{**result.model_dump(), "n": counts}, difference=difference, p=p)


def _error(result: MetricResult) -> float:
    """Standard error from the longer arm of a 95 % interval: the shorter may have been cut off at a bound."""
    if result.value is None or result.low is None or result.high is None or result.level is None:
        return 0.0
    reach = max(result.high - result.value, result.value - result.low)
    return reach / float(scipy.stats.norm.ppf(0.5 + result.level / 2))


def _two_sided(difference: float, error: float, freedom: int) -> float | None:
    if error == 0:
        return 1.0 if difference == 0 else None
    return float(2 * scipy.stats.t.sf(abs(difference) / error, freedom))


def _corrected(groups: dict[str, dict[str, GroupResult]]) -> dict[str, dict[str, GroupResult]]:
    """Holm's correction of every metric's p values over the groups."""
    metrics = {metric: None for results in groups.values() for metric in results}
    for metric in metrics:
        tested = [(name, p) for name, results in groups.items() if (p := results[metric].p) is not None]
        for (name, _), p in zip(tested, holm([p for _, p in tested]), strict=True):
            groups[name][metric].p = p
    return groups


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p values for their number: the chance that any of them is this small, when nothing is to be found.

    Args:
        p_values: in [0, 1].

    Source:
        Holm 1979, "A simple sequentially rejective multiple test procedure".

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    count, largest = len(p_values), 0.0
    corrected = [0.0] * count
    for place, index in enumerate(sorted(range(count), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (count - place) * p_values[index]))
        corrected[index] = largest
    return corrected


def _natural(name: str) -> tuple[int, float, str]:
    """Numbers by size, then words by the alphabet."""
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name
