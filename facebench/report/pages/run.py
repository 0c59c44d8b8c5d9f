"""Report page of one run, or of several runs side by side."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from facebench.compare.board import Board
from facebench.compare.board_table import arrange_table
from facebench.compare.leaderboard import Leaderboard
from facebench.compare.metric_names import metric_name
from facebench.compare.table_row import Row
from facebench.compare.verdict import Verdict, verdict
from facebench.core.html import environment, translated_page
from facebench.core.language import translate, use_language
from facebench.core.tables import Cell, Column, Table
from facebench.core.version import __version__
from facebench.evaluation.protocols import TableLayout
from facebench.evaluation.record import MetricResult, Run
from facebench.report.galleries.browser import Browser, image_browser
from facebench.report.galleries.images import RankedImages, RejectedImage, ranked_images, rejected_images
from facebench.report.galleries.opening import Strip, opening_strips
from facebench.report.galleries.pairs import ClosestImages, RunImages, closest_images
from facebench.report.galleries.weakest import Weakest, weakest
from facebench.report.pages.breakdown import breakdown_tables
from facebench.report.pages.comparison import Comparison, comparison
from facebench.report.pages.confusions import expression_tables
from facebench.report.pages.headline import Tile, headline_tiles
from facebench.report.pages.texts import texts
from facebench.report.plots import curves
from facebench.report.plots.affect import circumplex_plots
from facebench.report.plots.heat import HeatMap, heat_maps
from facebench.report.plots.svg import RUN_COLOURS
from facebench.report.plots.tracks import track_plots
from facebench.report.plots.trade_off import trade_off_plots

FEW_IMAGES = 200
"""Number of generated images up to which the thumbnails of the image browser are large."""
LARGE_SIDE, SMALL_SIDE = 256, 128
"""Longest side of these thumbnails in pixels."""


def report_page(runs: Sequence[Run], lang: str = "en", folder: Path | None = None) -> str:
    """Render one HTML page about one or more runs.

    Args:
        runs: the runs; the first is the baseline of the others. Runs that are not comparable get separate sections.
        lang: "en" or "ja".
        folder: folder of the page. Above 2,000 generated images their thumbnails are written there; without a folder
            a random sample of 2,000 is embedded.

    Returns:
        The page. It loads nothing but these thumbnails; all other images are embedded, if they still exist.

    Raises:
        InputError: the language is unknown.
    """
    text = texts(lang)
    boards = Leaderboard.from_runs(runs).boards
    template = environment("facebench.report.pages").get_template("report.html")
    with use_language(lang):
        sections = [_section(board, text, f"b{index}", folder) for index, board in enumerate(boards)]
        page = template.render(
            text=text,
            version=__version__,
            names=[run.name for run in runs],
            boards=sections,
            loads_thumbnails=any(
                section.browser is not None and section.browser.in_folder for section in sections
            ),
        )
        return translated_page(page)


@dataclass(frozen=True)
class Section:
    """Contents of the page for one board of comparable runs."""

    runs: list[Run]
    strips: list[Strip]
    verdicts: list[tuple[str, str, str]]
    tiles: list[Tile]
    weakest: list[tuple[int, list[Weakest]]]
    facts: Markup
    apart: str
    warnings: list[str]
    summary: Markup
    intervals: list[str]
    daggers: list[str]
    no_values: list[str]
    groups: list[list[Markup]]
    comparisons: list[Comparison]
    identity: list[curves.Plot]
    affect: list[curves.Plot]
    heat: list[RunHeatMaps]
    quality: list[curves.Plot]
    maps: list[curves.Plot]
    expressions: list[Markup]
    browser: Browser | None
    galleries: list[Gallery]


@dataclass(frozen=True)
class Gallery:
    """Images of one run; `colour` is the index of its colour."""

    run: str
    colour: int
    ranked: RankedImages | None
    closest: list[ClosestImages]
    rejected: list[RejectedImage]
    rejected_count: int

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show."""
        return self.ranked is None and not self.closest and not self.rejected


