"""Tables of a breakdown: every group, and for every metric the best and the worst ones."""

from __future__ import annotations

from facebench.compare.board import interval_text
from facebench.compare.breakdown_ranks import extremes, marks, number, ranked
from facebench.core.tables import Cell, Column, Mark, Table
from facebench.evaluation.record import GroupResult, Run


def group_table(run: Run) -> Table:
    """One row per group, best of each column in bold and second underlined; the whole set first."""
    columns = [Column("group", "Group", numeric=False), Column("n", "n")]
    columns += [
        Column(metric, f"{metric} {result.arrow}".strip(), about=result.title)
        for metric, result in run.metrics.items()
    ]
    size = run.inputs["generated"].images
    whole = [Cell("all"), Cell(f"{size:,}", float(size))]
    whole += [
        Cell("–", title=r.reason) if r.value is None else Cell(f"{r.value:.{r.decimals}f}", r.value)
        for r in run.metrics.values()
    ]
    marked = {metric: marks(run, metric) for metric in run.metrics}
    rows = [whole]
    for name, results in run.groups.items():
        count = max((result.n.get("generated", 0) for result in results.values()), default=0)
        cells = [_cell(result, marked[metric].get(name, "")) for metric, result in results.items()]
        rows.append([Cell(name), Cell(f"{count:,}", float(count)), *cells])
    return Table(columns, rows, caption=f"{run.name} · {run.protocol} · by group", notes=_notes(run))


def extremes_table(run: Run) -> Table:
    """For each metric the worst and best groups, and how many differ from the whole set."""
    columns = [
        Column("metric", "Metric", numeric=False),
        Column("all", "All"),
        Column("worst", "Worst groups", numeric=False),
        Column("best", "Best groups", numeric=False),
        Column("differ", "Differ"),
    ]
    rows = []
    for metric, whole in run.metrics.items():
        order = ranked(run, metric)
        if whole.value is None or not order:
            continue
        results = [run.groups[name][metric] for name in order]
        differ = sum(result.differs for result in results)
        worst, best = extremes(run, metric)
        tested = any(result.p is not None for result in results)
        rows.append(
            [
                Cell(f"{metric} {whole.arrow}".strip()),
                Cell(f"{whole.value:.{whole.decimals}f}", whole.value),
                Cell(worst),
                Cell(best),
                Cell(f"{differ} of {len(order)}", float(differ)) if tested else Cell("–"),
            ]
        )
    column = next(iter(run.groups)).partition("=")[0]
    return Table(columns, rows, caption=f"by {column}: {len(run.groups)} groups", notes=_notes(run))


def _cell(result: GroupResult, mark: Mark) -> Cell:
    if result.value is None:
        return Cell("–", title=result.reason)
    return Cell(number(result), result.value, small=interval_text(result), mark=mark, title=result.note)


def _notes(run: Run) -> list[str]:
    notes = ["* differs from all images together: p < 0.05, corrected over the groups of the metric (Holm)."]
    drifting = [metric for metric, result in run.metrics.items() if result.depends_on_n]
    if drifting:
        notes.append(
            f"Not tested, because they depend on the number of images: {', '.join(drifting)}. "
            "Compare them only between groups of equal size."
        )
    small = [
        name
        for name, results in run.groups.items()
        if any("in this group" in result.reason for result in results.values())
    ]
    if small:
        shown = ", ".join(small[:5]) + (f" and {len(small) - 5} more" if len(small) > 5 else "")
        notes.append(f"Too few images for numbers: {shown}.")
    return notes
