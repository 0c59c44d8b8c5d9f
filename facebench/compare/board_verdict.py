"""Verdict on a board in one sentence: which models are best, and how the first differs from the second."""

from __future__ import annotations

from facebench.compare.board import Board, Model
from facebench.compare.board_table import RankedTable
from facebench.compare.verdict import verdict

SHOWN = 3
"""Number of models that are named."""


def board_verdict(board: Board) -> str:
    """Return the verdict by the metric that sorts the board; empty for one model, or where nothing sorts it.

    Example:
        "quality · compact: ours is best by fd_lite0; ours: better than theirs on 6 of 8 metrics, worse on none"
    """
    metric, models = board.sorted_by, board.models
    if metric is None or len(models) < 2 or board.result(metric).better == "neither":
        return ""
    table = board.table()
    best = [name for name in dict.fromkeys(table.best(metric)) if name in {model.name for model in models}]
    order = [name for name in _order(table) if name in {model.name for model in models}]
    if not best:
        return ""
    run = board.runs[0]
    start = f"{run.protocol} · {run.suite}:"
    if len(best) > 1:
        return (
            f"{start} by {metric}, {_named(best)} cannot be distinguished from the best{_lead(board, order)}"
        )
    return f"{start} {best[0]} is best by {metric}{_lead(board, order)}"


def _order(table: RankedTable) -> list[str]:
    """Names of the models in the order of the table."""
    place = next(index for index, column in enumerate(table.columns) if column.key == "model")
    return [row[place].text for row in table.rows]


def _lead(board: Board, order: list[str]) -> str:
    """How the first model differs from the second over the headline metrics; empty without replicates to compare."""
    by_name = {model.name: model for model in board.models}
    first, second = (by_name[name] for name in order[:2])
    if not _single(first) or not _single(second) or first.name == second.name:
        return ""
    joint = verdict(first.newest, second.newest)
    if joint.total == 0:
        return ""
    return f"; {first.name}: {joint}"


def _single(model: Model) -> bool:
    return len(model.replicates) == 1


def _named(names: list[str]) -> str:
    shown = names[:SHOWN]
    more = len(names) - len(shown)
    if more:
        return f"{', '.join(shown)} and {more} more"
    return f"{', '.join(shown[:-1])} and {shown[-1]}"
