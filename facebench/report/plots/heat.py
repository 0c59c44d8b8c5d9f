"""Heat maps of per-image metrics by person and expression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from facebench.compare.metric_names import metric_name
from facebench.evaluation.record import MetricResult, Run
from facebench.report.image_metrics import image_metrics

MAX_ROWS = 20
MAX_COLUMNS = 12
PERSON, EXPRESSION = "identity", "expression"


@dataclass(frozen=True)
class HeatCell:
    """Mean over the images of a cell, compared with the mean over all images.

    Attributes:
        text: the mean as text; empty for a cell without images.
        number: the mean.
        count: number of images.
        verdict: "better" or "worse" than all images; empty when equal.
        strength: size of the difference, in percent of the largest difference in the map.
    """

    text: str
    number: float | None = None
    count: int = 0
    verdict: str = ""
    strength: int = 0


@dataclass(frozen=True)
class HeatMap:
    """People by expressions for one metric, or groups by metrics.

    Attributes:
        metric: the metric; empty for groups by metrics.
        title: title of the metric.
        columns: headings.
        rows: name and cells of each row; the last row is all groups.
        note: number of rows and columns left out.
        crossed: whether the rows are people and the columns expressions; the first column is all expressions.
    """

    metric: str
    title: str
    columns: list[str]
    rows: list[tuple[str, list[HeatCell]]]
    note: str
    crossed: bool


def heat_maps(run: Run, text: dict[str, Any]) -> list[HeatMap]:
    """Build one map of people by expressions per metric, or one map of the groups that the manifest has."""
    table = run.per_image
    metrics = image_metrics(run)
    if table is None or not metrics:
        return []
    generated = table[table["role"] == "generated"].set_index("image")
    people, expressions = _groups(generated, PERSON), _groups(generated, EXPRESSION)
    if people is not None and expressions is not None:
        return [_crossed(run, m, values, people, expressions, text) for m, values in metrics.items()]
    groups = people if people is not None else expressions
    return [] if groups is None else [_by_metric(run, metrics, groups, text)]


def _groups(generated: pd.DataFrame, column: str) -> pd.Series[str] | None:
    """The group of every image; None unless at least two groups have two images each."""
    if column not in generated:
        return None
    names = generated[column].replace("", pd.NA).dropna().astype(str)
    sizes = names.value_counts()
    return names if (sizes >= 2).sum() >= 2 else None


def _crossed(
    run: Run,
    metric: str,
    values: pd.Series[float],
    people: pd.Series[str],
    expressions: pd.Series[str],
    text: dict[str, Any],
) -> HeatMap:
    frame = pd.DataFrame({"number": values, "row": people, "column": expressions}).dropna()
    result = run.metrics[metric]
    rows, left_out = _worst(frame, "row", result)
    common = frame["column"].value_counts()
    columns = sorted(common.index[:MAX_COLUMNS])
    hidden = len(common) - len(columns)
    scale = _Scale(frame, ["row", "column"], result)
    cells = [
        (name, [scale.cell(frame, row=name), *(scale.cell(frame, row=name, column=c) for c in columns)])
        for name in rows
    ]
    totals = [scale.cell(frame), *(scale.cell(frame, column=c) for c in columns)]
    notes = [text["heat_left_out"].format(count=left_out)] if left_out else []
    notes += [text["heat_columns_left_out"].format(count=hidden)] if hidden > 0 else []
    return HeatMap(
        metric=f"{metric_name(metric)} {result.arrow}".strip(),
        title=result.title,
        columns=[text["all"], *columns],
        rows=[*cells, (text["all"], totals)],
        note=" ".join(notes),
        crossed=True,
    )


def _by_metric(
    run: Run, metrics: dict[str, pd.Series[float]], groups: pd.Series[str], text: dict[str, Any]
) -> HeatMap:
    """Map with groups in rows and metrics in columns; groups that are worst by the first metric come first."""
    frames = {m: pd.DataFrame({"number": values, "row": groups}).dropna() for m, values in metrics.items()}
    first = next(iter(metrics))
    rows, left_out = _worst(frames[first], "row", run.metrics[first])
    scales = {m: _Scale(frame, ["row"], run.metrics[m]) for m, frame in frames.items()}
    cells = [(name, [scales[m].cell(frames[m], row=name) for m in metrics]) for name in rows]
    return HeatMap(
        metric="",
        title="",
        columns=[f"{metric_name(metric)} {run.metrics[metric].arrow}" for metric in metrics],
        rows=[*cells, (text["all"], [scales[m].cell(frames[m]) for m in metrics])],
        note=text["heat_left_out"].format(count=left_out) if left_out else "",
        crossed=False,
    )


def _worst(frame: pd.DataFrame, group: str, result: MetricResult) -> tuple[list[str], int]:
    """Names of the worst groups, worst first, and the number of groups left out."""
    means = (
        frame.groupby(group)["number"].mean().sort_values(ascending=result.better == "higher", kind="stable")
    )
    return [str(name) for name in means.index[:MAX_ROWS]], max(0, len(means) - MAX_ROWS)


class _Scale:
    """Colour scale of one metric: difference from the mean of all images, relative to the largest difference."""

    def __init__(self, frame: pd.DataFrame, by: Sequence[str], result: MetricResult) -> None:
        self.result = result
        self.mean = float(frame["number"].mean())
        self.sign = 1.0 if result.better == "higher" else -1.0
        self.largest = float((frame.groupby(list(by))["number"].mean() - self.mean).abs().max())

    def cell(self, frame: pd.DataFrame, **groups: str) -> HeatCell:
        """Return the mean over the images of some groups, given as column=name."""
        for column, name in groups.items():
            frame = frame[frame[column] == name]
        if frame.empty:
            return HeatCell("")
        value = float(frame["number"].mean())
        improvement = self.sign * (value - self.mean)
        strength = round(100 * min(1.0, abs(improvement) / self.largest)) if self.largest > 0 else 0
        verdict = "" if strength == 0 else "better" if improvement > 0 else "worse"
        return HeatCell(f"{value:.{self.result.decimals}f}", value, len(frame), verdict, strength)
