"""Sentences and tables of a factorial study of one record, in English and Japanese."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from facebench.core.errors import InputError
from facebench.core.language import languages
from facebench.core.page_texts import page_texts
from facebench.core.suggest import suggest
from facebench.core.tables import Cell, Column, Mark, Table
from facebench.evaluation.cards import find_card
from facebench.metrics.arrays import Floats
from facebench.studies.factorial.crossed import Mean, crossed_mean
from facebench.studies.factorial.effects import Effect, Study
from facebench.studies.factorial.record_cells import RecordStudy
from facebench.studies.factorial.trainings import mean_of_trainings, spread_of_trainings

_FILE = Path(__file__).with_name("factorial_texts.yaml")
SHOWN_WORST = 12
"""Number of rows in a table of the worst people, targets or cells."""
_FAMILIES = ("valence_error", "arousal_error", "identity_similarity")
Texts = Mapping[str, Any]


def texts(lang: str) -> Texts:
    """Return all texts of a language.

    Raises:
        InputError: the language is unknown.
    """
    if lang not in languages():
        raise InputError(f"Studies are not written in the language '{lang}'. {suggest(lang, languages())}")
    return page_texts(_FILE, lang)


def metric_name(study: Study, metric: str, lang: str = "en") -> str:
    """Return a metric in words, such as "the arousal error (EmoNet-8)"; its id where there are no words."""
    name = next((family for family in _FAMILIES if metric.startswith(f"{family}_")), None)
    if name is None:
        return metric
    network = re.search(r"\(([^()]*)\)[^()]*$", study.result(metric).title)
    words: str = texts(lang)["metrics"][name]
    if network is None:
        return words
    return str(texts(lang)["with_network"].format(metric=words, network=network[1]))


def is_affect_error(metric: str) -> bool:
    """Whether a metric is an absolute difference of valence or arousal from the target."""
    return metric.startswith(("valence_error_", "arousal_error_"))


def record_sentences(record: RecordStudy, lang: str = "en") -> list[str]:
    """Return a sentence for the best cell and for every clear effect, by metric.

    A sentence about a metric with a better direction names the level that is better:
    "AffectNet lowers the arousal error (EmoNet-8) by 0.040 [0.030, 0.050] (data, compared with FFHQ)."
    """
    study, text = record.study, texts(lang)
    lines: list[str] = []
    for metric in study.metrics:
        words = metric_name(study, metric, lang)
        best = study.best(metric)
        if best is not None:
            levels = ", ".join(f"{factor} = {best.tags[factor]}" for factor in study.levels)
            result = best.metrics[metric]
            value = _with_interval(result.value, result.low, result.high, result.decimals)
            lines.append(text["best"].format(metric=words, levels=levels, value=value))
        clear = [effect for effect in study.effects[metric] if effect.clear]
        lines += [_sentence(study, effect, words, text) for effect in clear]
        if not clear:
            lines.append(text["none"].format(metric=words))
    return [f"The {line[4:]}" if line.startswith("the ") else line for line in lines]


def _sentence(study: Study, effect: Effect, words: str, text: Texts) -> str:
    result = study.result(effect.metric)
    value, low, high = (number or 0.0 for number in (effect.value, effect.low, effect.high))
    ends = sorted(abs(end) if low * high > 0 else end for end in (low, high))
    amount = _with_interval(abs(value), ends[0], ends[1], result.decimals)
    baselines = [study.levels[factor][0] for factor in effect.factors]
    if len(effect.factors) == 2:
        keys = {
            f"{key}_{side}": each
            for key, pair in (("factor", effect.factors), ("level", effect.levels), ("baseline", baselines))
            for side, each in zip("ab", pair, strict=True)
        }
        size = text["sizes"]["larger" if value > 0 else "smaller"]
        return str(text["interaction"].format(**keys, metric=words, size=size, amount=amount))
    level, baseline = effect.levels[0], baselines[0]
    if (value > 0 and result.better == "lower") or (value < 0 and result.better == "higher"):
        level, baseline, value = baseline, level, -value
    verb = text["verbs"]["raises" if value > 0 else "lowers"]
    factor = effect.factors[0]
    return str(
        text["main"].format(
            level=level, verb=verb, metric=words, amount=amount, factor=factor, baseline=baseline
        )
    )


def effects_rows(record: RecordStudy, lang: str = "en") -> Table:
    """Return one row per effect, sorted by metric."""
    study, text = record.study, texts(lang)
    keys = ("metric", "effect", "value", "low", "high", "p")
    columns = [
        Column(key, title, numeric=key not in ("metric", "effect"))
        for key, title in zip(keys, text["effects_columns"], strict=True)
    ]
    rows: list[list[Cell]] = []
    breaks: list[int] = []
    for metric in study.metrics:
        breaks.append(len(rows))
        rows += [_effect_row(study, effect) for effect in study.effects[metric]]
    methods = dict.fromkeys(effect.method for effects in study.effects.values() for effect in effects)
    notes = [text["effects_note"], text["methods"].format(methods="; ".join(m for m in methods if m))]
    notes += [
        text["pairs_left_out"].format(metric=metric, count=f"{each.left_out:,}", pairs=f"{each.pairs:,}")
        for metric, each in record.values.items()
        if each.left_out
    ]
    notes += [text["left_out"].format(metric=m, reason=reason) for m, reason in study.left_out.items()]
    return Table(columns, rows, text["effects"], notes, breaks[1:])


def _effect_row(study: Study, effect: Effect) -> list[Cell]:
    decimals = study.result(effect.metric).decimals + 1
    parts = [
        f"{factor}: {level} − {study.levels[factor][0]}"
        for factor, level in zip(effect.factors, effect.levels, strict=True)
    ]
    mark: Mark = "best" if effect.clear else ""
    numbers = [
        Cell("–" if n is None else f"{n:+.{decimals}f}", n, title=effect.method, mark=mark if first else "")
        for first, n in ((True, effect.value), (False, effect.low), (False, effect.high))
    ]
    p = "–" if effect.p is None else f"{effect.p:.3f}" if effect.p >= 0.001 else "< 0.001"
    return [Cell(effect.metric), Cell(" × ".join(parts)), *numbers, Cell(p, effect.p)]


def cells_rows(record: RecordStudy, lang: str = "en") -> Table:
    """Return one row per cell: its levels and every metric; best in bold, second best underlined."""
    study, text = record.study, texts(lang)
    columns = [Column("model", text["cell"], numeric=False)]
    columns += [Column(f"factor_{factor}", factor, numeric=False) for factor in study.levels]
    for metric in study.metrics:
        result = study.result(metric)
        columns.append(Column(metric, f"{metric} {result.arrow}".strip(), about=result.title))
        if len(record.trainings) > 1:
            columns.append(
                Column(f"{metric}_training_sd", text["training_sd"], about=text["training_sd_about"])
            )
    marks = {metric: _marks(study, metric) for metric in study.metrics}
    rows = []
    for place, run in enumerate(study.runs):
        cells = [Cell(run.name), *(Cell(level) for level in study.cell(run))]
        for metric in study.metrics:
            result = run.metrics[metric]
            small = _interval(result.low, result.high, result.decimals)
            value = "–" if result.value is None else f"{result.value:.{result.decimals}f}"
            cells.append(Cell(value, result.value, small=small, mark=marks[metric][place]))
            if len(record.trainings) > 1:
                deviation = spread_of_trainings(record.values[metric].trained[place])
                cells.append(Cell(f"{deviation:.{result.decimals}f}", deviation))
        rows.append(cells)
    note = "cells_note" if len(record.trainings) == 1 else "cells_note_trainings"
    return Table(columns, rows, text["cells"], [text[note].format(trainings=len(record.trainings))])


def trainings_table(record: RecordStudy) -> Table:
    """Return one row per cell, training and metric: the mean over people and targets."""
    factors = list(record.study.levels)
    columns = [Column("metric", "metric", numeric=False)]
    columns += [Column(factor, factor, numeric=False) for factor in factors]
    columns += [Column("training", "training", numeric=False), Column("value", "value")]
    rows = []
    for metric, each in record.values.items():
        means = np.nanmean(each.trained, axis=(2, 3))
        for run, values in zip(record.study.runs, means, strict=True):
            levels = [Cell(run.tags[factor]) for factor in factors]
            rows += [
                [Cell(metric), *levels, Cell(training), Cell(f"{value:.6g}", float(value))]
                for training, value in zip(record.trainings, values, strict=True)
            ]
    return Table(columns, rows)


def _marks(study: Study, metric: str) -> list[Mark]:
    sign = {"higher": -1.0, "lower": 1.0, "neither": 0.0}[study.result(metric).better]
    values = [sign * (run.metrics[metric].value or 0.0) for run in study.runs]
    order = sorted(set(values))
    if sign == 0:
        return [""] * len(values)
    return ["best" if v == order[0] else "second" if v in order[1:2] else "" for v in values]


def worst_tables(record: RecordStudy, metric: str, lang: str = "en") -> dict[str, Table]:
    """Return the worst people, targets, expressions and cells by one metric, by kind; the worst come first."""
    values = record.values[metric].values
    # Mean over the cells: one value per person and target.
    overall = values.mean(axis=0)
    people = [crossed_mean(row[None]) for row in overall]
    targets = [crossed_mean(column[:, None]) for column in overall.T]
    tables = {
        "person": _worst(record, metric, "person", record.people, people, lang),
        "target": _worst(record, metric, "target", record.target_labels, targets, lang),
    }
    expressions = record.target_columns.get("expression")
    if expressions is not None and len(set(expressions)) > 1:
        names = sorted(set(expressions))
        means = [crossed_mean(overall[:, np.array(expressions) == name]) for name in names]
        tables["expression"] = _worst(record, metric, "expression", names, means, lang)
    cells = [mean_of_trainings(cell) for cell in record.values[metric].trained]
    names = [record.cell_name(place) for place in range(len(cells))]
    tables["cell"] = _worst(record, metric, "cell", names, cells, lang)
    return tables


def _worst(
    record: RecordStudy, metric: str, kind: str, names: Sequence[str], means: Sequence[Mean], lang: str
) -> Table:
    text, result = texts(lang), record.study.result(metric)
    titles, decimals = text["worst_columns"], result.decimals
    sign = 1.0 if result.better == "higher" else -1.0
    overall = float(np.nanmean([mean.value for mean in means]))
    columns = [Column(kind, titles[kind], numeric=False), Column("value", titles["value"])]
    columns += [Column("low", "2.5 %"), Column("high", "97.5 %"), Column("difference", titles["difference"])]
    order = sorted(range(len(names)), key=lambda place: sign * means[place].value)
    rows = []
    limits = find_card(metric.partition("@")[0]).range
    for place in order[:SHOWN_WORST]:
        mean = means[place].within(*limits)
        numbers = [mean.value, mean.low, mean.high]
        cells = [Cell("–" if n is None else f"{n:.{decimals}f}", n, title=mean.method) for n in numbers]
        difference = mean.value - overall
        rows.append([Cell(names[place]), *cells, Cell(f"{difference:+.{decimals}f}", difference)])
    note = text["worst_cell_note"] if kind == "cell" else text["worst_note"].format(over=text["over"][kind])
    words = metric_name(record.study, metric, lang)
    return Table(columns, rows, text["worst"].format(kind=text["worst_kinds"][kind], metric=words), [note])


def curve_means(record: RecordStudy, metric: str) -> Floats:
    """Mean over people of one metric, (cells, targets); NaN where no person has a value."""
    values = record.values[metric].values
    known = np.isfinite(values).sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.nansum(values, axis=1) / np.where(known, known, np.nan))


def curves_table(record: RecordStudy) -> Table:
    """Return one row per metric, cell and target: mean over people and its interval over people."""
    factors = list(record.study.levels)
    columns = [Column("metric", "metric", numeric=False)]
    columns += [Column(factor, factor, numeric=False) for factor in factors]
    columns += [Column("target", "target", numeric=False), Column("value", "value")]
    columns += [Column("low", "low"), Column("high", "high"), Column("people", "people")]
    rows = []
    for metric, each in record.values.items():
        for place, run in enumerate(record.study.runs):
            for target, label in enumerate(record.target_labels):
                column = each.values[place, :, target]
                known = column[np.isfinite(column)]
                if not len(known):
                    continue
                mean = crossed_mean(known[:, None]).within(*find_card(metric.partition("@")[0]).range)
                numbers = [mean.value, mean.low, mean.high, float(len(known))]
                cells = [Cell("" if n is None else f"{n:.6g}", n) for n in numbers]
                levels = [Cell(run.tags[factor]) for factor in factors]
                rows.append([Cell(metric), *levels, Cell(label), *cells])
    return Table(columns, rows)


def _with_interval(value: float | None, low: float | None, high: float | None, decimals: int) -> str:
    text = "–" if value is None else f"{value:.{decimals}f}"
    return f"{text} {_interval(low, high, decimals)}".rstrip()


def _interval(low: float | None, high: float | None, decimals: int) -> str:
    return "" if low is None or high is None else f"[{low:.{decimals}f}, {high:.{decimals}f}]"
