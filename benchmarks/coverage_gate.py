"""False alarms and power of the gate, and type I errors of factorial studies, on synthetic records.

Every function takes the number of trials and a seed and returns shares of trials.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np
import pandas as pd
import scipy.stats

import facebench
from facebench.core.environment import facebench_version
from facebench.evaluation.cards import load_cards
from facebench.evaluation.leave_out import LeaveOut, leave_out_table
from facebench.evaluation.record import InputRecord, MetricResult, Run
from facebench.metrics import frechet_distance, pair_scores, verification
from facebench.metrics.intervals import Interval, Units, jackknife
from facebench.metrics.intervals import verification as verification_intervals
from facebench.metrics.intervals.leakage import leakage_intervals
from facebench.metrics.leakage import leakage_scores
from facebench.studies.factorial.effects import factorial

SHARED, OTHER = "shared images", "other images"


@dataclass(frozen=True)
class Design:
    """Synthetic records: metrics that average over images of people.

    Attributes:
        metrics: number of metrics.
        people: number of people.
        images: images of each person.
        person_effect: share of the variance of each run that people have in this run alone.
        shared_effect: standard deviation that images have in all runs.
        pairing: whether the runs show the same people and images.
    """

    metrics: int = 10
    people: int = 20
    images: int = 20
    person_effect: float = 0.3
    shared_effect: float = 1.0
    pairing: str = SHARED


@dataclass(frozen=True)
class GateRates:
    """Shares of trials.

    Attributes:
        false_alarms: records that fail although no metric is worse.
        power: records in which the one metric that is worse fails.
        visible: mean of the reported smallest visible change of that metric.
    """

    false_alarms: float
    power: float
    visible: float


def gate_rates(design: Design, trials: int, seed: int, shift: float = 0.0) -> GateRates:
    """Run the gate on pairs of synthetic records; the first metric of the new run is worse by `shift`."""
    rng = np.random.default_rng(seed)
    alarms, hits, visible = [], [], []
    for _ in range(trials):
        old, new = _pair_of_runs(rng, design, shift)
        items = facebench.check(new, old).items
        hits.append(items[0].verdict == "failed")
        alarms.append(any(item.verdict == "failed" for item in items[1 if shift else 0 :]))
        visible.append(items[0].smallest_visible_change or 0.0)
    return GateRates(float(np.mean(alarms)), float(np.mean(hits)), float(np.mean(visible)))


def _pair_of_runs(rng: np.random.Generator, design: Design, shift: float) -> tuple[Run, Run]:
    names = _averaged_metrics(design.metrics)
    people = np.repeat(np.arange(design.people), design.images)
    shape = (len(people), len(names))
    common = design.shared_effect * rng.standard_normal(shape)
    runs = []
    for place in range(2):
        if place == 1 and design.pairing == OTHER:
            common = design.shared_effect * rng.standard_normal(shape)
        person = rng.standard_normal((design.people, len(names)))[people]
        noise = rng.standard_normal(shape)
        rho = design.person_effect
        values = common + np.sqrt(rho) * person + np.sqrt(1 - rho) * noise
        if place == 1:
            values[:, 0] -= shift * (1 if load_cards()[names[0]].better == "higher" else -1)
        prefix = "" if design.pairing == SHARED else f"{place}-"
        runs.append(
            averaged_run(f"run{place}", names, values, [f"{prefix}p{person:03d}" for person in people])
        )
    return runs[0], runs[1]


def averaged_run(
    name: str, metrics: Sequence[str], values: np.ndarray, identities: Sequence[str], **tags: str
) -> Run:
    """Build a record whose metrics are means over images, with intervals over people."""
    table = pd.DataFrame({"role": "generated", "identity": list(identities)})
    table["image"] = [f"{identity}/{row:05d}.png" for row, identity in enumerate(identities)]
    table[list(metrics)] = values
    results = {}
    for column, metric in enumerate(metrics):
        numbers = values[:, column]
        of_people = pd.Series(numbers).groupby(list(identities)).mean()
        error = float(of_people.std()) / len(of_people) ** 0.5
        results[metric] = _result(metric, float(numbers.mean()), error, (len(numbers), len(of_people)))
    return synthetic_run(name, results, len(values), **tags).with_per_image(table)


def synthetic_run(name: str, results: dict[str, MetricResult], images: int, **tags: str) -> Run:
    """Build a record of some results."""
    return Run(
        facebench=facebench_version(),
        created=datetime(2026, 1, 1, tzinfo=timezone.utc),
        name=name,
        tags=tags,
        protocol="quality",
        suite="compact",
        inputs={
            "generated": InputRecord(path=f"/{name}", kind="folder", digest="0" * 64, images=images),
        },
        backbones={},
        environment={},
        seed=0,
        metrics=results,
    )


def _result(metric: str, value: float, error: float, counts: tuple[int, int]) -> MetricResult:
    """A result with the t interval over units; counts of images and of units."""
    card = load_cards()[metric]
    images, units = counts
    reach = error * float(scipy.stats.t.ppf(0.975, units - 1))
    return MetricResult(
        title=card.title,
        value=value,
        low=value - reach,
        high=value + reach,
        level=0.95,
        method="bootstrap_images (1000)",
        n={"generated": images},
        units=units,
        better=card.better,
        decimals=card.decimals,
        backbone=card.reads.backbone,
    )


def _averaged_metrics(count: int) -> list[str]:
    """Metrics with a better direction that are means over images, of any protocol."""
    names = [
        card.id
        for card in load_cards().values()
        if card.interval == "bootstrap_images" and card.field in (None, "mean") and card.better != "neither"
    ]
    return names[:count]


def distance_rates(
    trials: int, seed: int, shift: float = 0.0, n: int = 200, dimension: int = 16
) -> GateRates:
    """Run the gate on Fréchet distances of two sets to one reference; the new set is moved by `shift`."""
    rng = np.random.default_rng(seed)
    failed, visible = [], []
    for _ in range(trials):
        reference = rng.standard_normal((n, dimension))
        sides = [rng.standard_normal((n, dimension)) + 0.1 for _ in range(2)]
        sides[1][:, 0] += shift
        runs = [_distance_run(f"run{place}", side, reference) for place, side in enumerate(sides)]
        item = facebench.check(runs[1], runs[0]).items[0]
        failed.append(item.verdict == "failed")
        visible.append(item.smallest_visible_change or 0.0)
    rate = float(np.mean(failed))
    return GateRates(rate, rate, float(np.mean(visible)))


def _distance_run(name: str, generated: np.ndarray, reference: np.ndarray) -> Run:
    metric, names = "fd_lite0", [f"{name}-{row}" for row in range(len(generated))]
    interval = jackknife(frechet_distance, generated, reference)["value"]
    value = frechet_distance(generated, reference)
    result = _interval_result(metric, value, interval, len(generated))
    left_out = LeaveOut(metric, interval.leave_out, Units.of(names).digest, "reference")
    return synthetic_run(name, {metric: result}, len(generated)).with_leave_out(leave_out_table([left_out]))


def identity_rates(
    trials: int, seed: int, shift: float = 0.0, people: int = 20, images: int = 10
) -> GateRates:
    """Run the gate on verification metrics of two models of the same people; new images are noisier by `shift`."""
    rng = np.random.default_rng(seed)
    failed, visible = [], []
    identities = [f"p{person:03d}" for person in range(people) for _ in range(images)]
    for _ in range(trials):
        centres = np.repeat(rng.standard_normal((people, 32)), images, axis=0)
        runs = [
            _identity_run(f"run{place}", centres + noise * rng.standard_normal(centres.shape), identities)
            for place, noise in enumerate((0.8, 0.8 * (1 + shift)))
        ]
        report = facebench.check(runs[1], runs[0])
        failed.append(not report.passed)
        visible.append(report.items[0].smallest_visible_change or 0.0)
    rate = float(np.mean(failed))
    return GateRates(rate, rate, float(np.mean(visible)))


def _identity_run(name: str, embeddings: np.ndarray, identities: Sequence[str]) -> Run:
    """A record of six verification metrics."""
    scores = pair_scores(embeddings, identities)
    values = verification(scores.genuine, scores.impostor)
    intervals = verification_intervals(embeddings, identities)
    digest = Units.of(identities, kinds=["identity"]).digest
    results, left_out = {}, []
    for field in ("eer", "fmr100", "auc", "fdr", "genuine_mean", "impostor_mean"):
        metric = f"{field}_sface"
        results[metric] = _interval_result(metric, getattr(values, field), intervals[field], len(embeddings))
        left_out.append(LeaveOut(metric, intervals[field].leave_out, digest, ""))
    return synthetic_run(name, results, len(embeddings)).with_leave_out(leave_out_table(left_out))


def _interval_result(metric: str, value: float, interval: Interval, n: int) -> MetricResult:
    card = load_cards()[metric]
    return MetricResult(
        title=card.title,
        value=value,
        low=min(interval.low, value),
        high=max(interval.high, value),
        level=interval.level,
        method=interval.method,
        units=interval.units or None,
        n={"generated": n},
        better=card.better,
        decimals=card.decimals,
        backbone=card.reads.backbone,
    )


@dataclass(frozen=True)
class FactorialRates:
    """Shares of trials.

    Attributes:
        type_one: effects that are found although there is none, without the correction over effects.
        family: studies in which any effect is found after the correction.
        coverage: intervals that contain the true effect.
    """

    type_one: float
    family: float
    coverage: float


def factorial_rates(
    trials: int, seed: int, seeds: int = 3, spread: float = 0.15, shared_images: bool = True
) -> FactorialRates:
    """Run studies of three factors with two levels and several training runs per cell; no factor has an effect."""
    rng = np.random.default_rng(seed)
    metric, images = _averaged_metrics(1), 60
    hits, families, covered = [], [], []
    for _ in range(trials):
        hardness = rng.standard_normal((images, 1))
        runs = []
        for levels in itertools.product("ab", repeat=3):
            for number in range(seeds):
                noise = 0.3 * rng.standard_normal((images, 1))
                values = (hardness if shared_images else rng.standard_normal((images, 1))) + noise
                values = values + spread * rng.standard_normal()
                name = f"{''.join(levels)}-seed{number}"
                prefix = "" if shared_images else name
                tags = dict(zip(("data", "stage", "size"), levels, strict=True)) | {"seed": str(number)}
                identities = [f"{prefix}p{row:03d}" for row in range(images)]
                runs.append(averaged_run(name, metric, values, identities, **tags))
        effects = factorial(runs).effects[metric[0]]
        inside = [bool(e.low <= 0 <= e.high) for e in effects if e.low is not None and e.high is not None]
        covered += inside
        hits += [not each for each in inside]
        families.append(any(effect.clear for effect in effects))
    return FactorialRates(float(np.mean(hits)), float(np.mean(families)), float(np.mean(covered)))


def leakage_coverage(
    trials: int, seed: int, people: int = 100, photographs: int = 5, generated: int = 200
) -> float:
    """Return the coverage of the leaked-share interval for a model that copies no training face."""
    rng = np.random.default_rng(seed)
    names = [str(row // photographs) for row in range(people * photographs)]

    def faces(count: int, images: int) -> np.ndarray:
        centres = rng.standard_normal((count, 1, 16))
        return (centres + 0.5 * rng.standard_normal((count, images, 16))).reshape(-1, 16)

    found = [leakage_scores(faces(generated, 1), faces(people, photographs), names) for _ in range(trials)]
    expected = float(np.mean([scores.summary().share for scores in found]))
    ends = [leakage_intervals(scores)["share"] for scores in found]
    return float(np.mean([end.low <= expected <= end.high for end in ends]))
