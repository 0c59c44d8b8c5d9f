"""Results of a run as the plain values that other tools store."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from facebench.evaluation.record import MetricResult, Run


def valued_results(run: Run) -> dict[str, MetricResult]:
    """Return the results that have a value, by metric id."""
    return {metric: result for metric, result in run.metrics.items() if result.value is not None}


def scalars(run: Run) -> dict[str, float]:
    """Return values and ends of intervals by name: `fd_lite0`, `fd_lite0/low` and `fd_lite0/high`."""
    numbers = {}
    for metric, result in valued_results(run).items():
        ends: Mapping[str, float | None] = {
            metric: result.value,
            f"{metric}/low": result.low,
            f"{metric}/high": result.high,
        }
        numbers.update({name: float(number) for name, number in ends.items() if number is not None})
    return numbers


def properties(run: Run) -> dict[str, str]:
    """Return the tags of a run, and what identifies its evaluation."""
    images = run.inputs["generated"]
    return {
        **run.tags,
        "protocol": run.protocol,
        "suite": run.suite,
        "facebench": run.facebench.version,
        "created": run.created.isoformat(),
        "images": str(images.images),
        "images_digest": images.digest,
    }


def result_rows(run: Run) -> pd.DataFrame:
    """Return one row for each metric with a value: id, title, value, interval, better direction, n and note."""
    rows = [
        {
            "metric": metric,
            "title": result.title,
            "value": result.value,
            "low": result.low,
            "high": result.high,
            "better": result.better,
            "n": result.n.get("generated"),
            "note": result.note,
        }
        for metric, result in valued_results(run).items()
    ]
    return pd.DataFrame(rows)
