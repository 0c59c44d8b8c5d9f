"""Coverage and width of every confidence interval, on synthetic data whose truth is known.

    python benchmarks/coverage.py [--repetitions 300] [--only TEXT] [--page docs/statistics.md]

Every design draws a data set, computes the 95 % interval through the functions that `facebench evaluate` uses, and
counts how often the interval holds the truth. Finished designs are kept in the file, so that a stopped run continues.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from facebench import metrics
from facebench.core.files import atomic_write_text
from facebench.metrics.intervals import Interval, bootstrap_images, estimate, verification

MARKS = ("<!-- coverage -->", "<!-- /coverage -->")

Rows = np.ndarray
Intervals = Mapping[str, Interval]


@dataclass(frozen=True)
class Design:
    """One simulated study.

    Attributes:
        name: what is measured, and how many people and images.
        draw: from a generator to the intervals by metric.
        truth: the expected value of each metric.
    """

    name: str
    draw: Callable[[np.random.Generator, int], Intervals]
    truth: Callable[[], Mapping[str, float]]


@dataclass(frozen=True)
class Coverage:
    """Result of one metric in one design.

    Attributes:
        design: name of the design.
        metric: name of the metric.
        truth: its expected value.
        coverage: share of intervals that hold the truth.
        error: Monte Carlo standard error of the coverage.
        width: mean width of the intervals.
        marked: share of intervals with a note (shown as †).
        repetitions: number of simulated data sets.
    """

    design: str
    metric: str
    truth: float
    coverage: float
    error: float
    width: float
    marked: float
    repetitions: int


def simulate(design: Design, repetitions: int, seed: int = 0) -> list[Coverage]:
    """Draw data sets of a design and count how often each interval holds the truth."""
    truth = design.truth()
    drawn = [design.draw(np.random.default_rng([seed, place]), place) for place in range(repetitions)]
    results = []
    for metric, value in truth.items():
        intervals = [each[metric] for each in drawn if metric in each]
        held = float(np.mean([each.low <= value <= each.high for each in intervals]))
        results.append(
            Coverage(
                design.name,
                metric,
                value,
                held,
                float(np.sqrt(held * (1 - held) / len(intervals))),
                float(np.mean([each.high - each.low for each in intervals])),
                float(np.mean([bool(each.note) for each in intervals])),
                len(intervals),
            )
        )
    return results


# People with several images.


def _of_people(rng: np.random.Generator, people: int, images: int, share: float) -> tuple[Rows, Rows]:
    names = np.repeat(np.arange(people), images)
    between = np.sqrt(share) * rng.standard_normal(people)[names]
    return between + np.sqrt(1 - share) * rng.standard_normal(len(names)), names


def _mean_of_people(people: int, images: int, share: float) -> Design:
    def draw(rng: np.random.Generator, seed: int) -> Intervals:
        scores, names = _of_people(rng, people, images, share)
        return {"mean": estimate(metrics.mean_std, scores, units=names, seed=seed)}

    return Design(f"mean, {people} people × {images}, ICC {share}", draw, lambda: {"mean": 0.0})


def _crossed(sources: int, targets: int) -> Design:
    def draw(rng: np.random.Generator, seed: int) -> Intervals:
        source, target = (each.ravel() for each in np.indices((sources, targets)))
        effects = np.sqrt(0.3) * rng.standard_normal(sources)[source]
        effects += np.sqrt(0.2) * rng.standard_normal(targets)[target]
        effects += np.sqrt(0.5) * rng.standard_normal(len(source))
        return {"mean": estimate(metrics.mean_std, effects, units=(source, target), seed=seed)}

    return Design(f"mean, {sources} sources × {targets} targets", draw, lambda: {"mean": 0.0})


def _share_of_people(people: int, images: int, share: float, within: float) -> Design:
    def draw(rng: np.random.Generator, seed: int) -> Intervals:
        odds = (1 - within) / within
        rates = rng.beta(share * odds, (1 - share) * odds, people)
        names = np.repeat(np.arange(people), images)
        same = (rng.random(len(names)) >= rates[names]).astype(np.int64)
        classes = np.eye(2)
        arrays = classes[same], classes[np.zeros(len(names), dtype=np.int64)]
        return {"share": estimate(metrics.class_agreement, *arrays, units=names, seed=seed)}

    name = f"share {share}, {people} people × {images}, ICC {within}"
    return Design(name, draw, lambda: {"share": share})


# Independent images.


def _lognormal(images: int) -> Design:
    def draw(rng: np.random.Generator, seed: int) -> Intervals:
        return {"mean": estimate(metrics.mean_std, rng.lognormal(size=images), seed=seed)}

    return Design(f"mean of a lognormal number, {images} images", draw, lambda: {"mean": float(np.exp(0.5))})


def _rare_share(images: int, share: float) -> Design:
    def draw(rng: np.random.Generator, seed: int) -> Intervals:
        classes = np.eye(2)
        same = (rng.random(images) >= share).astype(np.int64)
        arrays = classes[same], classes[np.zeros(images, dtype=np.int64)]
        return {"share": estimate(metrics.class_agreement, *arrays, seed=seed)}

    return Design(f"share {share}, {images} images", draw, lambda: {"share": share})


AGREEMENTS = ("ccc", "pearson", "rmse", "sagr", "mae")


def _affect(rng: np.random.Generator, images: int) -> tuple[Rows, Rows]:
    target = rng.uniform(-1, 1, images)
    return target, 0.7 * target + 0.3 * rng.standard_normal(images)


@cache
def _affect_truth() -> Mapping[str, float]:
    agreement = metrics.affect_agreement(*_affect(np.random.default_rng(0), 2_000_000))
    return {name: float(getattr(agreement, name)) for name in AGREEMENTS}


def _agreement(images: int) -> Design:
    def draw(rng: np.random.Generator, seed: int) -> Intervals:
        return bootstrap_images(metrics.affect_agreement, *_affect(rng, images), seed=seed)

    return Design(f"affect agreement, {images} images", draw, _affect_truth)


# Distances between sets.

DISTANCES: Mapping[str, Callable[..., Any]] = {
    "frechet_distance": metrics.frechet_distance,
    "kernel_distance": metrics.kernel_distance,
}


def _features(rng: np.random.Generator, people: int, images: int, shift: float) -> tuple[Rows, Rows]:
    names = np.repeat(np.arange(people), images)
    between = np.sqrt(0.5) * rng.standard_normal((people, 16))[names]
    return shift + between + np.sqrt(0.5) * rng.standard_normal((len(names), 16)), names


def _distances(people: int, images: int) -> Design:
    def arrays(rng: np.random.Generator) -> tuple[Rows, Rows, Rows]:
        generated, names = _features(rng, people, images, 0.3)
        reference, _ = _features(rng, people, images, 0.0)
        return generated, reference, names

    def draw(rng: np.random.Generator, seed: int) -> Intervals:
        generated, reference, names = arrays(rng)
        units = [names, names + people]
        return {
            name: estimate(function, generated, reference, units=units, seed=seed)
            for name, function in DISTANCES.items()
        }

    @cache
    def truth() -> Mapping[str, float]:
        """Expected value at this size: an interval does not include the bias of a metric."""
        draws = [arrays(np.random.default_rng([99, place]))[:2] for place in range(400)]
        return {name: float(np.mean([f(*pair) for pair in draws])) for name, f in DISTANCES.items()}

    return Design(f"distances of sets, {people} people × {images}", draw, truth)


def _infinity(images: int, features: int) -> Design:
    def draw(rng: np.random.Generator, seed: int) -> Intervals:
        generated = 0.25 + 1.2 * rng.standard_normal((images, features))
        reference = rng.standard_normal((images, features))
        return {"frechet_infinity": metrics.frechet_infinity(generated, reference, seed=seed).interval}

    def truth() -> Mapping[str, float]:
        return {"frechet_infinity": features * (0.25**2 + (1.2 - 1.0) ** 2)}

    return Design(f"FD∞, {images} images, {features} features", draw, truth)


# Membership.


def _members(rng: np.random.Generator, people: int, images: int, copies: float) -> list[Rows]:
    """Generated, training and held-out rows of different people; a share of the generated ones are copies."""
    generated, training, held_out = (_features(rng, people, images, 0.0)[0] for _ in range(3))
    copied = round(copies * len(generated))
    generated[:copied] = training[rng.permutation(len(training))[:copied]]
    return [generated + 0.01 * rng.standard_normal(generated.shape), training, held_out]


def _membership(people: int, images: int, copies: float) -> Design:
    def draw(rng: np.random.Generator, seed: int) -> Intervals:
        names = np.repeat(np.arange(people), images)
        sides = _members(rng, people, images, copies)
        units = [names, names + people, names + 2 * people]
        return {"auc": estimate(metrics.membership, *sides, units=units, seed=seed)}

    @cache
    def truth() -> Mapping[str, float]:
        """Expected value at this size."""
        draws = [_members(np.random.default_rng([97, place]), people, images, copies) for place in range(400)]
        return {"auc": float(np.mean([metrics.membership(*sides).auc for sides in draws]))}

    return Design(f"membership, {people} people × {images}, {copies:.0%} copies", draw, truth)


# Verification.

RATES = (
    "eer",
    "auc",
    "fmr100",
    "fmr1000",
    "fdr",
    "genuine_mean",
    "genuine_std",
    "impostor_mean",
    "impostor_std",
)


def _embeddings(rng: np.random.Generator, people: int, noise: float) -> tuple[Rows, Rows]:
    names = np.repeat(np.arange(people), 4)
    centres = rng.standard_normal((people, 32))[names]
    return centres + noise * rng.standard_normal((len(names), 32)), names


@cache
def _verification_truth(noise: float) -> Mapping[str, float]:
    results = []
    for place in range(4):
        points = _embeddings(np.random.default_rng([98, place]), 700, noise)
        results.append(metrics.blocked_verification(*points).statistics)
    return {name: float(np.mean([getattr(each, name) for each in results])) for name in RATES}


def _verification(people: int, noise: float) -> Design:
    def draw(rng: np.random.Generator, seed: int) -> Intervals:
        return verification(*_embeddings(rng, people, noise), seed=seed)

    return Design(
        f"verification, {people} people × 4, noise {noise}", draw, lambda: _verification_truth(noise)
    )


def designs() -> Iterator[Design]:
    """All designs, fast ones first."""
    people = [(20, 21, 0.1), (20, 21, 0.3), (50, 10, 0.3), (100, 20, 0.3)]
    yield from itertools.starmap(_mean_of_people, people)
    yield from itertools.starmap(_crossed, [(20, 20), (50, 10), (60, 60)])
    yield from itertools.starmap(_rare_share, [(50, 0.01), (300, 0.01), (100, 0.05), (100, 0.3)])
    yield from itertools.starmap(_share_of_people, [(50, 10, 0.02, 0.3), (60, 10, 0.1, 0.3)])
    yield from map(_lognormal, [30, 100, 300])
    yield from map(_agreement, [50, 200])
    yield from itertools.starmap(_distances, [(40, 10), (100, 4)])
    yield from itertools.starmap(_membership, itertools.product([50, 100, 200], [1], [0.0, 0.2]))
    yield from itertools.starmap(_membership, [(60, 5, 0.0), (60, 5, 0.2)])
    yield from itertools.starmap(_infinity, [(200, 64), (1000, 64)])
    yield from itertools.starmap(_verification, itertools.product([20, 50, 100, 200], [1.0, 0.6]))


def run(repetitions: int, only: str, out: Path) -> list[Coverage]:
    """Simulate the designs that the file does not hold yet."""
    known = [Coverage(**each) for each in json.loads(out.read_text())] if out.is_file() else []
    finished = {each.design for each in known if each.repetitions >= max(repetitions // 3, 1)}
    for design in designs():
        if only not in design.name or design.name in finished:
            continue
        count = repetitions if "verification" not in design.name else max(repetitions // 3, 1)
        known = [each for each in known if each.design != design.name] + simulate(design, count)
        out.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(out, json.dumps([asdict(each) for each in known], indent=1) + "\n")
    return known


def table(results: list[Coverage]) -> Table:
    """The results as a table."""
    shown = Table("design", "metric", "truth", "coverage %", "width", "†")
    for each in results:
        mark = "" if 0.92 <= each.coverage <= 0.99 else " *"
        shown.add_row(
            each.design,
            each.metric,
            f"{each.truth:.4g}",
            f"{100 * each.coverage:.1f} ± {100 * each.error:.1f}{mark}",
            f"{each.width:.3g}",
            f"{each.marked:.0%}",
        )
    return shown


def write_page(results: list[Coverage], page: Path) -> None:
    """Write the results as a Markdown table between the coverage marks of a page."""
    lines = ["| design | metric | coverage % | width | † |", "|---|---|---|---|---|"]
    for each in results:
        held = f"{100 * each.coverage:.1f} ± {100 * each.error:.1f}"
        lines.append(f"| {each.design} | {each.metric} | {held} | {each.width:.3g} | {each.marked:.0%} |")
    before, _, rest = page.read_text(encoding="utf-8").partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    table = "\n".join(lines)
    atomic_write_text(page, f"{before}{MARKS[0]}\n{table}\n{MARKS[1]}{after}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=300)
    parser.add_argument("--only", default="", help="part of the name of a design")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/coverage.json"))
    parser.add_argument("--page", type=Path, help="page whose table of coverage is replaced")
    options = parser.parse_args()
    results = run(options.repetitions, options.only, options.out)
    Console().print(table(results))
    if options.page is not None:
        write_page(results, options.page)


if __name__ == "__main__":
    main()
