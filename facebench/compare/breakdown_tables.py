"""Tables of a breakdown by group: all groups, and the best and worst groups of every metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from facebench.core.tables import Cell, Column, Mark, Table
from facebench.evaluation.record import GroupResult, MetricResult, Run
from facebench.evaluation.run_table import interval_text

EXTREMES = 3
"""Number of best and of worst groups listed for each metric."""
_SMALL_GROUPS = 5
"""Number of groups without values that are listed by name."""


def group_table(run: Run, metrics: Sequence[str] | None = None) -> Table:
    """Build the table of all groups: one row per group after a row for all images.

    The best group of each column is bold and the second underlined.

    Args:
        run: a run with groups.
        metrics: metrics of the columns; None for all.
    """
    shown = _shown(run, metrics)
    columns = [Column("group", "Group", numeric=False), Column("n", "n")]
    columns += [
        Column(metric, f"{metric} {result.arrow}".strip(), about=result.title)
        for metric, result in shown.items()
    ]
    size = run.inputs["generated"].images
    all_images = [Cell("all"), Cell(f"{size:,}", float(size))]
    all_images += [
        Cell("–", title=r.reason) if r.value is None else Cell(f"{r.value:.{r.decimals}f}", r.value)
        for r in shown.values()
    ]
    marks = {metric: group_marks(run, metric) for metric in shown}
    rows = [all_images]
    for name, results in run.groups.items():
        count = max((result.n.get("generated", 0) for result in results.values()), default=0)
        cells = [_cell(results[metric], marks[metric].get(name, "")) for metric in shown]
        rows.append([Cell(name), Cell(f"{count:,}", float(count)), *cells])
    return Table(columns, rows, caption=f"{run.name} · {run.protocol} · by group", notes=_notes(run, shown))


def extremes_table(run: Run, metrics: Sequence[str] | None = None) -> Table:
    """Build the table of the worst and best groups of each metric, and how many differ from all images.

    Args:
        run: a run with groups.
        metrics: metrics of the rows; None for all.
    """
    shown = _shown(run, metrics)
    columns = [
        Column("metric", "Metric", numeric=False),
        Column("all", "All"),
        Column("worst", "Worst groups", numeric=False),
        Column("best", "Best groups", numeric=False),
        Column("differ", "Differ"),
    ]
    rows = []
    for metric, whole in shown.items():
        groups = ranked_groups(run, metric)
        if whole.value is None or not groups:
            continue
        results = [run.groups[name][metric] for name in groups]
        differing = sum(result.differs for result in results)
        worst, best = extreme_groups(run, metric)
        tested = any(result.p is not None for result in results)
        rows.append(
            [
                Cell(f"{metric} {whole.arrow}".strip(), key=metric),
                Cell(f"{whole.value:.{whole.decimals}f}", whole.value),
                Cell(worst),
                Cell(best),
                Cell(f"{differing} of {len(groups)}", float(differing)) if tested else Cell("–"),
            ]
        )
    column = next(iter(run.groups)).partition("=")[0]
    return Table(columns, rows, caption=f"by {column}: {len(run.groups)} groups", notes=_notes(run, shown))


def ranked_groups(run: Run, metric: str) -> list[str]:
    """Return the groups that have a value, best first; highest first where neither direction is better."""
    sign = 1 if run.metrics[metric].better == "lower" else -1
    values = {name: results[metric].value for name, results in run.groups.items() if metric in results}
    valued = {name: value for name, value in values.items() if value is not None}
    return sorted(valued, key=lambda name: sign * valued[name])


def group_marks(run: Run, metric: str) -> dict[str, Mark]:
    """Return the marks of the best and the second group; empty where neither direction is better."""
    groups = ranked_groups(run, metric)
    if run.metrics[metric].better == "neither" or len(groups) < 2:
        return {}
    return {groups[0]: "best", groups[1]: "second"}


def extreme_groups(run: Run, metric: str) -> tuple[str, str]:
    """Return the worst and the best groups with their values, the most extreme first; "–" when all are equal."""
    groups = ranked_groups(run, metric)
    all_equal = len({run.groups[name][metric].value for name in groups}) == 1
    count = 0 if all_equal else min(EXTREMES, (len(groups) + 1) // 2)
    texts = [f"{name.partition('=')[2]} {group_value(run.groups[name][metric])}" for name in groups]
    return ", ".join(texts[::-1][:count]) or "–", ", ".join(texts[:count]) or "–"


def group_value(result: GroupResult) -> str:
    """Format the value of a group, with a star where it differs from that of all images."""
    return f"{result.value:.{result.decimals}f}{'*' if result.differs else ''}"


def _cell(result: GroupResult, mark: Mark) -> Cell:
    if result.value is None:
        return Cell("–", title=result.reason)
    return Cell(group_value(result), result.value, small=interval_text(result), mark=mark, title=result.note)


def _shown(run: Run, metrics: Sequence[str] | None) -> dict[str, MetricResult]:
    return {metric: run.metrics[metric] for metric in (run.metrics if metrics is None else metrics)}


def _notes(run: Run, shown: Mapping[str, MetricResult]) -> list[str]:
    notes = ["* differs from all images: p < 0.05, corrected for the groups of the metric (Holm)."]
    size_dependent = [metric for metric, result in shown.items() if result.depends_on_n]
    if size_dependent:
        notes.append(
            f"Not tested, because they depend on the number of images: {', '.join(size_dependent)}. "
            "Compare them only between groups of equal size."
        )
    small = [
        name
        for name, results in run.groups.items()
        if any("in this group" in result.reason for result in results.values())
    ]
    if small:
        more = f" and {len(small) - _SMALL_GROUPS} more" if len(small) > _SMALL_GROUPS else ""
        notes.append(f"No values, too few images: {', '.join(small[:_SMALL_GROUPS])}{more}.")
    return notes
