"""Present a factorial study: tables, sentences, and the main-effects plot."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facebench.core.html import environment, translated_page
from facebench.core.tables import Cell, Column, Mark, Table
from facebench.evaluation.record import MetricResult
from facebench.evaluation.run_table import interval_text
from facebench.studies.factorial.effects import Effect, Study

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 9,
    "svg.hashsalt": "facebench",
}


def cells_table(study: Study) -> Table:
    """Return one row per cell: its levels and every metric, best in bold, second best underlined."""
    columns = [Column("model", "Model", numeric=False)]
    columns += [Column(f"factor_{factor}", factor, numeric=False) for factor in study.levels]
    for metric in study.metrics:
        result = study.result(metric)
        columns.append(Column(metric, f"{metric} {result.arrow}".strip(), about=result.title))
    rows = []
    for run in study.cells:
        cells = [Cell(run.name), *(Cell(level) for level in study.cell(run))]
        for metric in study.metrics:
            result = run.metrics[metric]
            text = "–" if result.value is None else f"{result.value:.{result.decimals}f}"
            mark = _mark(study, metric, result)
            cells.append(Cell(text, result.value, small=interval_text(result), mark=mark))
        rows.append(cells)
    return Table(
        columns,
        rows,
        caption="Every cell",
        notes=["Brackets: 95 % interval. Best in bold, second underlined."],
    )


def effects_table(study: Study) -> Table:
    """Return one row per effect, sorted by metric."""
    columns = [
        Column("metric", "Metric", numeric=False),
        Column("effect", "Effect", numeric=False),
        Column("value", "Change"),
        Column("low", "Low"),
        Column("high", "High"),
        Column("p", "p (Holm)"),
    ]
    rows = []
    for metric in study.metrics:
        decimals = study.result(metric).decimals + 1
        for effect in study.effects[metric]:
            numbers = (effect.value, effect.low, effect.high)
            cells = [
                Cell("–" if n is None else f"{n:+.{decimals}f}", n, title=effect.method) for n in numbers
            ]
            p = Cell(
                "–" if effect.p is None else f"{effect.p:.3f}" if effect.p >= 0.001 else "< 0.001", effect.p
            )
            mark: Mark = "best" if effect.clear else ""
            cells[0] = Cell(cells[0].text, effect.value, mark=mark, title=effect.method)
            rows.append([Cell(metric), Cell(_name(study, effect)), *cells, p])
    methods = dict.fromkeys(effect.method for effects in study.effects.values() for effect in effects)
    notes = [
        "Change in the metric's unit, mean over all other factors; 95 % interval. Bold: p < 0.05, corrected over the "
        "effects on the metric (Holm).",
        f"Intervals: {'; '.join(method for method in methods if method)}.",
        study.scope,
        *(f"Left out: {metric}: {reason}" for metric, reason in study.left_out.items()),
    ]
    return Table(columns, rows, caption="Main effects and two-way interactions", notes=notes)


def sentences(study: Study) -> list[str]:
    """Return one sentence for the best cell and one for every clear effect, by metric."""
    lines = []
    for metric in study.metrics:
        best = study.best(metric)
        if best is not None:
            levels = ", ".join(f"{factor} = {best.tags[factor]}" for factor in study.levels)
            result = best.metrics[metric]
            lines.append(
                f"{metric}: best with {levels}: {result.value:.{result.decimals}f} {interval_text(result)}".rstrip()
            )
        lines += [_sentence(study, effect) for effect in study.effects[metric] if effect.clear]
    return lines


def _sentence(study: Study, effect: Effect) -> str:
    result = study.result(effect.metric)
    value, low, high = (number or 0.0 for number in (effect.value, effect.low, effect.high))
    verb, sign = ("raises", 1.0) if value > 0 else ("lowers", -1.0)
    ends = sorted((sign * low, sign * high))
    amount = (
        f"{abs(value):.{result.decimals}f} [{ends[0]:.{result.decimals}f}, {ends[1]:.{result.decimals}f}]"
    )
    if len(effect.factors) == 1:
        first = study.levels[effect.factors[0]][0]
        return (
            f"{effect.levels[0]} instead of {first} ({effect.factors[0]}) {verb} {effect.metric} by {amount}"
        )
    a, b = effect.factors
    return (
        f"the effect of {effect.levels[0]} ({a}) on {effect.metric} is {'larger' if value > 0 else 'smaller'} by "
        f"{amount} with {effect.levels[1]} than with {study.levels[b][0]} ({b})"
    )


def _name(study: Study, effect: Effect) -> str:
    parts = [
        f"{factor}: {level} − {study.levels[factor][0]}"
        for factor, level in zip(effect.factors, effect.levels, strict=True)
    ]
    return " × ".join(parts)


def _mark(study: Study, metric: str, result: MetricResult) -> Mark:
    sign = {"higher": -1.0, "lower": 1.0, "neither": 0.0}[result.better]
    values = sorted({sign * (run.metrics[metric].value or 0.0) for run in study.cells})
    if sign == 0 or result.value is None:
        return ""
    place = values.index(sign * result.value)
    return "best" if place == 0 else "second" if place == 1 else ""


def main_effects_plot(study: Study, metric: str) -> Figure:
    """Return one panel per factor: the mean of each level, with the interval of its change from the first level."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(2.1 * len(study.levels) + 0.8, 2.6), layout="constrained")
        panels = figure.subplots(1, len(study.levels), sharey=True, squeeze=False)[0]
        for panel, (factor, levels) in zip(panels, study.levels.items(), strict=True):
            _panel(panel, study, metric, factor, levels)
        panels[0].set_ylabel(f"{metric} {study.result(metric).arrow}")
    return figure


