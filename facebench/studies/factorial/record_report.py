"""Files of a factorial study of one record: page, curves as PNG and SVG, tables as CSV and LaTeX."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from facebench.core.files import atomic_write_bytes, atomic_write_text
from facebench.core.html import environment, translated_page
from facebench.core.language import languages, use_language
from facebench.core.tables import Table, encode_csv
from facebench.studies.factorial.record_cells import RecordStudy
from facebench.studies.factorial.record_tables import (
    cells_rows,
    curve_means,
    curves_table,
    effects_rows,
    is_affect_error,
    metric_name,
    record_sentences,
    texts,
    trainings_table,
    worst_tables,
)
from facebench.studies.factorial.report import main_effects_plot, svg

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "0.9",
    "font.size": 9,
    "svg.hashsalt": "facebench",
}
DPI = 200
_DASHES = ("-", "--", "-.", ":")
_WORST = 2
"""Number of metrics with tables of the worst people, targets and cells, where no metric is an affect error."""


def curve_metrics(record: RecordStudy) -> list[str]:
    """Metrics that are drawn by target: |Δ valence| and |Δ arousal|, or the first two metrics without them."""
    found = [metric for metric in record.study.metrics if is_affect_error(metric)]
    return found or list(record.study.metrics)[:_WORST]


def curves_plot(record: RecordStudy, metric: str) -> Figure:
    """Draw one metric by target, one curve per cell; one panel per level of the first factor.

    Colours are levels of the second and third factor, line styles those of the further ones.
    """
    study = record.study
    first, *other = study.levels
    panels = study.levels[first]
    means, labels = curve_means(record, metric), record.target_labels
    colours, dashes = _combinations(record, other[:2]), _combinations(record, other[2:])
    width = max(3.2, 0.22 * len(labels) + 1.6)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width * len(panels) + 2.2, 3.4), layout="constrained")
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        palette = mpl.colormaps["turbo"](np.linspace(0.08, 0.92, max(len(colours), 1)))
        for panel, level in zip(axes, panels, strict=True):
            for place, run in enumerate(study.runs):
                if run.tags[first] != level:
                    continue
                colour = palette[colours.index(tuple(run.tags[factor] for factor in other[:2]))]
                dash = _DASHES[dashes.index(tuple(run.tags[factor] for factor in other[2:])) % len(_DASHES)]
                label = "-".join(run.tags[factor] for factor in other) or run.name
                panel.plot(
                    means[place], dash, color=colour, linewidth=1, marker=".", markersize=3, label=label
                )
            panel.set_title(f"{first} = {level}", fontsize=9)
            panel.set_xticks(range(len(labels)), labels, rotation=90, fontsize=7)
        axes[0].set_ylabel(_symbol(metric))
        axes[0].set_ylim(bottom=0 if is_affect_error(metric) else None)
        handles, names = axes[0].get_legend_handles_labels()
        title = "-".join(other) or None
        figure.legend(
            handles, names, loc="outside right center", fontsize=6.5, title=title, title_fontsize=6.5
        )
    return figure


def study_page(record: RecordStudy, lang: str = "en") -> str:
    """Return the study as one self-contained HTML page."""
    with use_language(lang):
        return translated_page(_page(record, lang))


def _page(record: RecordStudy, lang: str) -> str:
    study, text = record.study, texts(lang)
    curves = []
    first = next(iter(study.levels))
    for metric in curve_metrics(record):
        caption = text["curves"].format(metric=metric_name(study, metric, lang))
        note = text["curves_note"].format(people=len(record.people), factor=first)
        curves.append((caption, note, Markup(_svg_element(curves_plot(record, metric)))))
    plots = []
    for metric in study.metrics:
        note = text["plot_note"].format(metric=metric_name(study, metric, lang))
        plots.append((note, Markup(_svg_element(main_effects_plot(study, metric)))))
    tables: list[Table] = [effects_rows(record, lang)]
    for metric in curve_metrics(record):
        tables += worst_tables(record, metric, lang).values()
    tables.append(cells_rows(record, lang))
    images = max(each.pairs for each in record.values.values()) * len(study.runs)
    images *= len(record.trainings)
    intro = text["intro" if len(record.trainings) == 1 else "intro_trainings"].format(
        cells=len(study.runs),
        people=len(record.people),
        targets=len(record.targets),
        images=f"{images:,}",
        trainings=len(record.trainings),
    )
    return (
        environment("facebench.studies.factorial")
        .get_template("factorial_record.html")
        .render(
            lang=lang,
            title=text["title"].format(name=record.record.name),
            intro=intro,
            sentences=record_sentences(record, lang),
            curves=curves,
            plots=plots,
            tables=[Markup(table.html()) for table in tables],
        )
    )


def write_study(record: RecordStudy, folder: Path, langs: Sequence[str] | None = None) -> list[Path]:
    """Write all files of the study; return their paths, the pages first.

    Pages, LaTeX tables and sentences exist in every language; their names end in `.LANG` before the suffix, except in
    English. Figures and CSV files hold ids and symbols only and exist once.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for lang in langs or languages():
        mark = "" if lang == "en" else f".{lang}"
        written.append(_text(folder / f"study{mark}.html", study_page(record, lang)))
        written.append(
            _text(folder / f"sentences{mark}.txt", "\n".join(record_sentences(record, lang)) + "\n")
        )
        for name, table in (("effects", effects_rows(record, lang)), ("cells", cells_rows(record, lang))):
            written.append(_text(folder / f"{name}{mark}.tex", table.latex()))
        for metric in curve_metrics(record):
            for kind, table in worst_tables(record, metric, lang).items():
                written.append(_text(folder / f"worst-{kind}-{_file(metric)}{mark}.tex", table.latex()))
    tables = {"effects": effects_rows(record), "cells": cells_rows(record), "curves": curves_table(record)}
    if len(record.trainings) > 1:
        tables["trainings"] = trainings_table(record)
    for metric in curve_metrics(record):
        tables |= {
            f"worst-{kind}-{_file(metric)}": table for kind, table in worst_tables(record, metric).items()
        }
        figure = curves_plot(record, metric)
        written += _figure(figure, folder / f"curves-{_file(metric)}")
    for metric in record.study.metrics:
        written += _figure(main_effects_plot(record.study, metric), folder / f"effects-{_file(metric)}")
    for name, table in tables.items():
        atomic_write_bytes(folder / f"{name}.csv", encode_csv(table.csv()))
        written.append(folder / f"{name}.csv")
    return written


def _combinations(record: RecordStudy, factors: Sequence[str]) -> list[tuple[str, ...]]:
    return list(dict.fromkeys(tuple(run.tags[factor] for factor in factors) for run in record.study.runs))


def _symbol(metric: str) -> str:
    dimension = metric.partition("_error_")
    if is_affect_error(metric):
        return f"|Δ {dimension[0]}| ({dimension[2]})"
    return metric


def _figure(figure: Figure, path: Path) -> list[Path]:
    """Write a figure as PNG and SVG."""
    stream = io.BytesIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(stream, format="png", dpi=DPI, metadata={"Software": None})
    atomic_write_bytes(path.with_name(f"{path.name}.png"), stream.getvalue())
    atomic_write_text(path.with_name(f"{path.name}.svg"), svg(figure))
    return [path.with_name(f"{path.name}{suffix}") for suffix in (".png", ".svg")]


def _svg_element(figure: Figure) -> str:
    """Return a figure as SVG without the XML prologue, for use inside a page."""
    text = svg(figure)
    return text[text.index("<svg") :]


def _file(metric: str) -> str:
    return metric.replace("@", "-")


def _text(path: Path, content: str) -> Path:
    atomic_write_text(path, content)
    return path