@dataclass(frozen=True)
class RunHeatMaps:
    """Heat maps of one run; `colour` is the index of its colour."""

    run: str
    colour: int
    maps: list[HeatMap]


def _section(board: Board, text: dict[str, Any], prefix: str, folder: Path | None) -> Section:
    runs = board.runs
    images = _images(runs)
    weak = [(index, weakest(run, images.get(index))) for index, run in enumerate(runs)]
    return Section(
        runs=runs,
        strips=opening_strips(runs),
        verdicts=[_verdict(run, verdict(run, runs[0]), text) for run in runs[1:]],
        tiles=headline_tiles(board, text),
        weakest=[(index, found) for index, found in weak if found],
        facts=Markup(_facts(runs, text).html()),
        apart=_separation(board, text),
        warnings=_warnings(runs, text),
        summary=Markup(_summary(board, text).html()),
        intervals=_generalisation(runs, text),
        daggers=_reasons(runs, text, with_value=True),
        no_values=_reasons(runs, text, with_value=False),
        groups=[
            [Markup(table.html()) for table in breakdown_tables(run, text)] for run in runs if run.groups
        ],
        comparisons=[comparison(runs[0], run, text) for run in runs[1:]],
        identity=curves.identity_plots(runs, text, prefix),
        affect=[
            *circumplex_plots(runs, text, prefix),
            *track_plots(runs, text, prefix),
            *trade_off_plots(runs, text, prefix),
        ],
        heat=[
            RunHeatMaps(run.name, index % RUN_COLOURS, maps)
            for index, run in enumerate(runs)
            if (maps := heat_maps(run, text))
        ],
        quality=curves.quality_plots(runs, text, prefix),
        maps=curves.map_plots(runs, text, prefix) + curves.against_n_plots(runs, text, prefix),
        expressions=[Markup(table) for run in runs for table in expression_tables(run, text)],
        browser=image_browser(runs, images, text, folder),
        galleries=[
            gallery for index, run in enumerate(runs) if not (gallery := _gallery(run, index)).is_empty
        ],
    )


def _images(runs: Sequence[Run]) -> dict[int, RunImages]:
    """Thumbnails of the runs that have a per-image table with digests; larger ones for few images."""
    tables = {
        index: run.per_image
        for index, run in enumerate(runs)
        if run.per_image is not None and "sha256" in run.per_image
    }
    count = sum(int((table["role"] == "generated").sum()) for table in tables.values())
    side = LARGE_SIDE if count <= FEW_IMAGES else SMALL_SIDE
    return {index: RunImages(runs[index], table, side) for index, table in tables.items()}


def _verdict(run: Run, found: Verdict, text: dict[str, Any]) -> tuple[str, str, str]:
    """Name of the run, the verdict in the language of the page, and its direction."""
    if found.total == 0:
        return run.name, text["verdict_none"].format(baseline=found.baseline), "same"
    key = "verdict_some" if found.better or found.worse else "verdict_same"
    counts = {"better": len(found.better), "worse": len(found.worse) or text["none"], "total": found.total}
    counts["better"] = counts["better"] or text["none"]
    kind = "worse" if found.worse else "better" if found.better else "same"
    return run.name, text[key].format(baseline=found.baseline, **counts), kind


def _generalisation(runs: Sequence[Run], text: dict[str, Any]) -> list[str]:
    """What the intervals generalise to: one line for each target and its metrics."""
    metrics: dict[str, list[str]] = {}
    for run in runs:
        for target, ids in run.generalisation().items():
            metrics.setdefault(target, []).extend(ids)
    return [
        text["intervals_for"].format(target=_translated(target, text), metrics=", ".join(dict.fromkeys(ids)))
        for target, ids in metrics.items()
    ]


def _translated(target: str, text: dict[str, Any]) -> str:
    """Target of a generalisation in the language of the page; its number is kept."""
    count = re.search(r"\d+", target)
    pattern = target.replace(count[0], "{count}") if count else target
    return str(text["targets"].get(pattern, target)).replace("{count}", count[0] if count else "")


