"""Table of the values of one run, and the notes below it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from facebench.core.notes import group_sentences, listed
from facebench.core.tables import Cell, Column, Table
from facebench.evaluation.protocols import load_protocols
from facebench.evaluation.record import MetricResult, Run

SHOWN_REJECTED = 5
"""Number of rejected files listed for each role."""
SHOWN_IDS = 3
"""Number of metrics without a value that are listed for each reason beside the headline."""
REAL = (
    "Real: the same metric for real faces alone. Distances compare one half of the reference set with the other, "
    "verification compares all reference images"
)


def run_table(run: Run, *, show_all: bool = False) -> Table:
    """Build the table of the metrics of a run that have a value, with notes.

    Args:
        run: the run.
        show_all: whether all metrics are shown, or only the headline of the protocol.
    """
    valued = [metric for metric, result in run.metrics.items() if result.value is not None]
    shown = valued if show_all else headline_metrics(run, valued)
    columns = [Column("metric", "Metric", numeric=False), Column("value", "Value"), Column("n", "n")]
    rows = [_row(metric, run.metrics[metric]) for metric in shown]
    if any(run.metrics[metric].real is not None for metric in shown):
        columns.insert(2, Column("real", "Real", about=REAL))
        for row, metric in zip(rows, shown, strict=True):
            row.insert(2, real_cell(run.metrics[metric]))
    notes = run_notes(run, None if show_all else shown)
    if hidden := len(valued) - len(shown):
        notes.insert(
            0, f"{hidden} further metrics are in the record and the report (evaluate --all prints them)."
        )
    return Table(columns, rows, caption=f"{run.name} · {run.protocol} · {run.suite}", notes=notes)


def headline_metrics(run: Run, metrics: Sequence[str]) -> list[str]:
    """Return the headline of the run's protocol among metrics; all of them if they were selected by id."""
    protocol = load_protocols().get(run.protocol)
    return list(metrics) if protocol is None or run.suite == "custom" else protocol.headline_of(metrics)


def interval_text(result: MetricResult) -> str:
    """Format the interval as `[low, high]`; empty when there is none."""
    if result.low is None or result.high is None:
        return ""
    return f"[{result.low:.{result.decimals}f}, {result.high:.{result.decimals}f}]"


def value_text(result: MetricResult) -> str:
    """Format the value with a dagger where it has a note; "–" when there is none."""
    if result.value is None:
        return "–"
    return f"{result.value:.{result.decimals}f}{'†' if result.note else ''}"


def real_cell(result: MetricResult) -> Cell:
    """Return the value for real faces alone, with a dagger where it has a note; "–" when there is none."""
    real = result.real
    if real is None:
        return Cell("–")
    return Cell(f"{real.value:.{result.decimals}f}{'†' if real.note else ''}", real.value, title=real.note)


def count_text(result: MetricResult) -> str:
    """Format the sample sizes, such as "60 / 2,000"."""
    return " / ".join(f"{count:,}" for count in result.n.values())


def run_notes(run: Run, shown: Sequence[str] | None = None) -> list[str]:
    """Return the notes of a run: intervals, daggers, missing values, rejected files, warnings.

    Args:
        run: the run.
        shown: metrics whose notes are returned; None for all. Long lists of ids are shortened unless it is None.
    """
    valued = [metric for metric, result in run.metrics.items() if result.value is not None]
    visible = valued if shown is None else list(shown)
    words = run.generalisation()
    notes = [
        f"95 % intervals for {target}" + ("" if len(words) == 1 else f": {listed(kept, visible)}")
        for target, ids in words.items()
        if (kept := [metric for metric in ids if metric in visible])
    ]
    scales = {metric: real for metric in visible if (real := run.metrics[metric].real) is not None}
    notes += [REAL] if scales else []
    daggers = group_sentences((run.metrics[metric].note, metric) for metric in visible)
    notes += [f"† {sentence}: {listed(ids, visible)}" for sentence, ids in daggers.items()]
    small = group_sentences((real.note, metric) for metric, real in scales.items())
    notes += [f"† Real {sentence}: {listed(ids, visible)}" for sentence, ids in small.items()]
    reasons = ((result.reason, metric) for metric, result in run.metrics.items() if result.value is None)
    missing = group_sentences(reasons, whole=True)
    limit = None if shown is None else SHOWN_IDS
    everything = list(run.metrics)
    notes += [f"– no value, {reason}: {listed(ids, everything, limit)}" for reason, ids in missing.items()]
    return notes + _rejected(run) + [f"note: {warning}" for warning in run.warnings]


def run_csv(run: Run) -> str:
    """Format the values of a run as CSV: one row per metric and group, with value, interval and n."""
    numeric = ("value", "low", "high", "n", "real")
    frame = run.to_frame()
    columns = [Column(key, key, numeric=key in numeric) for key in frame.columns]
    rows = [
        [
            Cell("", None if pd.isna(value) else float(value)) if column.numeric else Cell(str(value))
            for value, column in zip(row, columns, strict=True)
        ]
        for row in frame.itertuples(index=False)
    ]
    return Table(columns, rows).csv()


def _row(metric: str, result: MetricResult) -> list[Cell]:
    return [
        Cell(f"{metric} {result.arrow}".strip(), title=result.title, key=metric),
        Cell(value_text(result), result.value, small=interval_text(result), title=result.note),
        Cell(count_text(result)),
    ]


def _rejected(run: Run) -> list[str]:
    """List the first rejected files of each role."""
    notes = []
    for role, record in run.inputs.items():
        for rejected in record.rejected[:SHOWN_REJECTED]:
            state = "not used by the face networks" if rejected.scope == "faces" else "not used"
            notes.append(f"{role}: {rejected.name} {state}: {rejected.reason} {rejected.detail}".rstrip())
        if len(record.rejected) > SHOWN_REJECTED:
            more = len(record.rejected) - SHOWN_REJECTED
            notes.append(f"{role}: {more} further files not used; the record lists all")
    return notes
