"""Table of the differences of a run from a baseline, with the verdict on every metric."""

from __future__ import annotations

from facebench.compare.comparability import reasons_not_comparable
from facebench.compare.difference import difference
from facebench.compare.verdict import verdict
from facebench.core.errors import InputError
from facebench.core.tables import Cell, Column, Table
from facebench.evaluation.record import MetricResult, Run
from facebench.evaluation.run_table import headline_metrics, interval_text, value_text

_RESULTS = {
    "better": "▲ better",
    "worse": "▼ worse",
    "changed": "changed",
    "same": "no clear difference",
    "untested": "no interval",
}


def difference_table(run: Run, baseline: Run, *, show_all: bool = False) -> Table:
    """Build the table: both values, the difference with its 95 % interval, and the result of the comparison.

    The results of the headline metrics are corrected together (Holm 1979), as in the verdict; those of other metrics
    are single 95 % intervals.

    Args:
        run: the run.
        baseline: the run that it is compared with.
        show_all: whether all metrics are shown, or only the headline of the protocol.

    Raises:
        InputError: the runs are not comparable.
    """
    check_comparable(run, baseline)
    joint = verdict(run, baseline)
    corrected = {metric: kind for kind in ("better", "worse", "same") for metric in getattr(joint, kind)}
    shared = [metric for metric in baseline.metrics if metric in run.metrics]
    shown = shared if show_all else headline_metrics(run, shared)
    columns = [
        Column("metric", "Metric", numeric=False),
        Column("baseline", baseline.name),
        Column("run", run.name),
        Column("difference", "Difference", about="with its 95 % interval"),
        Column("result", "Result", numeric=False),
    ]
    rows = []
    for metric in shown:
        change = difference(metric, run, baseline)
        if change is None:
            continue
        new, old = run.metrics[metric], baseline.metrics[metric]
        single = change.verdict(new.better) if change.has_interval else "untested"
        interval = f"[{change.low:+.{new.decimals}f}, {change.high:+.{new.decimals}f}]"
        rows.append(
            [
                Cell(f"{metric} {new.arrow}".strip(), title=new.title),
                _value(old),
                _value(new),
                Cell(
                    f"{change.value:+.{new.decimals}f}",
                    change.value,
                    small=interval if change.has_interval else "",
                    title=change.method,
                ),
                Cell(_RESULTS[corrected.get(metric, single)]),
            ]
        )
    notes = ["Results hold at 5 % for all headline metrics together. Brackets: 95 % interval of one number."]
    return Table(columns, rows, f"{run.name} − {baseline.name} · {run.protocol} · {run.suite}", notes)


def check_comparable(run: Run, baseline: Run) -> None:
    """Check that two runs are comparable.

    Raises:
        InputError: they are not; the message lists the reasons.
    """
    reasons = reasons_not_comparable(baseline, run)
    if reasons:
        raise InputError(
            f"{run.name} is not comparable with {baseline.name}: {'; '.join(reasons)}. "
            "Evaluate both in the same way."
        )


def _value(result: MetricResult) -> Cell:
    return Cell(value_text(result), result.value, small=interval_text(result), title=result.note)
