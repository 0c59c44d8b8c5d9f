"""Cost curves: CPU time of metrics by number of rows and width of the features, with the model that explains them.

    python benchmarks/cost_curves.py [--limit 8] [--out benchmarks/results/cost_curves.json]
                                     [--page docs/performance.md] [--figure docs/cost-curves.svg]

A curve ends where the next point would take more than `--limit` seconds. The model of a metric is a sum of terms of
n and d with coefficients that are not negative; they minimise the relative errors. Beyond the machine it extrapolates.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console
from scipy.optimize import nnls
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine  # noqa: E402
from facebench import metrics  # noqa: E402

Array = np.ndarray
ROWS = (100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
WIDTHS = (128, 512, 2048)
SCORES = (1e4, 1e5, 1e6, 1e7, 1e8)
IMAGES_PER_PERSON = 10
TERMS: dict[str, Callable[[float, float], float]] = {
    "1": lambda n, d: 1.0,
    "n d": lambda n, d: n * d,
    "n": lambda n, d: n,
    "n log n": lambda n, d: n * np.log2(n),
    "n² d": lambda n, d: n * n * d,
    "n²": lambda n, d: n * n,
    "min(n, d)² max(n, d)": lambda n, d: min(n, d) ** 2 * max(n, d),
    "min(n, d)³": lambda n, d: min(n, d) ** 3,
}
GRAM = ("1", "n d", "min(n, d)² max(n, d)", "min(n, d)³")
BALLS = ("1", "n d", "n² d", "n²")


@dataclass(frozen=True)
class Curve:
    """A metric: how it is called, and the terms of its model."""

    name: str
    call: Callable[[Array, Array], object]
    terms: tuple[str, ...]
    widths: tuple[int, ...] = WIDTHS
    rows: tuple[int, ...] = ROWS


@dataclass(frozen=True)
class Point:
    """One measurement."""

    name: str
    n: int
    d: int
    seconds: float


def verified(embeddings: Array, _: Array) -> object:
    """Count all pairs of a set with ten images of every person."""
    return metrics.blocked_verification(embeddings, np.arange(len(embeddings)) // IMAGES_PER_PERSON)


CURVES = (
    Curve("frechet_distance", metrics.frechet_distance, GRAM),
    Curve("vendi_score", lambda generated, _: metrics.vendi_score(generated), GRAM),
    Curve("kernel_distance", metrics.kernel_distance, BALLS),
    Curve("mmd_rbf", metrics.mmd_rbf, BALLS),
    Curve("mind", metrics.mind, ("1", "n d", "n log n")),
    Curve("precision_recall", metrics.precision_recall, BALLS),
    Curve("density_coverage", metrics.density_coverage, BALLS),
    Curve("clipped_density_coverage", metrics.clipped_density_coverage, BALLS),
    Curve("authenticity", metrics.authenticity, BALLS),
    Curve("blocked_verification", verified, BALLS, (128, 512)),
    Curve(
        "verification (n scores)",
        lambda scores, _: metrics.verification(scores[: len(scores) // 10, 0], scores[:, 0]),
        ("1", "n log n"),
        (1,),
        tuple(int(scores) for scores in SCORES),
    ),
)


def measure(curve: Curve, limit: float) -> Iterator[Point]:
    """Measure a curve until the next point would exceed the limit."""
    for d in curve.widths:
        last: Point | None = None
        for n in curve.rows:
            if last and last.seconds * (n / last.n) ** 2 > 2 * limit and last.seconds * n / last.n > limit:
                break
            rng = np.random.default_rng(n + d)
            generated, reference = (rng.standard_normal((n, d), np.float32) for _ in range(2))
            seconds = min(timed(curve, generated, reference) for _ in range(3 if n <= 1_000 else 1))
            last = Point(curve.name, n, d, seconds)
            yield last
            if seconds > limit:
                break


def timed(curve: Curve, generated: Array, reference: Array) -> float:
    """CPU time of one call on one thread."""
    start = time.process_time()
    curve.call(generated, reference)
    return time.process_time() - start


def model(curve: Curve, points: list[Point]) -> dict[str, float]:
    """Coefficients in nanoseconds by term, with the least sum of squared relative errors."""
    matrix = np.array([[TERMS[term](p.n, p.d) / p.seconds for term in curve.terms] for p in points])
    scale = matrix.max(0)
    found, _ = nnls(matrix / scale, np.ones(len(points)))
    return {term: 1e9 * value for term, value in zip(curve.terms, found / scale, strict=True) if value > 0}


def predicted(coefficients: dict[str, float], n: float, d: float) -> float:
    """Seconds that a model predicts."""
    return sum(1e-9 * value * TERMS[term](n, d) for term, value in coefficients.items())


def draw(points: list[Point], models: dict[str, dict[str, float]], file: Path) -> None:
    """Draw every curve with its model."""
    figure, panels = plt.subplots(3, 4, figsize=(12, 8.4), layout="constrained")
    colours = dict(zip((1, *WIDTHS), ("#444444", "#0072b2", "#d55e00", "#009e73"), strict=True))
    for panel, curve in zip(panels.flat, CURVES, strict=False):
        for d in curve.widths:
            own = [p for p in points if p.name == curve.name and p.d == d]
            line = np.geomspace(own[0].n, own[-1].n)
            panel.loglog([p.n for p in own], [p.seconds for p in own], "o", color=colours[d], ms=4)
            panel.loglog(
                line, [predicted(models[curve.name], n, d) for n in line], color=colours[d], label=f"d = {d}"
            )
        panel.set(
            title=curve.name, xlabel="scores" if curve.widths == (1,) else "images per set", ylabel="seconds"
        )
        panel.grid(alpha=0.3)
    for panel in list(panels.flat)[len(CURVES) :]:
        panel.axis("off")
        panel.legend(*panels[0, 0].get_legend_handles_labels(), frameon=False, loc="center")
    plt.rcParams.update({"svg.hashsalt": "cost curves", "svg.fonttype": "none"})
    figure.savefig(file, metadata={"Date": None})


def table(points: list[Point], models: dict[str, dict[str, float]]) -> str:
    """Markdown table: model, largest relative error, measured and extrapolated seconds."""
    lines = [
        "| metric | model of the CPU time, ns | error | n = 10,000 | n = 100,000 | n = 1,000,000 |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for curve in CURVES:
        own, coefficients = [p for p in points if p.name == curve.name], models[curve.name]
        large = [p for p in own if p.seconds > 0.05]
        error = np.median([abs(predicted(coefficients, p.n, p.d) / p.seconds - 1) for p in large])
        formula = " + ".join(f"{value:.2g} {term}" for term, value in coefficients.items() if term != "1")
        cells = [duration(predicted(coefficients, n, curve.widths[-1])) for n in (1e4, 1e5, 1e6)]
        lines.append(f"| `{curve.name}` | {formula} | {error:.0%} | {' | '.join(cells)} |")
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """A duration in its natural unit."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.2g} s"