def _separation(board: Board, text: dict[str, Any]) -> str:
    reasons = "; ".join(map(translate, board.separation_reasons))
    return text["apart"].format(reasons=reasons) if reasons else ""


def _facts(runs: Sequence[Run], text: dict[str, Any]) -> Table:
    """Table with one row per run: input sizes, date and version."""
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
    """Sizes of the reference sets, with their names if they have names."""
    sets = curves.reference_sets([run])
    if list(sets.values()) in ([], [""]):
        return _count((run.inputs["reference"].images or None) if sets else None)
    return Cell(
        ", ".join(f"{name} {_count(run.inputs[role].images or None).text}" for role, name in sets.items())
    )


def _count(number: int | None) -> Cell:
    return Cell("–") if number is None else Cell(f"{number:,}", float(number))


def _warnings(runs: Sequence[Run], text: dict[str, Any]) -> list[str]:
    warnings = []
    for run in runs:
        warnings += [f"{run.name}: {translate(warning)}" for warning in run.warnings]
        unofficial = [name for name, backbone in run.backbones.items() if backbone.unofficial]
        if unofficial:
            warnings.append(text["unofficial"].format(name=run.name, backbones=", ".join(unofficial)))
    return warnings


def _summary(board: Board, text: dict[str, Any]) -> Table:
    """Table with metrics in rows and runs in columns, readable on a phone."""
    runs = [Row(run.name, run.tags, run.metrics, runs=[run]) for run in board.runs]
    by_run = arrange_table(runs, board.metrics, TableLayout(), "", [])
    columns = [Column("metric", text["metric"], numeric=False)]
    if len(board.runs) == 1:
        columns.append(Column("value", text["value"]))
    else:
        columns += [Column(run.name, run.name) for run in board.runs]
    columns += [Column("real", text["real"], about=text["real_about"])] if board.real else []
    columns += [Column("n", text["sample_sizes"], numeric=False)] if len(board.runs) == 1 else []
    rows = []
    for index, metric in enumerate(board.metrics, start=1):
        result = board.result(metric)
        name = Cell(f"{metric_name(metric)} {result.arrow}".strip(), small=f"{metric}: {result.title}")
        row = [name, *(run_row[index] for run_row in by_run.rows)]
        row += [_real(board, metric, text)] if board.real else []
        rows.append([*row, Cell(_counts(result, text))] if len(board.runs) == 1 else row)
    return Table(columns, rows)


def _real(board: Board, metric: str, text: dict[str, Any]) -> Cell:
    """Value for real faces alone, with its sample sizes."""
    scale = board.real.get(metric)
    if scale is None or scale.value is None:
        return Cell("–")
    dagger = "†" if scale.note else ""
    shown = f"{scale.value:.{scale.decimals}f}{dagger}"
    return Cell(shown, scale.value, small=_counts(scale, text), title=scale.note)


def _counts(result: MetricResult, text: dict[str, Any]) -> str:
    return ", ".join(f"{count:,} {text['counts'].get(unit, unit)}" for unit, count in result.n.items())


def _reasons(runs: Sequence[Run], text: dict[str, Any], *, with_value: bool) -> list[str]:
    """Every note, or every reason for a missing value, with its metrics."""
    metrics: dict[str, dict[str, None]] = {}
    for run in runs:
        for metric, result in run.metrics.items():
            reason = result.note if with_value else result.reason
            if (result.value is not None) == with_value and reason:
                metrics.setdefault(reason, {})[metric] = None
    return [
        text["for_metrics"].format(reason=translate(reason), metrics=", ".join(ids))
        for reason, ids in metrics.items()
    ]


def _gallery(run: Run, index: int) -> Gallery:
    return Gallery(
        run=run.name,
        colour=index % RUN_COLOURS,
        ranked=ranked_images(run),
        closest=closest_images(run),
        rejected=rejected_images(run),
        rejected_count=sum(len(images.rejected) for images in run.inputs.values()),
    )
