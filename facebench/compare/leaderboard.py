"""Models ranked by their run records; records that may not be compared are kept apart, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from facebench.compare.board import Row, laid_out, layout_of, published_row, sources
from facebench.compare.published import MARK, PublishedRow, published_rows
from facebench.core.errors import InputError
from facebench.core.tables import Cell, Column, Table
from facebench.evaluation.protocols import load_protocols
from facebench.evaluation.record import MetricResult, Run, load_run
from facebench.evaluation.trained_protocols import load_trained_protocols

# Sizes of two image sets count as equal up to this share: one unreadable file must not split a board.
SAME_SIZE = 0.01


@dataclass(frozen=True)
class Model:
    """The runs of one model: those that share name and tags, oldest first."""

    runs: list[Run]

    @property
    def newest(self) -> Run:
        """The run that stands for the model."""
        return self.runs[-1]

    def row(self, link: str = "") -> Row:
        """Its row in a table; the history only where there is any."""
        told = [(f"{run.created:%Y-%m-%d %H:%M}", run.metrics) for run in self.runs]
        history = told if len(told) > 1 else []
        run = self.newest
        return Row(run.name, run.tags, run.metrics, link=link, history=history)


@dataclass
class Board:
    """Runs that may be ranked together."""

    runs: list[Run]
    apart: list[str] = field(default_factory=list)
    """Why this board is not part of the first one; empty for the first."""
    published: list[PublishedRow] = field(default_factory=list)
    """Other people's numbers, shown below the runs and never ranked with them."""

    @property
    def title(self) -> str:
        """Protocol, suite and data, and the number of images."""
        run = self.runs[0]
        data = [f"data {self.dataset}"] if self.dataset else []
        parts = [run.protocol, run.suite, *data, f"n = {run.inputs['generated'].images}"]
        return " · ".join(parts)

    @property
    def dataset(self) -> str:
        """What the generated faces are compared with: names of the reference sets, else of the sources; or ""."""
        inputs = self.runs[0].inputs
        named = {role: r for role, r in inputs.items() if role.partition(":")[0] == "reference"}
        named = named or {role: record for role, record in inputs.items() if role == "source"}
        return " + ".join(
            role.partition(":")[2] or _folder_name(record.path) for role, record in named.items()
        )

    @property
    def models(self) -> list[Model]:
        """The runs by model, in the order in which the models were given."""
        found: dict[tuple[str, tuple[tuple[str, str], ...]], list[Run]] = {}
        for run in self.runs:
            found.setdefault((run.name, tuple(sorted(run.tags.items()))), []).append(run)
        return [Model(sorted(runs, key=lambda run: run.created)) for runs in found.values()]

    @property
    def metrics(self) -> list[str]:
        """Ids of the metrics that have a value in some run, in the order of the protocol."""
        found = [m for run in self.runs for m, result in run.metrics.items() if result.value is not None]
        named = dict.fromkeys(metric for run in self.runs for metric in run.metrics)
        return [metric for metric in named if metric in found]

    def result(self, metric: str) -> MetricResult:
        """Any run's result of a metric, for its title and direction."""
        return next(run.metrics[metric] for run in self.runs if metric in run.metrics)

    def table(self, address: Callable[[Run], str] = lambda run: "") -> Table:
        """One row per model, best of each column in bold and second underlined; blocks as the protocol lays them out.

        Args:
            address: where the name of a run leads on a page; "" for nowhere.
        """
        rows = [model.row(address(model.newest)) for model in self.models]
        rows += [published_row(row) for row in self.published]
        layout = layout_of(self.runs[0].protocol)
        valued = {m for row in rows for m, result in row.metrics.items() if result.value is not None}
        shown = [metric for metric in self.metrics if metric in valued]
        return laid_out(rows, shown, layout, self.title, self._notes())

    def _notes(self) -> list[str]:
        notes = [f"Kept apart: {reason}." for reason in self.apart]
        models = self.models
        shown = [model.newest for model in models]
        careful = ((r.note, m) for run in shown for m, r in run.metrics.items() if r.value is not None)
        missing = ((r.reason, m) for run in shown for m, r in run.metrics.items() if r.value is None)
        notes += [f"† {reason}: {', '.join(ids)}." for reason, ids in _by_reason(careful).items()]
        notes += [f"No value, {reason}: {', '.join(ids)}." for reason, ids in _by_reason(missing).items()]
        if any(backbone.unofficial for run in self.runs for backbone in run.backbones.values()):
            notes.append("Some weights are not the official ones: not comparable with published numbers.")
        notes += sources(self.published)
        notes += [
            f"{model.newest.name}: newest of {len(model.runs)} runs of this name; CSV holds all of them. "
            "Another model needs another --name."
            for model in models
            if len(model.runs) > 1
        ]
        notes.append("Brackets: 95 % interval. Best in bold, second underlined.")
        return notes


