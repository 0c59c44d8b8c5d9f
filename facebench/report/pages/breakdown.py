"""Tables of a breakdown on the report page, in the language of the page."""

from __future__ import annotations

from typing import Any

from facebench.compare.breakdown_tables import extreme_groups, group_marks, group_value, ranked_groups
from facebench.core.tables import Cell, Column, Mark, Table
from facebench.evaluation.record import GroupResult, Run
from facebench.evaluation.run_table import interval_text


def breakdown_tables(run: Run, text: dict[str, Any]) -> list[Table]:
    """Build the table of extreme groups and the table of all groups; an empty list for a run without groups."""
    if not run.groups:
        return []
    return [_extremes(run, text), _all_groups(run, text)]


def _extremes(run: Run, text: dict[str, Any]) -> Table:
    keys = ("metric", "all", "worst", "best", "differ")
    columns = [Column(key, text[key], numeric=key in ("all", "differ")) for key in keys]
    rows = []
    for metric, whole in run.metrics.items():
        groups = ranked_groups(run, metric)
        if whole.value is None or not groups:
            continue
        results = [run.groups[name][metric] for name in groups]
        differing = sum(result.differs for result in results)
        tested = any(result.p is not None for result in results)
        worst, best = extreme_groups(run, metric)
        count = text["of"].format(part=differing, whole=len(groups))
        rows.append(
            [
                Cell(f"{metric} {whole.arrow}".strip(), small=whole.title),
                Cell(f"{whole.value:.{whole.decimals}f}", whole.value),
                Cell(worst),
                Cell(best),
                Cell(count, float(differing)) if tested else Cell("–", title=text["not_tested"]),
            ]
        )
    return Table(columns, rows, caption=f"{run.name} · {_column_name(run)}", notes=[text["star"]])


def _all_groups(run: Run, text: dict[str, Any]) -> Table:
    columns = [Column("group", _column_name(run), numeric=False), Column("n", "n")]
    columns += [
        Column(metric, f"{metric} {result.arrow}".strip(), about=result.title)
        for metric, result in run.metrics.items()
    ]
    marks = {metric: group_marks(run, metric) for metric in run.metrics}
    rows = []
    for name, results in run.groups.items():
        n = max((result.n.get("generated", 0) for result in results.values()), default=0)
        cells = [_cell(results.get(metric), marks[metric].get(name, "")) for metric in run.metrics]
        rows.append([Cell(name.partition("=")[2]), Cell(f"{n:,}", float(n)), *cells])
    notes = [text["star"], *_untested_note(run, text)]
    return Table(columns, rows, caption=f"{run.name} · {_column_name(run)}", notes=notes)


def _untested_note(run: Run, text: dict[str, Any]) -> list[str]:
    size_dependent = [metric for metric, result in run.metrics.items() if result.depends_on_n]
    return [text["untested_n"].format(metrics=", ".join(size_dependent))] if size_dependent else []


def _column_name(run: Run) -> str:
    """The manifest column of the groups, which are named column=value."""
    return next(iter(run.groups)).partition("=")[0]


def _cell(result: GroupResult | None, mark: Mark) -> Cell:
    if result is None or result.value is None:
        return Cell("–", title="" if result is None else result.reason)
    dagger = "†" if result.note else ""
    return Cell(
        group_value(result) + dagger,
        result.value,
        small=interval_text(result),
        mark=mark,
        title=result.note,
    )
