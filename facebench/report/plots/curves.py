"""Plots of scores, error rates, quality, feature maps and sample size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.stats
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from facebench.compare.metric_names import metric_name
from facebench.evaluation.record import Run
from facebench.metrics.arrays import Floats
from facebench.report.column_labels import column_label, network_name
from facebench.report.plots import svg

MAX_DOTS = 600
FEW_VALUES = 25
"""Number of images below which a distribution is drawn as dots, because a histogram would be a comb."""
_WIDE = (4.6, 2.4)
READ_AT = 0.01
"""False match rate at which the ROC is put into words."""
_DET_TICKS = (0.001, 0.01, 0.05, 0.2, 0.4)


@dataclass(frozen=True)
class Plot:
    """A plot with its legend.

    Attributes:
        title: heading.
        picture: the SVG.
        note: explanation below the plot.
        runs: indices of the runs in the legend; empty when the colours are not those of runs.
        score_kinds: whether the legend has the colours of genuine and impostor scores.
        references: names of the reference sets in the legend; empty text for a set without a name.
        marks: roles with a symbol in the legend: source, target.
        numbered: names of the numbers in the plot.
    """

    title: str
    picture: Markup
    note: str
    runs: tuple[int, ...] = ()
    score_kinds: bool = False
    references: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    numbered: tuple[str, ...] = ()


def identity_plots(runs: Sequence[Run], text: dict[str, Any], prefix: str) -> list[Plot]:
    """Draw score histograms, ROC and DET for every recogniser and every kind of pairs."""
    keys = dict.fromkeys((c["backbone"], c["against"]) for run in runs for c in _scores(run))
    plots = []
    for backbone, against in keys:
        run_curves = [
            (index, curve)
            for index, run in enumerate(runs)
            for curve in _scores(run)
            if (curve["backbone"], curve["against"]) == (backbone, against)
        ]
        name = f"{prefix}-{backbone}-{against}"
        title = text[f"scores_{against}"]
        notes = [
            text[key].format(backbone=network_name(backbone), pairs=text[f"pairs_{against}"])
            for key in ("scores_note", "roc_note", "det_note")
        ]
        plots.append(_histograms(run_curves, text, title, notes[0], name))
        plots.append(_roc(run_curves, text, f"{_accepted(runs, run_curves, text)} {notes[1]}", name))
        plots.append(_det(run_curves, text, notes[2], name))
    return plots


def _scores(run: Run) -> list[dict[str, Any]]:
    return list((run.curves or {}).get("scores", []))


def _histograms(
    run_curves: list[tuple[int, dict[str, Any]]], text: dict[str, Any], title: str, note: str, name: str
) -> Plot:
    with svg.drawing(f"{name}-scores", panels=len(run_curves)) as (figure, axes):
        used = [np.nonzero(np.add(curve["genuine"], curve["impostor"]))[0] for _, curve in run_curves]
        first, last = min(u[0] for u in used), max(u[-1] for u in used)
        for ax, (index, curve) in zip(axes, run_curves, strict=True):
            edges = np.asarray(curve["edges"])
            for kind, colour in (("impostor", svg.BAD), ("genuine", svg.GOOD)):
                ax.stairs(curve[kind], edges, fill=True, color=colour, alpha=0.35)
                ax.stairs(curve[kind], edges, color=colour, linewidth=1.2)
            if curve["eer_threshold"] is not None:
                ax.axvline(curve["eer_threshold"], color=svg.INK, linewidth=0.9, linestyle=(0, (4, 3)))
            ax.set_xlim(edges[max(first - 1, 0)], edges[min(last + 2, len(edges) - 1)])
            ax.set_ylabel(text["share"])
            ax.yaxis.set_major_locator(MaxNLocator(4))
            ax.yaxis.set_major_formatter(PERCENT)
            if len(run_curves) > 1:
                _mark(ax, index)
        axes[-1].set_xlabel(text["score"])
    indices = _indices(run_curves) if len(run_curves) > 1 else ()
    return Plot(title, svg.inline(figure, f"{name}-scores", title), note, indices, score_kinds=True)


def _mark(ax: Axes, index: int) -> None:
    """Draw a bar in the colour of the run at the left of its panel."""
    ax.plot([0.008, 0.008], [0.02, 0.98], transform=ax.transAxes, color=svg.run_colour(index), linewidth=4)


def _roc(run_curves: list[tuple[int, dict[str, Any]]], text: dict[str, Any], note: str, name: str) -> Plot:
    with svg.drawing(f"{name}-roc") as (figure, (ax,)):
        lowest = 1.0
        for index, curve in run_curves:
            fmr, fnmr = np.asarray(curve["fmr"]), np.asarray(curve["fnmr"])
            lowest = min(lowest, fmr[fmr > 0].min(initial=1.0))
            ax.step(
                np.maximum(fmr, 1e-9),
                1 - fnmr,
                where="post",
                color=svg.run_colour(index),
                linestyle=svg.run_dashes(index),
            )
        ax.set_xscale("log")
        ax.set_xlim(max(lowest, 1e-6), 1)
        ax.set_ylim(0, 1.02)
        ax.xaxis.set_major_formatter(PERCENT)
        ax.xaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_major_formatter(PERCENT)
        ax.set_xlabel(text["fmr"])
        ax.set_ylabel(text["tmr"])
    return Plot(text["roc"], svg.inline(figure, f"{name}-roc", text["roc"]), note, _indices(run_curves))


def _accepted(runs: Sequence[Run], run_curves: list[tuple[int, dict[str, Any]]], text: dict[str, Any]) -> str:
    """What the ROC shows in one sentence: the accepted share of genuine pairs at a false match rate of 1 %."""
    parts = []
    for index, curve in run_curves:
        fmr, fnmr = np.asarray(curve["fmr"]), np.asarray(curve["fnmr"])
        allowed = fmr <= READ_AT
        if allowed.any():
            parts.append(f"{runs[index].name} {1 - fnmr[allowed].min():.0%}")
    return str(text["roc_shows"]).format(shares=", ".join(parts)) if parts else ""


def _det(run_curves: list[tuple[int, dict[str, Any]]], text: dict[str, Any], note: str, name: str) -> Plot:
    low, high = (float(scipy.stats.norm.ppf(end)) for end in (0.0005, 0.6))
    with svg.drawing(f"{name}-det") as (figure, (ax,)):
        for index, curve in run_curves:
            rates = [scipy.stats.norm.ppf(np.clip(curve[rate], 1e-6, 1 - 1e-6)) for rate in ("fmr", "fnmr")]
            ax.step(
                rates[0],
                rates[1],
                where="post",
                color=svg.run_colour(index),
                linestyle=svg.run_dashes(index),
            )
        ax.plot([low, high], [low, high], color=svg.FAINT, linewidth=0.7, linestyle=(0, (2, 3)))
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_ticks(scipy.stats.norm.ppf(_DET_TICKS), [f"{100 * tick:g} %" for tick in _DET_TICKS])
        ax.set_xlim(low, high)
        ax.set_ylim(low, high)
        ax.set_xlabel(text["fmr"])
        ax.set_ylabel(text["fnmr"])
    return Plot(text["det"], svg.inline(figure, f"{name}-det", text["det"]), note, _indices(run_curves))


def _indices(run_curves: list[tuple[int, Any]]) -> tuple[int, ...]:
    return tuple(index for index, _ in run_curves)


def quality_plots(runs: Sequence[Run], text: dict[str, Any], prefix: str) -> list[Plot]:
    """Draw the distributions of face quality and of detector confidence, with those of the reference sets."""
    columns = dict.fromkeys(c for run in runs for c in _columns(run) if c.startswith("quality:"))
    notes = {**dict.fromkeys(columns, text["quality_note"]), "face_score": text["found_note"]}
    plots = [_distribution(runs, column, text, note, prefix) for column, note in notes.items()]
    return [plot for plot in plots if plot is not None]


def _columns(run: Run) -> list[str]:
    return [] if run.per_image is None else [str(column) for column in run.per_image.columns]


def _distribution(
    runs: Sequence[Run], column: str, text: dict[str, Any], note: str, prefix: str
) -> Plot | None:
    run_values = [(index, values(run, column)) for index, run in enumerate(runs)]
    run_values = [(index, rows) for index, rows in run_values if len(rows) > 1]
    if not run_values:
        return None
    references = {
        name: next((r for r in (values(run, column, role) for run in runs) if len(r) > 1), None)
        for role, name in reference_sets(runs).items()
    }
    reference_values = {name: rows for name, rows in references.items() if rows is not None}
    pooled = np.concatenate([rows for _, rows in run_values] + list(reference_values.values()))
    label = column_label(column, text)
    note = f"{_medians(runs, run_values, reference_values, text)} {note}"
    with svg.drawing(f"{prefix}-{column}", size=_WIDE) as (figure, (ax,)):
        if max(len(rows) for _, rows in run_values) < FEW_VALUES:
            _draw_dots(ax, run_values, reference_values)
        else:
            _draw_histograms(ax, run_values, reference_values, _edges(pooled))
            ax.set_ylabel(text["share_images"])
            ax.yaxis.set_major_formatter(PERCENT)
        ax.set_xlabel(label)
    picture = svg.inline(figure, f"{prefix}-{column}", f"{label}. {note}")
    return Plot(label, picture, note, _indices(run_values), references=tuple(reference_values))


def _medians(
    runs: Sequence[Run],
    run_values: list[tuple[int, Floats]],
    references: Mapping[str, Floats],
    text: dict[str, Any],
) -> str:
    """What the plot shows in one sentence: the median of every run and reference set."""
    named = [(runs[index].name, rows) for index, rows in run_values]
    named += [(f"{text['reference']} {name}".strip(), rows) for name, rows in references.items()]
    parts = ", ".join(f"{name} {np.median(rows):.3g}" for name, rows in named)
    return str(text["medians"]).format(medians=parts)


def _edges(pooled: Floats) -> Floats:
    """Bins of the width of Freedman and Diaconis (1981), at least 6 and at most 40."""
    low, high = float(pooled.min()), float(pooled.max())
    quarter, three_quarters = np.quantile(pooled, [0.25, 0.75])
    width = 2 * (three_quarters - quarter) / len(pooled) ** (1 / 3)
    bins = int(np.clip((high - low) / width, 6, 40)) if width > 0 else 6
    return np.linspace(low, high if high > low else low + 1e-6, bins + 1)


def _draw_histograms(
    ax: Axes, run_values: list[tuple[int, Floats]], references: Mapping[str, Floats], edges: Floats
) -> None:
    for index, rows in enumerate(references.values()):
        ax.stairs(_shares(rows, edges), edges, fill=True, color=svg.reference_colour(index), alpha=0.3)
    for index, rows in run_values:
        ax.stairs(
            _shares(rows, edges),
            edges,
            color=svg.run_colour(index),
            linewidth=1.6,
            linestyle=svg.run_dashes(index),
        )


def _draw_dots(ax: Axes, run_values: list[tuple[int, Floats]], references: Mapping[str, Floats]) -> None:
    """One dot for each image and a line at the median; one row for each set."""
    rows = [(svg.run_colour(index), numbers) for index, numbers in run_values]
    rows += [(svg.reference_colour(index), numbers) for index, numbers in enumerate(references.values())]
    for place, (colour, numbers) in enumerate(rows):
        ax.scatter(numbers, np.full(len(numbers), -place), s=22, color=colour, alpha=0.55, linewidths=0)
        middle = float(np.median(numbers))
        ax.plot([middle, middle], [-place - 0.3, -place + 0.3], color=colour, linewidth=2)
    ax.set_ylim(-len(rows) + 0.3, 0.7)
    ax.set_yticks([])


def reference_sets(runs: Sequence[Run]) -> dict[str, str]:
    """Return the names of all reference sets by role; the name is empty for an unnamed set."""
    roles = dict.fromkeys(role for run in runs for role in run.inputs)
    return {role: role.partition(":")[2] for role in roles if role.partition(":")[0] == "reference"}


def values(run: Run, column: str, role: str = "generated") -> Floats:
    """Return the finite values of a column of the per-image table."""
    if run.per_image is None or column not in run.per_image:
        return np.empty(0)
    rows = run.per_image.loc[run.per_image["role"] == role, column]
    numbers = pd.to_numeric(rows, errors="coerce").to_numpy(dtype=np.float64)
    return np.asarray(numbers[np.isfinite(numbers)])


def _shares(rows: Floats, edges: Floats) -> Floats:
    return np.asarray(np.histogram(rows, edges)[0] / len(rows))


def map_plots(runs: Sequence[Run], text: dict[str, Any], prefix: str) -> list[Plot]:
    """Draw generated and reference images on two principal components; one plot for the runs with the same axes."""
    maps: list[tuple[dict[str, Any], list[tuple[int, Floats]]]] = []
    for index, run in enumerate(runs):
        axes, points = (run.curves or {}).get("map"), _points(run, "generated")
        if not axes or not len(points):
            continue
        shared = next((run_points for other, run_points in maps if other == axes), None)
        if shared is None:
            maps.append((axes, [(index, points)]))
        else:
            shared.append((index, points))
    return [
        _map_plot(runs, axes, run_points, text, f"{prefix}-map{number}")
        for number, (axes, run_points) in enumerate(maps)
    ]


def _map_plot(
    runs: Sequence[Run],
    axes: dict[str, Any],
    run_points: list[tuple[int, Floats]],
    text: dict[str, Any],
    name: str,
) -> Plot:
    first = runs[run_points[0][0]]
    reference_points = {label: _points(first, role) for role, label in reference_sets([first]).items()}
    reference_points = {label: points for label, points in reference_points.items() if len(points)}
    with svg.drawing(name) as (figure, (ax,)):
        for index, points in enumerate(reference_points.values()):
            ax.scatter(
                points[:, 0], points[:, 1], s=6, color=svg.reference_colour(index), alpha=0.45, linewidths=0
            )
        for index, points in run_points:
            ax.scatter(points[:, 0], points[:, 1], s=6, color=svg.run_colour(index), alpha=0.65, linewidths=0)
        ax.set_xlabel(text["component"].format(number=1))
        ax.set_ylabel(text["component"].format(number=2))
        ax.set_aspect("equal", adjustable="datalim")
    x, y = (f"{share:.0%}" for share in axes["explained"])
    role, _, label = str(axes["fitted_on"]).partition(":")
    note = text["map_note"].format(
        backbone=network_name(axes["backbone"]), fitted_on=f"{text[role]} {label}".strip(), x=x, y=y
    )
    note = f"{note} {text['map_sampled'].format(shown=MAX_DOTS)}"
    return Plot(
        text["map"],
        svg.inline(figure, name, text["map"]),
        note,
        _indices(run_points),
        references=tuple(reference_points),
    )


def _points(run: Run, role: str) -> Floats:
    table = run.per_image
    if table is None or "map_x" not in table:
        return np.empty((0, 2))
    rows = table.loc[table["role"] == role, ["map_x", "map_y"]].dropna().to_numpy(dtype=np.float64)
    if len(rows) > MAX_DOTS:
        rows = rows[np.random.default_rng(0).choice(len(rows), MAX_DOTS, replace=False)]
    return np.asarray(rows)


def against_n_plots(runs: Sequence[Run], text: dict[str, Any], prefix: str) -> list[Plot]:
    """Draw Fréchet distances over the number of generated images."""
    run_curves = [(i, curve) for i, run in enumerate(runs) for curve in (run.curves or {}).get("frechet", [])]
    plots = []
    for metric in dict.fromkeys(curve["metric"] for _, curve in run_curves):
        metric_curves = [(index, curve) for index, curve in run_curves if curve["metric"] == metric]
        with svg.drawing(f"{prefix}-{metric}-n") as (figure, (ax,)):
            for index, curve in metric_curves:
                ax.plot(
                    curve["sizes"],
                    curve["distances"],
                    marker="o",
                    color=svg.run_colour(index),
                    markersize=3,
                    linestyle=svg.run_dashes(index),
                )
            ax.set_ylim(bottom=0)
            ax.set_xlabel(text["n_images"])
            ax.set_ylabel(metric_name(metric))
            ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        picture = svg.inline(figure, f"{prefix}-{metric}-n", text["against_n"])
        note = text["against_n_note"].format(metric=metric_name(metric))
        plots.append(Plot(text["against_n"], picture, note, _indices(metric_curves)))
    return plots


PERCENT = FuncFormatter(lambda share, _: f"{100 * share:g} %")
"""Formatter of axes of shares."""
