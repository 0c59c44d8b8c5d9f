"""Circumplex plots: valence and arousal of source, target and generated images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from facebench.evaluation.per_image import linked_column
from facebench.evaluation.record import Run
from facebench.metrics.arrays import Floats
from facebench.report.column_labels import network_name
from facebench.report.plots import svg
from facebench.report.plots.curves import Plot

MAX_ARROWS = 120
MAX_EXPRESSIONS = 12
_SIZE = (3.7, 3.7)
ROLES = ("generated", "source", "target")


@dataclass(frozen=True)
class _Affect:
    """Valence and arousal of the images of one run.

    Attributes:
        index: index of the run.
        images: image names, or names of the expressions of means.
        points: valence and arousal by role (n, 2); NaN where they are missing.
        expression: expression of each image.
    """

    index: int
    images: pd.Index
    points: dict[str, Floats]
    expression: list[str | None]

    def select(self, images: pd.Index) -> _Affect:
        """Select images; images that are not in this run get no points."""
        rows = self.images.get_indexer(images)
        points = {role: np.where(rows[:, None] < 0, np.nan, xy[rows]) for role, xy in self.points.items()}
        return _Affect(self.index, images, points, [None if r < 0 else self.expression[r] for r in rows])


def circumplex_plots(runs: Sequence[Run], text: dict[str, Any], prefix: str) -> list[Plot]:
    """Draw, for every affect network, the single images and the mean of every expression."""
    tables = [run.per_image for run in runs if run.per_image is not None]
    columns = dict.fromkeys(str(column) for table in tables for column in table.columns)
    networks = [c.partition(":")[2] for c in columns if c.startswith("valence:")]
    plots: list[Plot] = []
    for network in (n for n in networks if f"arousal:{n}" in columns):
        affects = [_affect(index, run.per_image, network) for index, run in enumerate(runs)]
        available = [affect for affect in affects if affect is not None]
        if available:
            plots.append(_image_plot(available, network, text, prefix))
            plots += _mean_plots(available, network, text, prefix)
    return plots


def _affect(index: int, table: pd.DataFrame | None, network: str) -> _Affect | None:
    if table is None or f"valence:{network}" not in table:
        return None
    generated = table[table["role"] == "generated"].set_index("image")
    points = {role: _points(table, network, role, len(generated)) for role in ROLES}
    if not np.isfinite(points["generated"]).any():
        return None
    names = generated.get("expression", pd.Series(None, index=generated.index, dtype=object))
    expression = [name if isinstance(name, str) and name else None for name in names]
    return _Affect(index, generated.index, points, expression)


def _points(table: pd.DataFrame, network: str, role: str, n: int) -> Floats:
    columns = [linked_column(table, f"{name}:{network}", role) for name in ("valence", "arousal")]
    if any(column is None for column in columns):
        return np.full((n, 2), np.nan)
    return np.column_stack([column.to_numpy(dtype=np.float64) for column in columns if column is not None])


def _image_plot(affects: list[_Affect], network: str, text: dict[str, Any], prefix: str) -> Plot:
    images = sorted({str(image) for affect in affects for image in affect.images})
    sample = images
    if len(images) > MAX_ARROWS:
        sample = sorted(np.random.default_rng(0).choice(images, MAX_ARROWS, replace=False).tolist())
    selected = [affect.select(pd.Index(sample)) for affect in affects]
    name, title = f"{prefix}-{network}-circumplex", text["circumplex"].format(backbone=network_name(network))
    with svg.drawing(name, size=_SIZE) as (figure, (ax,)):
        _draw_circle(ax, text)
        for affect in selected:
            _draw_affect(ax, affect, alpha=0.75 if len(sample) <= 40 else 0.45)
    marks = _marks(selected)
    note = text["circumplex_note" if "source" in marks else "circumplex_dots_note"].format(
        backbone=network_name(network)
    )
    if len(sample) < len(images):
        note += " " + text["circumplex_sampled"].format(shown=len(sample), count=f"{len(images):,}")
    return Plot(title, svg.inline(figure, name, title), note, _indices(selected), marks=marks)


def _mean_plots(affects: list[_Affect], network: str, text: dict[str, Any], prefix: str) -> list[Plot]:
    """The mean of every expression, numbered; the names of the expressions are in the legend of the page."""
    names = sorted({e for affect in affects for e in affect.expression if e is not None})[:MAX_EXPRESSIONS]
    if len(names) < 2:
        return []
    means = [_means(affect, names) for affect in affects]
    name, title = f"{prefix}-{network}-means", text["circumplex_means"].format(backbone=network_name(network))
    with svg.drawing(name, size=_SIZE) as (figure, (ax,)):
        _draw_circle(ax, text)
        for affect in means:
            _draw_affect(ax, affect, alpha=0.95)
        _draw_numbers(ax, means[0])  # the targets of all runs coincide
    picture = svg.inline(figure, name, title)
    note, marks = text["circumplex_means_note"], _marks(means)
    return [Plot(title, picture, note, _indices(means), marks=marks, numbered=tuple(names))]


def _means(affect: _Affect, names: list[str]) -> _Affect:
    """Means by expression, over the images that have all roles of the run, so that arrows compare the same images."""
    available = [points for points in affect.points.values() if np.isfinite(points).any()]
    complete = np.all([np.isfinite(points).all(axis=1) for points in available], axis=0)
    groups = np.array([name or "" for name in affect.expression], dtype=object)

    def by_expression(points: Floats) -> Floats:
        rows = [points[complete & (groups == name)] for name in names]
        return np.array([r.mean(axis=0) if len(r) else (np.nan, np.nan) for r in rows])

    points = {role: by_expression(xy) for role, xy in affect.points.items()}
    return _Affect(affect.index, pd.Index(names), points, list(names))


def _draw_circle(ax: Axes, text: dict[str, Any]) -> None:
    angle = np.linspace(0, 2 * np.pi, 181)
    ax.plot(np.cos(angle), np.sin(angle), color=svg.FAINT, linewidth=0.8)
    for line in (ax.axhline, ax.axvline):
        line(0, color=svg.FAINT, linewidth=0.6)
    ax.set_xlim(-1.08, 1.08)
    ax.set_ylim(-1.08, 1.08)
    ax.set_xticks([-1, -0.5, 0, 0.5, 1])
    ax.set_yticks([-1, -0.5, 0, 0.5, 1])
    ax.set_aspect("equal")
    ax.set_xlabel(text["valence"])
    ax.set_ylabel(text["arousal"])


def _draw_affect(ax: Axes, affect: _Affect, alpha: float) -> None:
    """Rings at the targets, arrows from source to generated image, dots for images without a source."""
    colour = svg.run_colour(affect.index)
    generated, source, target = (affect.points[role] for role in ROLES)
    ax.scatter(target[:, 0], target[:, 1], s=16, facecolors="none", edgecolors=svg.REFERENCE, linewidths=0.9)
    ax.scatter(source[:, 0], source[:, 1], s=5, color=svg.REFERENCE, linewidths=0)
    step = generated - source
    has_source = np.isfinite(step).all(axis=1)
    ax.quiver(
        source[has_source, 0],
        source[has_source, 1],
        step[has_source, 0],
        step[has_source, 1],
        angles="xy",
        scale_units="xy",
        scale=1,
        width=0.0045,
        headwidth=4.5,
        headlength=5,
        color=colour,
        alpha=alpha,
    )
    dots = generated[~has_source]
    ax.scatter(dots[:, 0], dots[:, 1], s=7, color=colour, alpha=alpha, linewidths=0)


def _draw_numbers(ax: Axes, affect: _Affect) -> None:
    """Numbers at the targets, or at the generated images if there is no target."""
    target, generated = affect.points["target"], affect.points["generated"]
    for number, (x, y) in enumerate(np.where(np.isfinite(target), target, generated), start=1):
        if np.isfinite(x + y):
            ax.annotate(str(number), (x, y), xytext=(4, 4), textcoords="offset points", fontsize=8)


def _indices(affects: list[_Affect]) -> tuple[int, ...]:
    return tuple(affect.index for affect in affects)


def _marks(affects: list[_Affect]) -> tuple[str, ...]:
    return tuple(
        role
        for role in ("source", "target")
        if any(np.isfinite(affect.points[role]).any() for affect in affects)
    )