@dataclass
class Leaderboard:
    """Boards of comparable runs, in the order in which the runs were given."""

    boards: list[Board]
    published: dict[str, list[PublishedRow]] = field(default_factory=dict)
    """By protocol, rows that share no metric with any board and so stand alone."""

    @classmethod
    def from_runs(cls, runs: Iterable[Run | str | Path], *, published: bool = False) -> Leaderboard:
        """Group runs, given as records, run folders or record files, into boards of comparable ones.

        Args:
            runs: what to rank.
            published: also show what papers report for the protocols of the runs, marked and not ranked.
        """
        boards: list[Board] = []
        for item in runs:
            run = item if isinstance(item, Run) else load_run(item)
            home = next((board for board in boards if not differences(board.runs[0], run)), None)
            if home is not None:
                home.runs.append(run)
            else:
                boards.append(Board([run], apart=differences(boards[0].runs[0], run) if boards else []))
        return cls(boards, _join_published(boards) if published else {})

    def tables(self) -> list[Table]:
        """The table of every board, then published rows that no board can take."""
        return [board.table() for board in self.boards] + list(self.published_tables().values())

    def published_tables(self) -> dict[str, Table]:
        """By protocol, a table of the published rows that no board can take."""
        return {
            protocol: laid_out(
                [published_row(row) for row in rows],
                list(dict.fromkeys(metric for row in rows for metric in row.metrics)),
                layout_of(protocol),
                f"{protocol} · {MARK}",
                ["No run has these metrics.", *sources(rows), "Best in bold, second underlined."],
            )
            for protocol, rows in self.published.items()
        }

    def to_csv(self, path: str | Path | None = None) -> str:
        """CSV text, written to `path` when given: one row per run, every metric with its interval and n."""
        metrics = list(dict.fromkeys(metric for board in self.boards for metric in board.metrics))
        texts = ["board", "model", "protocol", "suite", "created", "apart", "unofficial_weights"]
        columns = [Column(text, text, numeric=False) for text in texts]
        columns.append(Column("n", "n"))
        for metric in metrics:
            columns += [Column(key, key) for key in (metric, f"{metric}_low", f"{metric}_high")]
        rows = [
            _csv_row(number, board, run, metrics)
            for number, board in enumerate(self.boards, start=1)
            for run in board.runs
        ]
        rows += [_published_csv_row(row, metrics) for board in self.boards for row in board.published]
        return _write(Table(columns, rows).csv(), path)

    def to_markdown(self, path: str | Path | None = None) -> str:
        """Markdown, one table per board."""
        return _write("\n".join(table.markdown() for table in self.tables()), path)

    def to_latex(self, path: str | Path | None = None) -> str:
        """LaTeX (booktabs), one tabular per board."""
        return _write("\n".join(table.latex() for table in self.tables()), path)

    def to_html(self, path: str | Path | None = None) -> str:
        """One self-contained page, written to a file that ends in .html or to `index.html` of a folder."""
        from facebench.report.pages.html import leaderboard_page

        if path is None:
            return leaderboard_page(self)
        file = Path(path)
        file = file if file.suffix.lower() in (".html", ".htm") else file / "index.html"
        return _write(leaderboard_page(self, file.parent), file)


