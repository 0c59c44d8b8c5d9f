"""The report page: one run, or several side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from facebench.compare.board import Row, laid_out
from facebench.compare.leaderboard import Board, Leaderboard
from facebench.core.tables import Cell, Column, Table
from facebench.core.version import __version__
from facebench.evaluation.protocols import TableLayout
from facebench.evaluation.record import MetricResult, Run
from facebench.report.galleries import images as gallery
from facebench.report.galleries import pairs as pair_gallery
from facebench.report.pages.breakdown import breakdown_tables
from facebench.report.pages.comparison import Comparison, comparison
from facebench.report.pages.html import environment
from facebench.report.pages.texts import texts
from facebench.report.plots import curves as plots
from facebench.report.plots import heat
from facebench.report.plots.affect import circumplex_plots
from facebench.report.plots.svg import RUN_COLOURS


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
    groups: list[list[Markup]]
    comparisons: list[Comparison]
    identity: list[plots.Plot]
    affect: list[plots.Plot]
    heat: list[Heat]
    quality: list[plots.Plot]
    maps: list[plots.Plot]
    galleries: list[Gallery]


@dataclass(frozen=True)
class Gallery:
    """Images of one run."""

    run: str
    place: int
    ranked: gallery.Ranked | None
    rankings: list[pair_gallery.Ranking]
    copies: list[pair_gallery.Copies]
    rejected: list[gallery.RejectedRow]
    rejected_count: int


@dataclass(frozen=True)
class Heat:
    """The heat maps of one run."""

    run: str
    place: int
    maps: list[heat.HeatMap]


def _section(board: Board, text: dict[str, Any], prefix: str) -> Section:
    runs = board.runs
    against_n = plots.against_n_plots(runs, text, prefix)
    return Section(
        runs=runs,
        facts=_facts(runs, text),
        apart=text["apart"].format(reasons="; ".join(board.apart)) if board.apart else "",
        warnings=_warnings(runs, text),
        summary=Markup(_summary(board, text).html()),
        daggers=_reasons(runs, text, with_value=True),
        no_values=_reasons(runs, text, with_value=False),
        groups=[
            [Markup(table.html()) for table in breakdown_tables(run, text)] for run in runs if run.groups
        ],
        comparisons=[comparison(runs[0], run, text) for run in runs[1:]],
        identity=plots.identity_plots(runs, text, prefix),
        affect=circumplex_plots(runs, text, prefix),
        heat=[
            Heat(run.name, place % RUN_COLOURS, maps)
            for place, run in enumerate(runs)
            if (maps := heat.heat_maps(run, text))
        ],
        quality=plots.quality_plots(runs, text, prefix),
        maps=plots.map_plots(runs, text, prefix) + against_n,
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
    generated = run.inputs["generated"]
    commit = f" ({run.facebench.commit})" if run.facebench.commit else ""
    return [
        Cell(run.name),
        _count(generated.images),
        Cell(text["not_looked_for"]) if generated.faces is None else _count(generated.faces),
        _count(generated.identities),
        _count(len(generated.rejected)),
        _references(run),
        Cell(f"{run.created:%Y-%m-%d %H:%M}"),
        Cell(
            f"facebench {run.facebench.version}", small=f"{run.environment.get('device', '')}{commit}".strip()
        ),
    ]


def _references(run: Run) -> Cell:
    """Sizes of the reference sets, with their names where they have any."""
    sets = plots.reference_sets([run])
    if list(sets.values()) in ([], [""]):
        return _count(run.inputs["reference"].images if sets else None)
    return Cell(", ".join(f"{name} {run.inputs[role].images:,}" for role, name in sets.items()))


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
    runs = [Row(run.name, run.tags, run.metrics) for run in board.runs]
    table = laid_out(runs, board.metrics, TableLayout(), "", [])
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


def _gallery(run: Run, place: int) -> Gallery:
    return Gallery(
        run=run.name,
        place=place % RUN_COLOURS,
        ranked=gallery.ranked(run),
        rankings=pair_gallery.rankings(run),
        copies=pair_gallery.copies(run),
        rejected=gallery.rejected(run),
        rejected_count=sum(len(home.rejected) for home in run.inputs.values()),
    )
