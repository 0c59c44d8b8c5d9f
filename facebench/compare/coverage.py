"""Images that a run could use, compared with the baseline: given, readable, with a face, with a value.

A metric over the images with a face can improve when difficult faces are no longer found, so the counts are judged too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import scipy.stats

from facebench.compare.comparability import SIZE_TOLERANCE
from facebench.compare.difference import Difference
from facebench.compare.gate_item import Comparison
from facebench.compare.gate_rules import Rule, Rules
from facebench.compare.sampling_units import sampling_units
from facebench.evaluation.record import InputRecord, MetricResult, Run

IMAGES, USABLE, FACES, MEASURED = "images", "usable_images", "faces_found", "images_measured"
COUNTS = {
    IMAGES: "Generated images",
    USABLE: "Share of the files that are usable images",
    FACES: "Share of the images in which a face is found",
    MEASURED: "Share of the images from which a metric is computed",
}
_RULES = {
    IMAGES: Rule(relative=SIZE_TOLERANCE),
    USABLE: Rule(interval=True),
    FACES: Rule(interval=True),
    MEASURED: Rule(interval=True),
}


@dataclass(frozen=True)
class Count:
    """Images used out of images given, in the run and in the baseline.

    Attributes:
        name: which images: a key of `COUNTS`.
        used: images of the run.
        given: images of which these could be used.
        old_used: images of the baseline.
        old_given: likewise.
        p: one-sided p value of "the share did not fall"; None for the number of images, which is not a sample.
        metrics: the metrics that are computed from these images.
    """

    name: str
    used: int
    given: int
    old_used: int
    old_given: int
    p: float | None = None
    metrics: tuple[str, ...] = ()

    @property
    def can_fail(self) -> bool:
        """Whether any image was lost in one of the runs; otherwise there is nothing to test (Tarone 1990)."""
        return self.p is None or self.used < self.given or self.old_used < self.old_given

    @property
    def description(self) -> str:
        """Both counts in words."""
        of = f"computed from {', '.join(self.metrics)}: " if self.metrics else ""
        return f"{of}{self.used} of {self.given}, in the baseline {self.old_used} of {self.old_given}"


def compared_counts(run: Run, baseline: Run, rules: Rules) -> list[Comparison]:
    """Compare the numbers of usable images of two runs.

    By default the run may have at most 1 % fewer images than the baseline, and no share may fall significantly.
    """
    new, old = run.inputs["generated"], baseline.inputs["generated"]
    counts = [Count(IMAGES, new.images, new.images, old.images, old.images)]
    files = _files(new, old)
    if min(files[1], files[3]) > 0:
        counts.append(_share(USABLE, files))
    if new.faces is not None and old.faces is not None and min(new.images, old.images) > 0:
        pairs = (new.faces, new.images, old.faces, old.images)
        counts.append(_share(FACES, pairs, p=_paired_faces(run, baseline)))
    measured = _measured(run, baseline)
    counts += [] if measured is None else [measured]
    counts = [count for count in counts if count.can_fail]
    return [_comparison(count, rules.metrics.get(count.name) or _RULES[count.name]) for count in counts]


def fall_of_share(used: int, given: int, old_used: int, old_given: int) -> float:
    """Return the one-sided p value of "the share did not fall" (Fisher's exact test).

    Source:
        Fisher 1934, "Statistical Methods for Research Workers", section 21.02.

    Example:
        >>> fall_of_share(10, 30, 30, 30) < 0.001
        True
    """
    table = np.array([[given - used, used], [old_given - old_used, old_used]])
    return float(scipy.stats.fisher_exact(table, alternative="greater").pvalue)


def _share(
    name: str, pairs: tuple[int, int, int, int], metrics: Sequence[str] = (), p: float | None = None
) -> Count:
    return Count(name, *pairs, p=fall_of_share(*pairs) if p is None else p, metrics=tuple(metrics))


def _files(new: InputRecord, old: InputRecord) -> tuple[int, int, int, int]:
    rejected = [sum(file.scope == "all" for file in record.rejected) for record in (new, old)]
    return new.images, new.images + rejected[0], old.images, old.images + rejected[1]


def _paired_faces(run: Run, baseline: Run) -> float | None:
    """P value over the people or images that both runs show; None if the tables do not share them."""
    sides = [_faces_of(each) for each in (run, baseline)]
    if sides[0] is None or sides[1] is None:
        return None
    both = pd.concat(sides, axis=1, join="inner")
    if len(both) < max(len(side) for side in sides if side is not None):
        return None
    assert run.per_image is not None
    units = sampling_units(run.per_image).of(both.index).coarsest.to_numpy()
    net = (both.iloc[:, 0] - both.iloc[:, 1]).groupby(units).sum().to_numpy()
    if len(net) < 2:
        return None
    error = float(np.std(net, ddof=1)) * len(net) ** 0.5
    t = float(scipy.stats.t.cdf(net.sum() / error, len(net) - 1)) if error > 0 else float(net.sum() >= 0)
    fewer, more = int((net < 0).sum()), int((net > 0).sum())
    return max(t, float(scipy.stats.binom.sf(fewer - 1, fewer + more, 0.5)))


def _faces_of(run: Run) -> pd.Series[float] | None:
    """Whether a face was found in each generated image, by name."""
    table = run.per_image
    if table is None or "face_score" not in table:
        return None
    generated = table[table["role"] == "generated"].set_index("image")
    return generated["face_score"].notna().astype(float) if generated.index.is_unique else None


def _measured(run: Run, baseline: Run) -> Count | None:
    """The count of the metrics whose share of images fell most; None if all images with a face are used.

    The p value is that of the largest fall, multiplied by the number of different counts (Bonferroni).
    """
    new, old = run.inputs["generated"], baseline.inputs["generated"]
    covered = {(new.images, old.images), (new.faces, old.faces)}
    groups: dict[tuple[int, int], list[str]] = {}
    for metric, result in run.metrics.items():
        expected = baseline.metrics.get(metric)
        if expected is None or result.value is None or expected.value is None:
            continue
        used, old_used = result.n.get("generated"), expected.n.get("generated")
        if used is None or old_used is None or (used, old_used) in covered:
            continue
        if used <= new.images and old_used <= old.images:
            groups.setdefault((used, old_used), []).append(metric)
    counts = [
        _share(MEASURED, (used, new.images, old_used, old.images), ids)
        for (used, old_used), ids in groups.items()
    ]
    if not counts:
        return None
    worst = min(counts, key=lambda count: count.p or 0.0)
    return replace(worst, p=min(1.0, (worst.p or 0.0) * len(counts)))


def _comparison(count: Count, rule: Rule) -> Comparison:
    """The count as a metric: a number of images, or a share of them."""
    is_share = count.p is not None
    results = [
        MetricResult(
            title=COUNTS[count.name],
            value=used / given if is_share else float(used),
            n={"generated": given},
            better="higher",
            decimals=4 if is_share else 0,
            backbone="",
        )
        for used, given in ((count.used, count.given), (count.old_used, count.old_given))
    ]
    new, old = (result.value or 0.0 for result in results)
    change = Difference(new - old, new - old, new - old, "no interval")
    p = count.p if rule.interval else None
    return Comparison(count.name, results[0], results[1], change, rule, p, f": {count.description}")