def differences(first: Run, second: Run) -> list[str]:
    """Why two runs may not be ranked together; empty when they may."""
    reasons = []
    for what in ("protocol", "suite"):
        if getattr(first, what) != getattr(second, what):
            reasons.append(f"{what} {getattr(second, what)}, not {getattr(first, what)}")
    if _release(first) != _release(second):
        reasons.append(f"measured by facebench {second.facebench.version}, not {first.facebench.version}")
    references = [
        {role: record.digest for role, record in run.inputs.items() if role.partition(":")[0] == "reference"}
        for run in (first, second)
    ]
    if references[0] != references[1]:
        reasons.append("another reference set")
    for name in sorted(set(first.backbones) & set(second.backbones)):
        if first.backbones[name].sha256 != second.backbones[name].sha256:
            reasons.append(f"other weights of {name}")
        if first.backbones[name].preprocessing != second.backbones[name].preprocessing:
            reasons.append(f"other preprocessing for {name}")
    return reasons + _size_difference(first, second)


def _size_difference(first: Run, second: Run) -> list[str]:
    sizes = first.inputs["generated"].images, second.inputs["generated"].images
    drifting = [m for m in first.metrics if m in second.metrics and first.metrics[m].depends_on_n]
    if drifting and abs(sizes[0] - sizes[1]) > SAME_SIZE * max(sizes):
        return [f"n = {sizes[1]}, not {sizes[0]}, and {drifting[0]} depends on n"]
    return []


def _release(run: Run) -> list[str]:
    return run.facebench.version.split(".")[:2]


def _join_published(boards: Sequence[Board]) -> dict[str, list[PublishedRow]]:
    """Give boards the published rows that share a metric with them; returns what no board took, by protocol."""
    left = {}
    for protocol in dict.fromkeys(board.runs[0].protocol for board in boards):
        rows = published_rows(protocol) if protocol in {*load_protocols(), *load_trained_protocols()} else []
        for board in boards:
            if board.runs[0].protocol == protocol:
                board.published = [row for row in rows if set(row.metrics) & set(board.metrics)]
        if rows and not any(board.published for board in boards if board.runs[0].protocol == protocol):
            left[protocol] = rows
    return left


def _csv_row(number: int, board: Board, run: Run, metrics: Sequence[str]) -> list[Cell]:
    created = run.created.isoformat(timespec="seconds")
    unofficial = ", ".join(name for name, backbone in run.backbones.items() if backbone.unofficial)
    texts = [str(number), run.name, run.protocol, run.suite, created, "; ".join(board.apart), unofficial]
    cells = [Cell(text) for text in texts]
    cells.append(Cell("", number=float(run.inputs["generated"].images)))
    for metric in metrics:
        result = run.metrics.get(metric)
        numbers = (None, None, None) if result is None else (result.value, result.low, result.high)
        cells += [Cell("", number=value) for value in numbers]
    return cells


def _published_csv_row(row: PublishedRow, metrics: Sequence[str]) -> list[Cell]:
    texts = [MARK, row.name, "", "", "", f"{MARK} by {row.source}", ""]
    cells = [Cell(text) for text in texts] + [Cell("")]
    for metric in metrics:
        value = row.metrics[metric].value if metric in row.metrics else None
        cells += [Cell("", number=number) for number in (value, None, None)]
    return cells


def _folder_name(path: str) -> str:
    """The folder of a set; that of the manifest when the set is one."""
    folder = Path(path)
    return folder.parent.name if folder.suffix in (".csv", ".parquet") else folder.name


def _by_reason(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Metric ids, each once, under the reason they share."""
    found: dict[str, list[str]] = {}
    for reason, metric in pairs:
        ids = found.setdefault(reason, [])
        if metric not in ids:
            ids.append(metric)
    return {reason: ids for reason, ids in found.items() if reason}


def _write(text: str, path: str | Path | None) -> str:
    if path is not None:
        file = Path(path)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise InputError(f"{file} cannot be written: {error.strerror}. Choose another place.") from error
    return text
