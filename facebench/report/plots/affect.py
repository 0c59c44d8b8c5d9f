"""Valence and arousal on the circumplex: where faces came from, where they should go, and where they went."""

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
from facebench.report.plots import svg
from facebench.report.plots.curves import Plot

MOST_ARROWS = 120
MOST_EXPRESSIONS = 12
_SIZE = (3.7, 3.7)


ROLES = ("generated", "source", "target")


@dataclass(frozen=True)
class _Moves:
    """Places of one run's images on the circumplex: by role (n, 2), NaN where there is none."""

    place: int
    images: pd.Index
    sides: dict[str, Floats]
    expression: list[str | None]

    def only(self, images: pd.Index) -> _Moves:
        """Some images; those that this run has not got have no places."""
        rows = self.images.get_indexer(images)
        sides = {role: np.where(rows[:, None] < 0, np.nan, side[rows]) for role, side in self.sides.items()}
        return _Moves(self.place, images, sides, [None if r < 0 else self.expression[r] for r in rows])


def circumplex_plots(runs: Sequence[Run], text: dict[str, Any], prefix: str) -> list[Plot]:
    """For every affect network single images with arrows from their source, and the mean of every expression."""
    tables = [run.per_image for run in runs if run.per_image is not None]
    columns = dict.fromkeys(str(column) for table in tables for column in table.columns)
    networks = [c.partition(":")[2] for c in columns if c.startswith("valence:")]
    plots: list[Plot] = []
    for network in (n for n in networks if f"arousal:{n}" in columns):
        held = [_moves(place, run.per_image, network) for place, run in enumerate(runs)]
        moves = [each for each in held if each is not None]
        if moves:
            plots.append(_single_images(moves, network, text, prefix))
            plots += _means(moves, network, text, prefix)
    return plots


def _moves(place: int, table: pd.DataFrame | None, network: str) -> _Moves | None:
    if table is None or f"valence:{network}" not in table:
        return None
    own = table[table["role"] == "generated"].set_index("image")
    sides = {role: _places(table, network, role, len(own)) for role in ROLES}
    if not np.isfinite(sides["generated"]).any():
        return None
    named = own.get("expression", pd.Series(None, index=own.index, dtype=object))
    return _Moves(place, own.index, sides, [n if isinstance(n, str) and n else None for n in named])


def _places(table: pd.DataFrame, network: str, role: str, n: int) -> Floats:
    found = [linked_column(table, f"{name}:{network}", role) for name in ("valence", "arousal")]
    if any(column is None for column in found):
        return np.full((n, 2), np.nan)
    return np.column_stack([column.to_numpy(dtype=np.float64) for column in found if column is not None])


def _single_images(moves: list[_Moves], network: str, text: dict[str, Any], prefix: str) -> Plot:
    every = sorted({str(image) for each in moves for image in each.images})
    chosen = every
    if len(every) > MOST_ARROWS:
        chosen = sorted(np.random.default_rng(0).choice(every, MOST_ARROWS, replace=False).tolist())
    drawn = [each.only(pd.Index(chosen)) for each in moves]
    name, title = f"{prefix}-{network}-circumplex", text["circumplex"].format(backbone=network)
    with svg.drawing(name, size=_SIZE) as (figure, (ax,)):
        _circle(ax, text)
        for each in drawn:
            _arrows(ax, each, alpha=0.75 if len(chosen) <= 40 else 0.45)
    marks = _marks(drawn)
    note = text["circumplex_note" if "source" in marks else "circumplex_dots_note"].format(backbone=network)
    if len(chosen) < len(every):
        note += " " + text["circumplex_sampled"].format(shown=len(chosen), count=f"{len(every):,}")
    places = tuple(each.place for each in drawn)
    return Plot(title, svg.inline(figure, name, title), note, places, marks=marks)


def _means(moves: list[_Moves], network: str, text: dict[str, Any], prefix: str) -> list[Plot]:
    """The mean move of every expression, numbered: names that a user wrote stand in the page's own legend."""
    names = sorted({e for each in moves for e in each.expression if e is not None})[:MOST_EXPRESSIONS]
    if len(names) < 2:
        return []
    drawn = [_mean_of(each, names) for each in moves]
    name, title = f"{prefix}-{network}-means", text["circumplex_means"].format(backbone=network)
    with svg.drawing(name, size=_SIZE) as (figure, (ax,)):
        _circle(ax, text)
        for place, each in enumerate(drawn):
            _arrows(ax, each, alpha=0.95)
            if place:
                continue  # the targets of all runs lie together: one number for each is enough
            aims = np.where(np.isfinite(each.sides["target"]), each.sides["target"], each.sides["generated"])
            for number, (x, y) in enumerate(aims, start=1):
                if np.isfinite(x + y):
                    ax.annotate(str(number), (x, y), xytext=(4, 4), textcoords="offset points", fontsize=8)
    marks = _marks(drawn)
    places = tuple(each.place for each in drawn)
    picture = svg.inline(figure, name, title)
    return [Plot(title, picture, text["circumplex_means_note"], places, marks=marks, numbered=tuple(names))]


def _mean_of(each: _Moves, names: list[str]) -> _Moves:
    """Means over the images that have every side which this run has at all, so that arrows compare like with like."""
    used = [side for side in each.sides.values() if np.isfinite(side).any()]
    whole = np.all([np.isfinite(side).all(axis=1) for side in used], axis=0)
    groups = np.array([n or "" for n in each.expression], dtype=object)

    def means(side: Floats) -> Floats:
        rows = [side[whole & (groups == name)] for name in names]
        return np.array([r.mean(axis=0) if len(r) else (np.nan, np.nan) for r in rows])

    return _Moves(
        each.place, pd.Index(names), {role: means(side) for role, side in each.sides.items()}, list(names)
    )


def _circle(ax: Axes, text: dict[str, Any]) -> None:
    turn = np.linspace(0, 2 * np.pi, 181)
    ax.plot(np.cos(turn), np.sin(turn), color=svg.FAINT, linewidth=0.8)
    for line in (ax.axhline, ax.axvline):
        line(0, color=svg.FAINT, linewidth=0.6)
    ax.set_xlim(-1.08, 1.08)
    ax.set_ylim(-1.08, 1.08)
    ax.set_xticks([-1, -0.5, 0, 0.5, 1])
    ax.set_yticks([-1, -0.5, 0, 0.5, 1])
    ax.set_aspect("equal")
    ax.set_xlabel(text["valence"])
    ax.set_ylabel(text["arousal"])


def _arrows(ax: Axes, each: _Moves, alpha: float) -> None:
    colour = svg.run_colour(each.place)
    generated, source, target = (each.sides[role] for role in ROLES)
    ax.scatter(target[:, 0], target[:, 1], s=16, facecolors="none", edgecolors=svg.REFERENCE, linewidths=0.9)
    ax.scatter(source[:, 0], source[:, 1], s=5, color=svg.REFERENCE, linewidths=0)
    step = generated - source
    moved = np.isfinite(step).all(axis=1)
    ax.quiver(
        source[moved, 0],
        source[moved, 1],
        step[moved, 0],
        step[moved, 1],
        angles="xy",
        scale_units="xy",
        scale=1,
        width=0.0045,
        headwidth=4.5,
        headlength=5,
        color=colour,
        alpha=alpha,
    )
    still = generated[~moved]
    ax.scatter(still[:, 0], still[:, 1], s=7, color=colour, alpha=alpha, linewidths=0)


def _marks(drawn: list[_Moves]) -> tuple[str, ...]:
    return tuple(
        role for role in ("source", "target") if any(np.isfinite(each.sides[role]).any() for each in drawn)
    )
