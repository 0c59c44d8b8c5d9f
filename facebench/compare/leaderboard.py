"""Leaderboards of run records: comparable runs share a board, other runs are on separate boards."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from facebench.compare.board import Board, model_name
from facebench.compare.board_table import (
    RankedTable,
    arrange_table,
    published_notes,
    published_row,
    table_layout,
    with_names,
)
from facebench.compare.board_verdict import board_verdict
from facebench.compare.comparability import reasons_not_comparable
from facebench.compare.latex_tables import fitting_latex
from facebench.compare.leaderboard_page import leaderboard_page
from facebench.compare.published import MARK, PublishedRow, published_rows
from facebench.core.errors import InputError
from facebench.core.suggest import suggest
from facebench.core.tables import Cell, Column, Table, encode_csv
from facebench.evaluation.protocols import load_protocols
from facebench.evaluation.record import Run
from facebench.evaluation.record_reading import load_run
from facebench.evaluation.run_folders import run_folders
from facebench.evaluation.trained_protocols import load_trained_protocols


@dataclass(repr=False)
class Leaderboard:
    """Boards of comparable runs, in the order in which the runs were given.

    Attributes:
        boards: the boards.
        published: published rows that share no metric with any board, by protocol.
    """

    boards: list[Board]
    published: dict[str, list[PublishedRow]] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Return one line: numbers of boards, models and runs."""
        models = sum(len(board.models) for board in self.boards)
        runs = sum(len(board.runs) for board in self.boards)
        return f"<Leaderboard: {len(self.boards)} boards, {models} models, {runs} runs>"

    def _repr_html_(self) -> str:
        """Return the tables, for notebooks."""
        return "\n".join(table._repr_html_() for table in self.tables)

    @classmethod
    def from_runs(
        cls,
        runs: Iterable[Run | str | Path],
        *,
        published: bool = False,
        sort: str | None = None,
        metrics: Sequence[str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Leaderboard:
        """Group runs into boards of comparable runs.

        Args:
            runs: run records, run folders, folders of run folders, or record files. Runs with the tag `seed` and
                otherwise the same name and tags are training runs of one model.
            published: whether to show published numbers for the protocols of the runs; they are marked and not
                ranked.
            sort: metric by which the models are sorted, best first; the primary metric of the protocol by default.
            metrics: metrics that are shown, in this order; all by default.
            labels: names that are shown, by name of the model or id of the metric.

        Raises:
            InputError: a record cannot be read, or no run has a metric or a name.
        """
        boards: list[Board] = []
        for item in _with_folders(runs):
            run = item if isinstance(item, Run) else load_run(item)
            board = next((b for b in boards if not reasons_not_comparable(b.runs[0], run)), None)
            if board is not None:
                board.runs.append(run)
            else:
                boards.append(Board([run], reasons_not_comparable(boards[0].runs[0], run) if boards else []))
        _check_choices(boards, [*([sort] if sort else []), *(metrics or [])], labels or {})
        for board in boards:
            has_sort = any(sort in run.metrics for run in board.runs)
            board.sort, board.chosen, board.labels = sort if has_sort else None, metrics, labels or {}
        return cls(boards, _attach_published(boards) if published else {})

    @property
    def tables(self) -> list[RankedTable]:
        """The table of every board, then the tables of published rows that are on no board."""
        return [board.table() for board in self.boards] + list(self.published_tables().values())

    def verdicts(self) -> list[str]:
        """Return one sentence for each board with several models: which models are best, and by how much."""
        return [verdict for board in self.boards if (verdict := board_verdict(board))]

    def published_tables(self) -> dict[str, RankedTable]:
        """Return the tables of published rows that are on no board, by protocol."""
        return {protocol: _published_table(protocol, rows) for protocol, rows in self.published.items()}

    def to_csv(self, path: str | Path | None = None) -> str:
        """Format as CSV, one row per run: every metric with its interval and n.

        Args:
            path: file to write; it starts with a byte order mark when the text is not ASCII.
        """
        text = self._csv_table().csv()
        if path is not None:
            _write(path, encode_csv(text))
        return text

    def to_json(self) -> str:
        """Format as JSON: a list of objects, one per run and metric, with model, value, interval and board."""
        rows = [
            {"board": number, **row}
            for number, board in enumerate(self.boards, start=1)
            for run in board.runs
            for row in json.loads(run.to_frame().to_json(orient="records", double_precision=15))
        ]
        return json.dumps(rows, indent=2, ensure_ascii=False) + "\n"

    def to_markdown(self, path: str | Path | None = None) -> str:
        """Format as Markdown, one table per board, and write it to `path` when given."""
        return _write_text(path, "\n".join(table.markdown() for table in self._named_tables()))

    def to_latex(self, path: str | Path | None = None) -> str:
        """Format as LaTeX (booktabs, graphicx), one tabular per board, and write it to `path` when given.

        A table is shrunk to the width of the text, and a table of many metrics is split into several.
        """
        return _write_text(path, "\n".join(fitting_latex(table) for table in self._named_tables()))

    def to_html(self, path: str | Path | None = None) -> str:
        """Render one self-contained page.

        Args:
            path: file that ends in .html, or a folder for `index.html`. The page links to the reports in the run
                folders only when it is written.
        """
        if path is None:
            return leaderboard_page(self.boards, self.published_tables())
        file = Path(path)
        file = file if file.suffix.lower() in (".html", ".htm") else file / "index.html"
        return _write_text(file, leaderboard_page(self.boards, self.published_tables(), file.parent))

    def _named_tables(self) -> list[RankedTable]:
        """The tables with the names of the literature."""
        labels = self.boards[0].labels if self.boards else {}
        return [with_names(table, labels) for table in self.tables]

    def _csv_table(self) -> Table:
        metrics = list(dict.fromkeys(metric for board in self.boards for metric in board.metrics))
        keys = ["board", "model", "protocol", "suite", "created", "apart", "unofficial_weights"]
        columns = [Column(key, key, numeric=False) for key in keys]
        columns.append(Column("n", "n"))
        for metric in metrics:
            columns += [Column(key, key) for key in (metric, f"{metric}_low", f"{metric}_high")]
        rows = [
            _csv_row(number, board, run, metrics)
            for number, board in enumerate(self.boards, start=1)
            for run in board.runs
        ]
        rows += [_published_csv_row(row, metrics) for board in self.boards for row in board.published]
        return Table(columns, rows)


def _with_folders(runs: Iterable[Run | str | Path]) -> list[Run | Path]:
    """Replace each folder of run folders by its runs."""
    given = list(runs)
    paths = [Path(item) for item in given if not isinstance(item, Run)]
    if len(paths) == len(given):
        return list(run_folders(paths))
    return [
        each for item in given for each in ([item] if isinstance(item, Run) else run_folders([Path(item)]))
    ]


def _attach_published(boards: Sequence[Board]) -> dict[str, list[PublishedRow]]:
    """Attach published rows to the boards that share a metric; return the rows of protocols without such a board."""
    remaining = {}
    for protocol in dict.fromkeys(board.runs[0].protocol for board in boards):
        known = protocol in {*load_protocols(), *load_trained_protocols()}
        rows = published_rows(protocol) if known else []
        members = [board for board in boards if board.runs[0].protocol == protocol]
        for board in members:
            board.published = [row for row in rows if set(row.metrics) & set(board.metrics)]
        if rows and not any(board.published for board in members):
            remaining[protocol] = rows
    return remaining


def _check_choices(boards: Sequence[Board], metrics: Sequence[str], labels: Mapping[str, str]) -> None:
    """Check that some run has each metric, and some model each name."""
    known = {metric for board in boards for run in board.runs for metric in run.metrics}
    for metric in metrics:
        if metric not in known:
            raise InputError(f"No run has the metric '{metric}'. {suggest(metric, known)}")
    names = {model_name(run) for board in boards for run in board.runs}
    for name in labels:
        if name not in names | known:
            raise InputError(f"No model and no metric has the name '{name}'. {suggest(name, names | known)}")


def _published_table(protocol: str, rows: Sequence[PublishedRow]) -> RankedTable:
    return arrange_table(
        [published_row(row) for row in rows],
        list(dict.fromkeys(metric for row in rows for metric in row.metrics)),
        table_layout(protocol),
        f"{protocol} · {MARK}",
        ["No run has these metrics.", *published_notes(rows), "Best in bold, second underlined."],
    )


def _csv_row(number: int, board: Board, run: Run, metrics: Sequence[str]) -> list[Cell]:
    created = run.created.isoformat(timespec="seconds")
    separation = "; ".join(board.separation_reasons)
    unofficial = ", ".join(name for name, backbone in run.backbones.items() if backbone.unofficial)
    texts = [str(number), run.name, run.protocol, run.suite, created, separation, unofficial]
    cells = [Cell(text) for text in texts]
    cells.append(Cell("", number=float(run.inputs["generated"].images)))
    for metric in metrics:
        result = run.metrics.get(metric)
        numbers = (None, None, None) if result is None else (result.value, result.low, result.high)
        cells += [Cell("", number=number) for number in numbers]
    return cells


def _published_csv_row(row: PublishedRow, metrics: Sequence[str]) -> list[Cell]:
    texts = [MARK, row.name, "", "", "", f"{MARK} by {row.source}", ""]
    cells = [Cell(text) for text in texts] + [Cell("")]
    for metric in metrics:
        value = row.metrics[metric].value if metric in row.metrics else None
        cells += [Cell("", number=number) for number in (value, None, None)]
    return cells


def _write_text(path: str | Path | None, text: str) -> str:
    if path is not None:
        _write(path, text.encode("utf-8"))
    return text


def _write(path: str | Path, content: bytes) -> None:
    file = Path(path)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror}. Choose another place.") from error