def write_page(page: Path, text: str) -> None:
    """Replace the part of a page between the marks of the cost curves."""
    content = page.read_text(encoding="utf-8")
    start, end = "<!-- cost curves -->", "<!-- end of cost curves -->"
    before, _, rest = content.partition(start)
    page.write_text(f"{before}{start}\n{text}\n{end}{rest.partition(end)[2]}", encoding="utf-8")


def main() -> None:
    """Measure, fit, draw and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--limit", type=float, default=8.0, help="seconds of the largest point of a curve")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/cost_curves.json")
    parser.add_argument("--page", type=Path)
    parser.add_argument("--figure", type=Path)
    given = parser.parse_args()
    points: list[Point] = []
    models: dict[str, dict[str, float]] = {}
    with threadpool_limits(1):
        for curve in CURVES:
            own = list(measure(curve, given.limit))
            points += own
            models[curve.name] = model(curve, own)
            Console(stderr=True).print(
                f"{curve.name}: {len(own)} points, largest {max(p.seconds for p in own):.1f} s"
            )
    result: dict[str, Any] = {"machine": machine(), "points": [asdict(p) for p in points], "models": models}
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if given.figure:
        draw(points, models, given.figure)
    if given.page:
        write_page(given.page, table(points, models))
    Console(soft_wrap=True).print(table(points, models), markup=False)


if __name__ == "__main__":
    main()
