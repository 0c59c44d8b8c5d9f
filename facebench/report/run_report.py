"""The report page: one run, or several side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from facebench import __version__
from facebench.board_table import interval_text
from facebench.change import Change, change
from facebench.leaderboard import Board, Leaderboard
from facebench.report import gallery, plots
from facebench.report.page import environment
from facebench.report.svg import RUN_COLOURS
from facebench.report.table import Cell, Column, Table
from facebench.report.texts import texts
from facebench.results import MetricResult, Run


def report_page(runs: Sequence[Run], lang: str = "en") -> str:
    """One self-contained HTML page about one or more runs.

    Args:
        runs: the first is the one that the others are compared with; runs that may not be compared get sections
            of their own.
        lang: "en" or "ja".

    Returns:
        The page. It loads nothing from anywhere; pictures of images are embedded where the files still lie
        where they were measured.

    Raises:
        InputError: an unknown language.
    """
    text = texts(lang)
    boards = Leaderboard.from_runs(runs).boards
    return (
        environment()
        .get_template("report.html")
        .render(
            text=text,
            version=__version__,
            names=[run.name for run in runs],
            boards=[_section(board, text, f"b{place}") for place, board in enumerate(boards)],
        )
    )


@dataclass(frozen=True)
class Section:
    """What the page says about runs that may be compared."""

    runs: list[Run]
    facts: Table
    apart: str
    warnings: list[str]
    summary: Markup
    daggers: list[str]
    no_values: list[str]
    groups: list[Markup]
    comparisons: list[Comparison]
    identity: list[plots.Plot]
    quality: list[plots.Plot]
    maps: list[plots.Plot]
    galleries: list[Gallery]


@dataclass(frozen=True)
class Comparison:
    """One run against the first."""

    baseline: str
    run: str
    rows: list[ComparedRow]
    methods: list[str]


@dataclass(frozen=True)
class ComparedRow:
    """One metric of a comparison, with the geometry of its bar in percent of its width."""

    metric: str
    title: str
    baseline: Cell
    run: Cell
    change: Cell
    verdict: str
    left: float
    width: float
    dot: float


@dataclass(frozen=True)
class Gallery:
    """Images of one run."""

    run: str
    place: int
    ranked: gallery.Ranked | None
    rejected: list[gallery.RejectedRow]
    rejected_count: int


def _section(board: Board, text: dict[str, Any], prefix: str) -> Section:
    runs = board.runs
    against_n = plots.against_n_plots(runs, text, prefix)
    placed = plots.map_plot(runs, text, prefix)
    return Section(
        runs=runs,
        facts=_facts(runs, text),
        apart=text["apart"].format(reasons="; ".join(board.apart)) if board.apart else "",
        warnings=_warnings(runs, text),
        summary=Markup(_summary(board, text).html()),
        daggers=_reasons(runs, text, with_value=True),
        no_values=_reasons(runs, text, with_value=False),
        groups=[Markup(_groups(run, text).html()) for run in runs if run.groups],
        comparisons=[_comparison(runs[0], run, text) for run in runs[1:]],
        identity=plots.identity_plots(runs, text, prefix),
        quality=plots.quality_plots(runs, text, prefix),
        maps=([placed] if placed else []) + against_n,
        galleries=[_gallery(run, place) for place, run in enumerate(runs)],
    )


def _facts(runs: Sequence[Run], text: dict[str, Any]) -> Table:
    """One row per run: what was measured, when and with what."""
    keys = (
        "run",
        "images",
        "faces",
        "identities",
        "rejected_count",
        "reference_images",
        "measured",
        "measured_with",
    )
    numeric = {"images", "faces", "identities", "rejected_count", "reference_images"}
    columns = [Column(key, text[key], numeric=key in numeric) for key in keys]
    return Table(columns, [_fact_row(run, text) for run in runs])


def _fact_row(run: Run, text: dict[str, Any]) -> list[Cell]:
    generated, reference = run.inputs["generated"], run.inputs.get("reference")
    commit = f" ({run.facebench.commit})" if run.facebench.commit else ""
    return [
        Cell(run.name),
        _count(generated.images),
        Cell(text["not_looked_for"]) if generated.faces is None else _count(generated.faces),
        _count(generated.identities),
        _count(len(generated.rejected)),
        _count(None if reference is None else reference.images),
        Cell(f"{run.created:%Y-%m-%d %H:%M}"),
        Cell(
            f"facebench {run.facebench.version}", small=f"{run.environment.get('device', '')}{commit}".strip()
        ),
    ]


def _count(number: int | None) -> Cell:
    return Cell("–") if number is None else Cell(f"{number:,}", float(number))


def _warnings(runs: Sequence[Run], text: dict[str, Any]) -> list[str]:
    found = []
    for run in runs:
        found += [f"{run.name}: {warning}" for warning in run.warnings]
        unofficial = [name for name, backbone in run.backbones.items() if backbone.unofficial]
        if unofficial:
            found.append(text["unofficial"].format(name=run.name, backbones=", ".join(unofficial)))
    return found


def _summary(board: Board, text: dict[str, Any]) -> Table:
    """Metrics in rows, runs in columns: readable on a phone, however many metrics there are."""
    table = board.table()
    columns = [Column("metric", text["metric"], numeric=False)]
    if len(board.runs) == 1:
        columns += [Column("value", text["value"]), Column("n", text["rests_on"], numeric=False)]
    else:
        columns += [Column(run.name, run.name) for run in board.runs]
    rows = []
    for place, metric in enumerate(board.metrics, start=1):
        result = board.result(metric)
        row = [_name(metric, result), *(run_row[place] for run_row in table.rows)]
        rows.append([*row, Cell(_rests_on(result, text))] if len(board.runs) == 1 else row)
    return Table(columns, rows)


def _name(metric: str, result: MetricResult) -> Cell:
    return Cell(f"{metric} {result.arrow}".strip(), small=result.title)


def _rests_on(result: MetricResult, text: dict[str, Any]) -> str:
    return ", ".join(f"{count:,} {text['counts'].get(what, what)}" for what, count in result.n.items())


def _reasons(runs: Sequence[Run], text: dict[str, Any], *, with_value: bool) -> list[str]:
    """Every note, or every reason for a missing value, with the metrics it is about."""
    found: dict[str, dict[str, None]] = {}
    for run in runs:
        for metric, result in run.metrics.items():
            reason = result.note if with_value else result.reason
            if (result.value is not None) == with_value and reason:
                found.setdefault(reason, {})[metric] = None
    return [
        text["for_metrics"].format(reason=reason, metrics=", ".join(ids)) for reason, ids in found.items()
    ]


def _groups(run: Run, text: dict[str, Any]) -> Table:
    metrics = list(dict.fromkeys(metric for results in run.groups.values() for metric in results))
    columns = [
        Column("group", text["groups"], numeric=False),
        *(Column(metric, metric) for metric in metrics),
    ]
    rows = [
        [Cell(group), *(_value(results.get(metric)) for metric in metrics)]
        for group, results in run.groups.items()
    ]
    return Table(columns, rows, caption=run.name)


def _value(result: MetricResult | None) -> Cell:
    if result is None or result.value is None:
        return Cell("–", title="" if result is None else result.reason)
    dagger = "†" if result.note else ""
    text = f"{result.value:.{result.decimals}f}{dagger}"
    return Cell(text, result.value, small=interval_text(result), title=result.note)


def _comparison(baseline: Run, run: Run, text: dict[str, Any]) -> Comparison:
    moved = {metric: change(metric, run, baseline) for metric in baseline.metrics if metric in run.metrics}
    rows = [
        _compared(metric, run.metrics[metric], baseline.metrics[metric], difference)
        for metric, difference in moved.items()
        if difference is not None
    ]
    return Comparison(baseline.name, run.name, rows, _methods(moved, text))


def _methods(moved: Mapping[str, Change | None], text: dict[str, Any]) -> list[str]:
    found: dict[str, list[str]] = {}
    for metric, difference in moved.items():
        if difference is not None:
            found.setdefault(difference.method, []).append(metric)
    return [text["for_metrics"].format(reason=how, metrics=", ".join(ids)) for how, ids in found.items()]


def _compared(metric: str, new: MetricResult, old: MetricResult, moved: Change) -> ComparedRow:
    reach = 1.08 * max(abs(moved.low), abs(moved.high), abs(moved.value)) or 1.0
    left, right, dot = (50 + 50 * end / reach for end in (moved.low, moved.high, moved.value))
    ends = f"[{moved.low:+.{new.decimals}f}, {moved.high:+.{new.decimals}f}]"
    return ComparedRow(
        metric=f"{metric} {new.arrow}".strip(),
        title=new.title,
        baseline=_value(old),
        run=_value(new),
        change=Cell(f"{moved.value:+.{new.decimals}f}", moved.value, small=ends, title=moved.method),
        verdict=moved.verdict(new.better),
        left=round(left, 2),
        width=round(right - left, 2),
        dot=round(dot, 2),
    )


def _gallery(run: Run, place: int) -> Gallery:
    count = sum(len(home.rejected) for home in run.inputs.values())
    return Gallery(run.name, place % RUN_COLOURS, gallery.ranked(run), gallery.rejected(run), count)
