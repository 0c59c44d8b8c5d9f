"""Tables of a breakdown: every group, and for every metric the best and the worst ones."""

from __future__ import annotations

from facebench.board_table import interval_text
from facebench.report.table import Cell, Column, Mark, Table
from facebench.results import GroupResult, Run

SHOWN = 3
"""Best and worst groups named for each metric."""


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
    marks = {metric: _marks(run, metric) for metric in run.metrics}
    rows = [whole]
    for name, results in run.groups.items():
        count = max((result.n.get("generated", 0) for result in results.values()), default=0)
        cells = [_cell(result, marks[metric].get(name, "")) for metric, result in results.items()]
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
        ranked = _ranked(run, metric)
        if whole.value is None or not ranked:
            continue
        results = [run.groups[name][metric] for name in ranked]
        differ = sum(result.differs for result in results)
        shown = min(SHOWN, (len(ranked) + 1) // 2)
        texts = [f"{name.partition('=')[2]} {_text(r)}" for name, r in zip(ranked, results, strict=True)]
        tested = any(result.p is not None for result in results)
        rows.append(
            [
                Cell(f"{metric} {whole.arrow}".strip()),
                Cell(f"{whole.value:.{whole.decimals}f}", whole.value),
                Cell(", ".join(reversed(texts[-shown:]))),
                Cell(", ".join(texts[:shown])),
                Cell(f"{differ} of {len(ranked)}", float(differ)) if tested else Cell("–"),
            ]
        )
    column = next(iter(run.groups)).partition("=")[0]
    return Table(columns, rows, caption=f"by {column}: {len(run.groups)} groups", notes=_notes(run))


def _ranked(run: Run, metric: str) -> list[str]:
    """Groups that have a value, best first; highest first where no direction is better."""
    sign = 1 if run.metrics[metric].better == "lower" else -1
    valued = {
        name: value for name, results in run.groups.items() if (value := results[metric].value) is not None
    }
    return sorted(valued, key=lambda name: sign * valued[name])


def _marks(run: Run, metric: str) -> dict[str, Mark]:
    ranked = _ranked(run, metric)
    if run.metrics[metric].better == "neither" or len(ranked) < 2:
        return {}
    return {ranked[0]: "best", ranked[1]: "second"}


def _text(result: GroupResult) -> str:
    return f"{result.value:.{result.decimals}f}{'*' if result.differs else ''}"


def _cell(result: GroupResult, mark: Mark) -> Cell:
    if result.value is None:
        return Cell("–", title=result.reason)
    return Cell(_text(result), result.value, small=interval_text(result), mark=mark, title=result.note)


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
