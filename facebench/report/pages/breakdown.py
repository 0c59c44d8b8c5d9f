"""A breakdown on the page: worst and best groups of every metric, and the table of all groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from facebench.compare.board import interval_text
from facebench.compare.breakdown_ranks import extremes, marks, number, ranked
from facebench.core.tables import Cell, Column, Mark, Table
from facebench.evaluation.record import GroupResult, Run


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
        order = ranked(run, metric)
        if whole.value is None or not order:
            continue
        results = [run.groups[name][metric] for name in order]
        differ = sum(result.differs for result in results)
        tested = any(result.p is not None for result in results)
        worst, best = extremes(run, metric)
        count = text["of"].format(part=differ, whole=len(order))
        rows.append(
            [
                Cell(f"{metric} {whole.arrow}".strip(), small=whole.title),
                Cell(f"{whole.value:.{whole.decimals}f}", whole.value),
                Cell(worst),
                Cell(best),
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
    marked = {metric: marks(run, metric) for metric in run.metrics}
    rows = []
    for name, results in run.groups.items():
        n = max((result.n.get("generated", 0) for result in results.values()), default=0)
        cells = [_cell(results.get(metric), marked[metric].get(name, "")) for metric in run.metrics]
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


def _cell(result: GroupResult | None, mark: Mark) -> Cell:
    if result is None or result.value is None:
        return Cell("–", title="" if result is None else result.reason)
    dagger = "†" if result.note else ""
    return Cell(
        number(result) + dagger, result.value, small=interval_text(result), mark=mark, title=result.note
    )
