"""Which group of a breakdown is best at a metric, and how its number is written."""

from __future__ import annotations

from facebench.core.tables import Mark
from facebench.evaluation.record import GroupResult, Run

SHOWN = 3
"""Best and worst groups named for each metric."""


def ranked(run: Run, metric: str) -> list[str]:
    """Groups that have a value, best first; highest first where no direction is better."""
    sign = 1 if run.metrics[metric].better == "lower" else -1
    values = {name: results[metric].value for name, results in run.groups.items() if metric in results}
    valued = {name: value for name, value in values.items() if value is not None}
    return sorted(valued, key=lambda name: sign * valued[name])


def marks(run: Run, metric: str) -> dict[str, Mark]:
    """The best and the second group, where one direction is better and there are two."""
    order = ranked(run, metric)
    if run.metrics[metric].better == "neither" or len(order) < 2:
        return {}
    return {order[0]: "best", order[1]: "second"}


def extremes(run: Run, metric: str) -> tuple[str, str]:
    """The few worst and the few best groups with their numbers, the most extreme first; "–" where all are alike."""
    order = ranked(run, metric)
    alike = len({run.groups[name][metric].value for name in order}) == 1
    count = 0 if alike else min(SHOWN, (len(order) + 1) // 2)
    named = [f"{name.partition('=')[2]} {number(run.groups[name][metric])}" for name in order]
    return ", ".join(named[::-1][:count]) or "–", ", ".join(named[:count]) or "–"


def number(result: GroupResult) -> str:
    """The value of a group, with a star where it differs from that of the whole set."""
    return f"{result.value:.{result.decimals}f}{'*' if result.differs else ''}"
