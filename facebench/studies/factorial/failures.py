"""Failures of the models of a study: groups of images over all models, and the worst groups of each model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from facebench.core.errors import InputError
from facebench.core.tables import Cell, Column, Table
from facebench.evaluation.record import GroupResult, Run
from facebench.evaluation.record_reading import load_run
from facebench.studies.factorial.effects import Study

SHOWN = 2
"""Number of metrics in the breakdown: the first metrics of the study with a better direction."""
Breakdown = Sequence[Run]
"""The models of the study in its order, all evaluated by one column."""


def read_breakdowns(study: Study, folders: Sequence[Path]) -> list[Breakdown]:
    """Return the groups of the runs of a study, and of the same models in additional folders.

    Args:
        study: the study.
        folders: folders of runs with the names of the runs of the study, evaluated with `--by`.

    Raises:
        InputError: a run is missing, was evaluated without `--by`, or by a different column.
    """
    breakdowns: list[Breakdown] = [study.runs] if all(run.groups for run in study.runs) else []
    breakdowns += [[load_run(folder / run.name) for run in study.runs] for folder in folders]
    for runs in breakdowns:
        for run in runs:
            if not run.groups:
                raise InputError(f"{run.name} has no groups. Evaluate it with --by COLUMN.")
            if _column(run) != _column(runs[0]):
                raise InputError(
                    f"{run.name} was evaluated by {_column(run)}, {runs[0].name} by {_column(runs[0])}. "
                    "Evaluate all models of a study by the same column."
                )
    return breakdowns


def failure_tables(study: Study, breakdowns: Sequence[Breakdown]) -> list[Table]:
    """Return a table of all groups, then for each metric a table of the worst groups of every model."""
    metrics = [metric for metric in study.metrics if study.result(metric).better != "neither"][:SHOWN]
    if not breakdowns or not metrics:
        return []
    return [_groups(study, breakdowns, metrics), *(_models(study, breakdowns, metric) for metric in metrics)]


def _groups(study: Study, breakdowns: Sequence[Breakdown], metrics: Sequence[str]) -> Table:
    """Return one row per group: the mean over the models, and the worst model."""
    columns = [Column("group", "Group", numeric=False), Column("n", "n")]
    for metric in metrics:
        result = study.result(metric)
        columns.append(Column(metric, f"{metric} {result.arrow}".strip(), about=result.title))
        columns.append(Column(f"worst_{metric}", "worst model", numeric=False))
    rows: list[list[Cell]] = []
    breaks: list[int] = []
    for runs in breakdowns:
        breaks.append(len(rows))
        for group in dict.fromkeys(group for run in runs for group in run.groups):
            cells = [cell for metric in metrics for cell in _over_models(runs, group, metric)]
            size = max(_size(run.groups.get(group, {})) for run in runs)
            rows.append([Cell(group), Cell(f"{size:,}", float(size)), *cells])
    notes = [f"Mean over {len(study.runs)} models, without models that lack a value; n: images of one model."]
    return Table(columns, rows, caption="Where models fail", notes=notes, breaks=breaks[1:])


def _over_models(runs: Breakdown, group: str, metric: str) -> list[Cell]:
    results = {run.name: run.groups.get(group, {}).get(metric) for run in runs}
    known = {name: result for name, result in results.items() if result and result.value is not None}
    if not known:
        reason = next((result.reason for result in results.values() if result), "not measured")
        return [Cell("–", title=reason), Cell("–", title=reason)]
    worst = max(known, key=lambda name: _badness(known[name]))
    mean = float(np.mean([result.value for result in known.values()]))
    return [Cell(f"{mean:.{known[worst].decimals}f}", mean), Cell(f"{worst} {_text(known[worst])}")]


def _models(study: Study, breakdowns: Sequence[Breakdown], metric: str) -> Table:
    """Return one row per model: its worst group by every column."""
    columns = [Column("model", "Model", numeric=False)]
    columns += [Column(_column(runs[0]), f"worst {_column(runs[0])}", numeric=False) for runs in breakdowns]
    rows = [
        [Cell(run.name), *(_worst_group(runs[place], metric) for runs in breakdowns)]
        for place, run in enumerate(study.runs)
    ]
    notes = ["* differs from all images of the model: p < 0.05, corrected over the groups (Holm)."]
    arrow = study.result(metric).arrow
    return Table(columns, rows, caption=f"Where each model fails: {metric} {arrow}".strip(), notes=notes)


def _worst_group(run: Run, metric: str) -> Cell:
    results = {group: by_metric[metric] for group, by_metric in run.groups.items() if metric in by_metric}
    known = {group: result for group, result in results.items() if result.value is not None}
    if not known:
        return Cell("–", title=next((result.reason for result in results.values()), "not measured"))
    worst = max(known, key=lambda group: _badness(known[group]))
    star = "*" if known[worst].differs else ""
    return Cell(f"{worst.partition('=')[2]} {_text(known[worst])}{star}", known[worst].value)


def _badness(result: GroupResult) -> float:
    value = result.value or 0.0
    return -value if result.better == "higher" else value


def _text(result: GroupResult) -> str:
    return f"{result.value:.{result.decimals}f}"


def _size(results: Mapping[str, GroupResult]) -> int:
    return max((result.n.get("generated", 0) for result in results.values()), default=0)


def _column(run: Run) -> str:
    return next(iter(run.groups), "").partition("=")[0]
