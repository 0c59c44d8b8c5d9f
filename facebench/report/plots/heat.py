"""Heat maps: which people and which expressions a model is bad at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from facebench.evaluation.record import MetricResult, Run
from facebench.report.pages.headline import headline

MOST_ROWS = 20
MOST_COLUMNS = 12
PEOPLE, EXPRESSIONS = "identity", "expression"


@dataclass(frozen=True)
class Heat:
    """One cell: a mean over some images, and how far it is from that of all."""

    text: str
    number: float | None = None
    count: int = 0
    side: str = ""
    """"better" or "worse" than all images together."""
    strength: int = 0
    """0 to 100, of the largest difference in the map."""


@dataclass(frozen=True)
class HeatMap:
    """Groups by groups, or groups by metrics; the last row holds all groups together."""

    metric: str
    title: str
    columns: list[str]
    rows: list[tuple[str, list[Heat]]]
    note: str
    crossed: bool
    """Whether the first column holds all columns together."""


def heat_maps(run: Run, text: dict[str, Any]) -> list[HeatMap]:
    """People by expressions for every metric of single images, or the one of the two that the manifest has."""
    table = run.per_image
    shown = headline(run)
    if table is None or not shown:
        return []
    own = table[table["role"] == "generated"].set_index("image")
    people, expressions = _groups(own, PEOPLE), _groups(own, EXPRESSIONS)
    if people is not None and expressions is not None:
        return [_crossed(run, m, numbers, people, expressions, text) for m, numbers in shown.items()]
    single = people if people is not None else expressions
    return [] if single is None else [_by_metric(run, shown, single, text)]


def _groups(own: pd.DataFrame, column: str) -> pd.Series[str] | None:
    """The group of every image; None unless at least two groups have two images each."""
    if column not in own:
        return None
    names = own[column].replace("", pd.NA).dropna().astype(str)
    sizes = names.value_counts()
    return names if (sizes >= 2).sum() >= 2 else None


def _crossed(
    run: Run,
    metric: str,
    numbers: pd.Series[float],
    people: pd.Series[str],
    expressions: pd.Series[str],
    text: dict[str, Any],
) -> HeatMap:
    frame = pd.DataFrame({"number": numbers, "row": people, "column": expressions}).dropna()
    result = run.metrics[metric]
    rows, left_out = _worst(frame, "row", result)
    common = frame["column"].value_counts()
    columns = sorted(common.index[:MOST_COLUMNS])
    hidden = len(common) - len(columns)
    scale = _Scale(frame, ["row", "column"], result)
    held = [
        (name, [scale.cell(frame, row=name), *(scale.cell(frame, row=name, column=c) for c in columns)])
        for name in rows
    ]
    last = [scale.cell(frame), *(scale.cell(frame, column=c) for c in columns)]
    notes = [text["heat_left_out"].format(count=left_out)] if left_out else []
    notes += [text["heat_columns_left_out"].format(count=hidden)] if hidden > 0 else []
    return HeatMap(
        metric=f"{metric} {result.arrow}".strip(),
        title=result.title,
        columns=[text["all"], *columns],
        rows=[*held, (text["all"], last)],
        note=" ".join(notes),
        crossed=True,
    )


def _by_metric(
    run: Run, shown: dict[str, pd.Series[float]], groups: pd.Series[str], text: dict[str, Any]
) -> HeatMap:
    """One row for each group and one column for each metric, worst by the first metric first."""
    frames = {m: pd.DataFrame({"number": n, "row": groups}).dropna() for m, n in shown.items()}
    first = next(iter(shown))
    rows, left_out = _worst(frames[first], "row", run.metrics[first])
    scales = {m: _Scale(frame, ["row"], run.metrics[m]) for m, frame in frames.items()}
    held = [(name, [scales[m].cell(frames[m], row=name) for m in shown]) for name in rows]
    return HeatMap(
        metric="",
        title="",
        columns=[f"{metric} {run.metrics[metric].arrow}" for metric in shown],
        rows=[*held, (text["all"], [scales[m].cell(frames[m]) for m in shown])],
        note=text["heat_left_out"].format(count=left_out) if left_out else "",
        crossed=False,
    )


def _worst(frame: pd.DataFrame, group: str, result: MetricResult) -> tuple[list[str], int]:
    """Names of the worst groups, worst first, and how many others there are."""
    means = (
        frame.groupby(group)["number"].mean().sort_values(ascending=result.better == "higher", kind="stable")
    )
    return [str(name) for name in means.index[:MOST_ROWS]], max(0, len(means) - MOST_ROWS)


class _Scale:
    """Colours of one metric: the difference from the mean of all images, over the largest one of any cell."""

    def __init__(self, frame: pd.DataFrame, by: Sequence[str], result: MetricResult) -> None:
        self.result = result
        self.mean = float(frame["number"].mean())
        self.sign = 1.0 if result.better == "higher" else -1.0
        self.largest = float((frame.groupby(list(by))["number"].mean() - self.mean).abs().max())

    def cell(self, frame: pd.DataFrame, **only: str) -> Heat:
        """The mean over the images that are in these groups."""
        for column, name in only.items():
            frame = frame[frame[column] == name]
        if frame.empty:
            return Heat("")
        value = float(frame["number"].mean())
        gain = self.sign * (value - self.mean)
        strength = round(100 * min(1.0, abs(gain) / self.largest)) if self.largest > 0 else 0
        side = "" if strength == 0 else "better" if gain > 0 else "worse"
        return Heat(f"{value:.{self.result.decimals}f}", value, len(frame), side, strength)
