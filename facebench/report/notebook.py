"""Plots and images of a run in a notebook: `run.plot(...)` and `run.images(...)`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from facebench.core.errors import InputError
from facebench.core.escape import escape_html
from facebench.core.files import atomic_write_text
from facebench.core.language import language, translate
from facebench.core.suggest import suggest
from facebench.evaluation.per_image import image_terms
from facebench.evaluation.record import MetricResult, Run
from facebench.evaluation.run_table import headline_metrics, interval_text, value_text
from facebench.report.galleries.images import Thumbnail, roots_of, thumbnail
from facebench.report.pages.texts import texts
from facebench.report.plots import svg
from facebench.report.plots.curves import identity_plots

_COLOURS = (
    "--ink:#1f2328;--line:#e5e7eb;--faint:#9ca3af;--paper:#fff;--good:#0072b2;--bad:#d55e00;--run0:#2563eb;"
    "--reference0:#9ca3af;background:#fff;color:#1f2328;padding:.5em;max-width:44em"
)
_CURVES = {"scores": 0, "roc": 1, "det": 2}
"""Plots of verification scores, by their place among the plots of one recogniser."""
_BINS = 31


@dataclass(frozen=True)
class RunPlot:
    """A plot of a run; a notebook shows it.

    Attributes:
        title: what is drawn.
        picture: the SVG.
        note: explanation below the plot.
    """

    title: str
    picture: Markup
    note: str

    def __repr__(self) -> str:
        """Return one line: the title."""
        return f"<RunPlot {self.title!r}>"

    def _repr_html_(self) -> str:
        """Return the plot with its title and explanation, for notebooks."""
        title, note = escape_html(self.title), escape_html(self.note)
        return (
            f'<figure style="{_COLOURS}"><b>{title}</b>{self.picture}<figcaption>{note}</figcaption></figure>'
        )

    def save(self, file: str | Path) -> Path:
        """Write the plot as an HTML file; returns its path."""
        path = Path(file)
        atomic_write_text(path, f'<!doctype html>\n<meta charset="utf-8">\n{self._repr_html_()}\n')
        return path


@dataclass(frozen=True)
class RunImages:
    """Images of a run, ranked by one metric; a notebook shows them.

    Attributes:
        metric: the metric that ranks the images.
        values: value of each image, by name, in the order of the rank.
        thumbnails: small copies of the images, in the same order.
    """

    metric: str
    values: pd.Series[float]
    thumbnails: list[Thumbnail]

    def __repr__(self) -> str:
        """Return one line: the number of images and the metric."""
        return f"<RunImages: {len(self.thumbnails)} images by {self.metric}>"

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.thumbnails)

    def _repr_html_(self) -> str:
        """Return the images with their names and values, for notebooks."""
        figures = "".join(_figure(each) for each in self.thumbnails)
        return f'<div style="display:flex;flex-wrap:wrap;gap:.5em">{figures}</div>'


def plot(run: Run, name: str | None = None) -> RunPlot:
    """Draw a plot of a run.

    Args:
        run: the run, with its per-image table or the data of its curves.
        name: a metric that is a mean over images (distribution of its values), or "scores", "roc" or "det"
            (verification scores and error rates); the first metric of the headline that can be drawn if None.

    Raises:
        InputError: the run lacks the metric, or nothing to draw it from.
    """
    if name in _CURVES:
        return _curve(run, name)
    metric = _first_metric(run) if name is None else _metric(run, name)
    return _distribution(run, metric, _terms(run, metric))


def images(run: Run, *, worst: str | None = None, best: str | None = None, n: int = 12) -> RunImages:
    """Return the images of a run with the worst or the best values of a metric.

    Args:
        run: the run, with its per-image table; its images are read from where they were evaluated.
        worst: metric whose worst images are returned; the beginning of its id is enough.
        best: metric whose best images are returned; give either this or `worst`.
        n: number of images.

    Raises:
        InputError: both or none of the metrics are given, the metric is unknown, has no better direction, or is not a
            mean over images.
    """
    if (worst is None) == (best is None):
        raise InputError("Give one metric: worst='identity_similarity' or best='identity_similarity'.")
    metric = _metric(run, worst or best or "")
    better = run.metrics[metric].better
    if better == "neither":
        raise InputError(f"'{metric}' has no better direction, so no image is worst. Choose another metric.")
    terms = _terms(run, metric).dropna().sort_index()
    ranked = terms.sort_values(ascending=(better == "higher") == (best is None), kind="stable").head(n)
    return RunImages(metric, ranked, _thumbnails(run, metric, ranked))


def _metric(run: Run, name: str) -> str:
    """Return the metric with an id, or the first metric of the headline whose id begins with it."""
    if name in run.metrics:
        return name
    longer = [metric for metric in run.metrics if metric.startswith(f"{name}_")]
    if not longer:
        raise InputError(f"The run has no metric '{name}'. {suggest(name, [*run.metrics, *_CURVES])}")
    return next(iter([*headline_metrics(run, longer), *longer]))


def _first_metric(run: Run) -> str:
    valued = [metric for metric, result in run.metrics.items() if result.value is not None]
    drawable = (metric for metric in headline_metrics(run, valued) if image_terms(metric, run) is not None)
    metric = next(drawable, None)
    if metric is None:
        raise InputError(
            "The run has no metric that is a mean over images. Name a plot: 'scores', 'roc' or 'det'."
        )
    return metric


def _terms(run: Run, metric: str) -> pd.Series[float]:
    """Return one value for each image, whose mean is the metric."""
    if run.per_image is None:
        raise InputError("This run has no per-image table. Load the folder of the run, not its record alone.")
    terms = image_terms(metric, run)
    if terms is None:
        raise InputError(f"'{metric}' is not a mean over images, so it has no value for each image.")
    return terms


def _distribution(run: Run, metric: str, terms: pd.Series[float]) -> RunPlot:
    """Draw the distribution of a metric over the images, with its mean and interval."""
    text, result = texts(language()), run.metrics[metric]
    rows = terms.dropna().to_numpy(dtype=np.float64)
    low, high = float(rows.min()), float(rows.max())
    edges = np.linspace(
        low, high if high > low else low + 1e-6, min(_BINS, max(4, round(len(rows) ** 0.5)) + 1)
    )
    with svg.drawing(f"plot-{metric}") as (figure, (ax,)):
        ax.hist(rows, edges.tolist(), color=svg.run_colour(0), alpha=0.45)
        if result.low is not None and result.high is not None:
            ax.axvspan(result.low, result.high, color=svg.INK, alpha=0.12, linewidth=0)
        ax.axvline(float(rows.mean()), color=svg.INK, linewidth=1)
        ax.set_xlabel(metric)
        ax.set_ylabel(text["images"])
        ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    title = translate(result.title)
    note = translate(
        f"Distribution over {len(rows)} images. Line: mean {_value(result)}; band: its 95 % interval."
    )
    return RunPlot(title, svg.inline(figure, f"plot-{metric}", title), note)


def _curve(run: Run, name: str) -> RunPlot:
    """Return the first plot of verification scores of one kind."""
    plots: Sequence[Any] = identity_plots([run], texts(language()), "plot")
    if not plots:
        raise InputError(
            f"The run has no verification scores for '{name}'. Evaluate it with --protocol identity."
        )
    drawn = plots[_CURVES[name]]
    return RunPlot(drawn.title, drawn.picture, drawn.note)


def _thumbnails(run: Run, metric: str, ranked: pd.Series[float]) -> list[Thumbnail]:
    assert run.per_image is not None
    generated = run.per_image[run.per_image["role"] == "generated"]
    digests = dict(zip(generated["image"], generated["sha256"], strict=True))
    decimals = run.metrics[metric].decimals
    return [
        replace(
            thumbnail(run.inputs["generated"], str(name), str(digests[name]), roots_of(run)),
            caption=f"{value:.{decimals}f}",
        )
        for name, value in ranked.items()
    ]


def _figure(image: Thumbnail) -> str:
    name, caption = escape_html(image.name), escape_html(image.caption)
    reason = escape_html(texts(language())[image.unavailable]) if image.unavailable else ""
    picture = f'<img src="{image.uri}" alt="{name}" title="{name}">' if image.uri else f"<i>{reason}</i>"
    style = "margin:0;max-width:9em;overflow-wrap:anywhere;font-size:.8em"
    return f'<figure style="{style}">{picture}<figcaption>{caption}<br>{name}</figcaption></figure>'


def _value(result: MetricResult) -> str:
    return f"{value_text(result)} {interval_text(result)}".strip()
