"""False alarms and power of the gate, and type I errors of factorial studies, on synthetic records.

Every function takes the number of trials and a seed and returns shares of trials.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np
import pandas as pd
import scipy.stats

import facebench
from facebench.core.environment import facebench_version
from facebench.evaluation.cards import load_cards
from facebench.evaluation.record import InputRecord, MetricResult, Run

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
