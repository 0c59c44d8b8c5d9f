"""Breakdown: metrics per identity, per expression, or per value of any manifest column.

The value of a group is compared with the value over all images. With many groups some differ by chance, so the
p-values of a metric are corrected over its groups (Holm 1979).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from facebench.core.errors import InputError
from facebench.core.progress import Progress, no_progress
from facebench.core.suggest import suggest
from facebench.evaluation.cards import Card
from facebench.evaluation.estimate import estimate_metrics
from facebench.evaluation.record import GroupResult, MetricResult
from facebench.evaluation.role_features import Mask, RoleFeatures
from facebench.images.image_set import ImageSet
from facebench.metrics.quantiles import normal_quantile, t_tail
from facebench.metrics.registry import metric_function

MIN_GROUP = 5
"""Groups under five images are not reported."""


def check_column(images: ImageSet, column: str) -> None:
    """Check before the extraction that a column forms groups.

    Raises:
        InputError: the column is missing, or too few images share each of its values.
    """
    if column not in images.columns:
        hint = suggest(column, images.columns) if images.columns else "It has no columns."
        raise InputError(f"{images.root} has no column '{column}' to group by. {hint}")
    sizes = Counter(value for value in images.column(column) if value)
    if max(sizes.values()) < MIN_GROUP:
        raise InputError(
            f"No {MIN_GROUP} images of {images.root} share a value of the column '{column}' ({len(sizes)} values), "
            "so it cannot form groups. Choose a column with few values, such as expression."
        )


def estimate_groups(
    cards: Sequence[Card],
    features: RoleFeatures,
    column: str,
    overall: Mapping[str, MetricResult],
    *,
    seed: int,
    progress: Progress,
) -> dict[str, dict[str, GroupResult]]:
    """Compute every metric for every value of a column, in ascending order.

    Distributions are compared with the reference images of the same group. A reference set without any of the
    groups is used as a whole. By identity, verification uses the pairs of one identity: genuine
    pairs within it and impostor pairs with all other identities. By other columns it uses pairs within the group.

    Args:
        cards: metrics to compute.
        features: features of the run.
        column: column of the generated items.
        overall: results over all images.
        seed: seed of the resampling.
        progress: called after each group.

    Returns:
        Results by "column=value" and by metric.
    """
    values = features.column("generated", column)
    names = sorted({value for value in values if value is not None}, key=_natural_order)
    groups: dict[str, dict[str, GroupResult]] = {}
    for place, name in enumerate(names):
        progress(f"by {column}", place, len(names))
        groups[f"{column}={name}"] = _estimate_group(cards, features, (column, name), overall, seed)
    progress(f"by {column}", len(names), len(names))
    size = len(values)
    for metric, result in overall.items():
        _compare([results[metric] for results in groups.values()], result, size)
    return _correct(groups)


def count_ungrouped(features: RoleFeatures, column: str) -> int:
    """Return the number of generated images without a value in a column; these belong to no group."""
    return sum(value is None for value in features.column("generated", column))


def _estimate_group(
    cards: Sequence[Card],
    features: RoleFeatures,
    group: tuple[str, str],
    overall: Mapping[str, MetricResult],
    seed: int,
) -> dict[str, GroupResult]:
    column, name = group
    members = _members(features, column, name)
    size = int(members["generated"].sum())
    if size < MIN_GROUP:
        reason = f"{size} images in this group, at least {MIN_GROUP} are needed"
        return {metric: _without_value(result, size, reason) for metric, result in overall.items()}
    views = {
        "group": features.select(members),
        "subject": features.for_subject(name),
        # A generated face of the group can match any image of the training set.
        "all_references": features.select({"generated": members["generated"]}),
    }
    cards_of: dict[str, list[Card]] = {view: [] for view in views}
    for card in cards:
        cards_of[_view(card, column)].append(card)
    results: dict[str, MetricResult] = {}
    for view, members_cards in cards_of.items():
        results |= estimate_metrics(members_cards, views[view], seed=seed, progress=no_progress).results
    return {metric: _group_result(results[metric], size) for metric in overall}


def _view(card: Card, column: str) -> str:
    sample = metric_function(card.compute).sample
    if sample in ("leakage", "membership"):
        return "all_references"
    return "subject" if column == "identity" and sample == "verification" else "group"


def _members(features: RoleFeatures, column: str, name: str) -> dict[str, Mask]:
    """Return masks of a group in the generated set and in every reference set with such groups."""
    values = features.column("generated", column)
    members: dict[str, Mask] = {"generated": np.array([value == name for value in values], dtype=np.bool_)}
    for role in features.extractions:
        if role.partition(":")[0] == "reference":
            reference_values = features.column(role, column)
            if set(reference_values) & set(values) - {None}:
                members[role] = np.array([value == name for value in reference_values], dtype=np.bool_)
    return members


def _without_value(result: MetricResult, size: int, reason: str) -> GroupResult:
    empty = {"value": None, "low": None, "high": None, "level": None, "method": "none", "note": ""}
    content = {**result.model_dump(), **empty, "n": {"generated": size}, "reason": reason}
    return GroupResult(**content)


def _group_result(result: MetricResult, size: int) -> GroupResult:
    counts = result.n if "generated" in result.n else {"generated": size, **result.n}
    return GroupResult(**{**result.model_dump(), "n": counts})


def _compare(groups: Sequence[GroupResult], overall: MetricResult, images: int) -> None:
    """Set the difference of each group from all images and its p-value, uncorrected.

    The standard error is the larger of the group's own error and that of equally many images of the whole set, because
    the spread within a small group is often underestimated. The group is part of the whole set, hence the factor
    1 - share.
    """
    pooled = _pooled_variance(groups)
    for group in groups:
        size = group.n.get("generated", 0)
        share = size / images
        if group.value is None or overall.value is None or share >= 1:
            continue
        group.difference = group.value - overall.value
        if group.depends_on_n or group.low is None:
            continue
        error = math.sqrt(1 - share) * max(_standard_error(group), math.sqrt(pooled / max(size, 1)))
        group.p = _two_sided(group.difference, error, size - 1)


def _pooled_variance(groups: Sequence[GroupResult]) -> float:
    """Variance of one image: the mean variance within groups plus the variance between them."""
    known = [(group, group.value) for group in groups if group.low is not None and group.value is not None]
    if not known:
        return 0.0
    within = np.mean([_standard_error(group) ** 2 * group.n.get("generated", 0) for group, _ in known])
    return float(within + np.var([value for _, value in known]))


def _standard_error(result: MetricResult) -> float:
    """Return the standard error from the longer side of a 95 % interval; the shorter side may end at a bound."""
    if result.value is None or result.low is None or result.high is None or result.level is None:
        return 0.0
    arm = max(result.high - result.value, result.value - result.low)
    return arm / normal_quantile(0.5 + result.level / 2)


def _two_sided(difference: float, error: float, degrees_of_freedom: int) -> float | None:
    if error == 0:
        return 1.0 if difference == 0 else None
    return 2 * t_tail(abs(difference) / error, degrees_of_freedom)


def _correct(groups: dict[str, dict[str, GroupResult]]) -> dict[str, dict[str, GroupResult]]:
    """Correct the p-values of every metric over the groups (Holm)."""
    metrics = {metric: None for results in groups.values() for metric in results}
    for metric in metrics:
        tested = [(name, p) for name, results in groups.items() if (p := results[metric].p) is not None]
        for (name, _), p in zip(tested, holm([p for _, p in tested]), strict=True):
            groups[name][metric].p = p
    return groups


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for multiple tests, controlling the familywise error rate.

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


def _natural_order(name: str) -> tuple[int, float, str]:
    """Sort key: numbers by size, then words alphabetically."""
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name