def _panel(panel: Axes, study: Study, metric: str, factor: str, levels: tuple[str, ...]) -> None:
    first = float(
        np.mean([run.metrics[metric].value or 0.0 for run in study.cells if run.tags[factor] == levels[0]])
    )
    known = {e.levels[0]: e for e in study.effects[metric] if e.factors == (factor,) and e.value is not None}
    shown = [levels[0], *(level for level in levels[1:] if level in known)]
    places = [levels.index(level) for level in shown]
    heights = [first] + [first + (known[level].value or 0.0) for level in shown[1:]]
    panel.plot(places, heights, color="0.6", linewidth=1)
    panel.plot(places, heights, "o", color="#2563eb", markersize=5)
    for place, level in zip(places[1:], shown[1:], strict=True):
        effect = known[level]
        if effect.low is not None and effect.high is not None:
            panel.vlines(place, first + effect.low, first + effect.high, color="#2563eb", linewidth=2)
    panel.axhline(first, color="0.85", linewidth=0.8, zorder=0)
    panel.set_xticks(range(len(levels)), levels)
    panel.set_xlim(-0.4, len(levels) - 0.6)
    panel.set_title(factor, fontsize=9)


def svg(figure: Figure) -> str:
    """Return a figure as SVG; the text is the same for the same study."""
    stream = io.StringIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


def study_page(study: Study, further: Sequence[Table] = ()) -> str:
    """Return a self-contained HTML page; `further` tables come last."""
    return translated_page(
        environment("facebench.studies.factorial")
        .get_template("factorial.html")
        .render(
            sentences=sentences(study),
            plots=[(metric, Markup(_inline(study, metric))) for metric in study.metrics],
            tables=[Markup(table.html()) for table in (effects_table(study), cells_table(study), *further)],
        )
    )


def _inline(study: Study, metric: str) -> str:
    """Return the plot without the XML prologue, for use inside a page."""
    text = svg(main_effects_plot(study, metric))
    return text[text.index("<svg") :]


def write_plots(study: Study, folder: Path) -> list[Path]:
    """Write the main-effects plot of every metric as SVG, one file each."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for metric in study.metrics:
        file = folder / f"{metric.replace('@', '-')}.svg"
        file.write_text(svg(main_effects_plot(study, metric)), encoding="utf-8")
        files.append(file)
    return files
