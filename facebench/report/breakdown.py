"""A breakdown on the page: worst and best groups of every metric, and the table of all groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from facebench.board_table import interval_text
from facebench.report.table import Cell, Column, Mark, Table
from facebench.results import GroupResult, Run

SHOWN = 3
"""Worst and best groups named for each metric."""


def breakdown_tables(run: Run, text: dict[str, Any]) -> list[Table]:
    """Extremes first, then every group; nothing for a run without groups."""
    if not run.groups:
        return []
    return [_extremes(run, text), _all_groups(run, text)]


def _extremes(run: Run, text: dict[str, Any]) -> Table:
    keys = ("metric", "all", "worst", "best", "differ")
    columns = [Column(key, text[key], numeric=key in ("all", "differ")) for key in keys]
    rows = []
    for metric, whole in run.metrics.items():
        ranked = _ranked(run, metric)
        if whole.value is None or not ranked:
            continue
        same = len({run.groups[name][metric].value for name in ranked}) == 1
        shown = 0 if same else min(SHOWN, (len(ranked) + 1) // 2)
        results = [run.groups[name][metric] for name in ranked]
        differ = sum(result.differs for result in results)
        tested = any(result.p is not None for result in results)
        names = [f"{_group(name)} {_number(r)}" for name, r in zip(ranked, results, strict=True)]
        count = text["of"].format(part=differ, whole=len(ranked))
        rows.append(
            [
                Cell(f"{metric} {whole.arrow}".strip(), small=whole.title),
                Cell(f"{whole.value:.{whole.decimals}f}", whole.value),
                Cell(", ".join(names[::-1][:shown]) or "–"),
                Cell(", ".join(names[:shown]) or "–"),
                Cell(count, float(differ)) if tested else Cell("–", title=text["not_tested"]),
            ]
        )
    return Table(columns, rows, caption=f"{run.name} · {_column(run)}", notes=[text["star"]])


def _all_groups(run: Run, text: dict[str, Any]) -> Table:
    columns = [Column("group", _column(run), numeric=False), Column("n", "n")]
    columns += [
        Column(metric, f"{metric} {result.arrow}".strip(), about=result.title)
        for metric, result in run.metrics.items()
    ]
    marks = {metric: _marks(run, metric) for metric in run.metrics}
    rows = []
    for name, results in run.groups.items():
        n = max((result.n.get("generated", 0) for result in results.values()), default=0)
        cells = [_cell(results.get(metric), marks[metric].get(name, "")) for metric in run.metrics]
        rows.append([Cell(_group(name)), Cell(f"{n:,}", float(n)), *cells])
    return Table(
        columns, rows, caption=f"{run.name} · {_column(run)}", notes=[text["star"], *_untested(run, text)]
    )


def _untested(run: Run, text: dict[str, Any]) -> Sequence[str]:
    drifting = [metric for metric, result in run.metrics.items() if result.depends_on_n]
    return [text["untested_n"].format(metrics=", ".join(drifting))] if drifting else []


def _column(run: Run) -> str:
    return next(iter(run.groups)).partition("=")[0]


def _group(name: str) -> str:
    return name.partition("=")[2]


def _ranked(run: Run, metric: str) -> list[str]:
    """Groups that have a value, best first; highest first where no direction is better."""
    sign = 1 if run.metrics[metric].better == "lower" else -1
    values = {name: results[metric].value for name, results in run.groups.items() if metric in results}
    valued = {name: value for name, value in values.items() if value is not None}
    return sorted(valued, key=lambda name: sign * valued[name])


def _marks(run: Run, metric: str) -> dict[str, Mark]:
    ranked = _ranked(run, metric)
    if run.metrics[metric].better == "neither" or len(ranked) < 2:
        return {}
    return {ranked[0]: "best", ranked[1]: "second"}


def _number(result: GroupResult) -> str:
    return f"{result.value:.{result.decimals}f}{'*' if result.differs else ''}"


def _cell(result: GroupResult | None, mark: Mark) -> Cell:
    if result is None or result.value is None:
        return Cell("–", title="" if result is None else result.reason)
    dagger = "†" if result.note else ""
    return Cell(
        _number(result) + dagger, result.value, small=interval_text(result), mark=mark, title=result.note
    )
