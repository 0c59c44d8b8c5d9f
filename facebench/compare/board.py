"""Board: comparable runs, grouped by model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from facebench.compare.board_table import (
    Row,
    arrange_table,
    published_notes,
    published_row,
    table_layout,
)
from facebench.compare.published import PublishedRow
from facebench.core.tables import Table
from facebench.evaluation.record import MetricResult, Run


@dataclass(frozen=True)
class Model:
    """Runs that share name and tags, oldest first."""

    runs: list[Run]

    @property
    def newest(self) -> Run:
        """The run that is ranked."""
        return self.runs[-1]

    def row(self, link: str = "") -> Row:
        """Return the table row of the newest run, with the history of all runs when there are several."""
        history = [(f"{run.created:%Y-%m-%d %H:%M}", run.metrics) for run in self.runs]
        run = self.newest
        return Row(run.name, run.tags, run.metrics, link=link, history=history if len(self.runs) > 1 else [])


@dataclass
class Board:
    """Comparable runs.

    Attributes:
        runs: in the order in which they were given.
        separation_reasons: why these runs are in a separate table; empty for the first board.
        published: numbers of publications, shown below the runs and not ranked with them.
    """

    runs: list[Run]
    separation_reasons: list[str] = field(default_factory=list)
    published: list[PublishedRow] = field(default_factory=list)

    @property
    def title(self) -> str:
        """Protocol, suite, data, and number of images."""
        run = self.runs[0]
        data = [f"data {self.dataset}"] if self.dataset else []
        parts = [run.protocol, run.suite, *data, f"n = {run.inputs['generated'].images}"]
        return " · ".join(parts)

    @property
    def dataset(self) -> str:
        """Names of the reference sets, else of the source sets; empty when there are none."""
        inputs = self.runs[0].inputs
        sets = {role: record for role, record in inputs.items() if role.partition(":")[0] == "reference"}
        sets = sets or {role: record for role, record in inputs.items() if role == "source"}
        return " + ".join(
            role.partition(":")[2] or _folder_name(record.path) for role, record in sets.items()
        )

    @property
    def models(self) -> list[Model]:
        """The runs by model, in the order in which the models were given."""
        groups: dict[tuple[str, tuple[tuple[str, str], ...]], list[Run]] = {}
        for run in self.runs:
            groups.setdefault((run.name, tuple(sorted(run.tags.items()))), []).append(run)
        return [Model(sorted(runs, key=_created_utc)) for runs in groups.values()]

    @property
    def metrics(self) -> list[str]:
        """Ids of the metrics that have a value in at least one run, in the order of the protocol."""
        valued = {m for run in self.runs for m, result in run.metrics.items() if result.value is not None}
        return [m for m in dict.fromkeys(m for run in self.runs for m in run.metrics) if m in valued]

    def result(self, metric: str) -> MetricResult:
        """Return the first result of a metric, for its title and direction."""
        return next(run.metrics[metric] for run in self.runs if metric in run.metrics)

    def table(self, address: Callable[[Run], str] = lambda run: "") -> Table:
        """Build the table: one row per model, best of each column in bold and second underlined.

        Args:
            address: returns the link target of the name of a run; empty for no link.
        """
        rows = [model.row(address(model.newest)) for model in self.models]
        rows += [published_row(row) for row in self.published]
        valued = {m for row in rows for m, result in row.metrics.items() if result.value is not None}
        metrics = [metric for metric in self.metrics if metric in valued]
        return arrange_table(rows, metrics, table_layout(self.runs[0].protocol), self.title, self._notes())

    def _notes(self) -> list[str]:
        notes = [f"Separate table: {reason}." for reason in self.separation_reasons]
        results = [(m, r) for model in self.models for m, r in model.newest.metrics.items()]
        daggers = ((result.note, metric) for metric, result in results if result.value is not None)
        missing = ((result.reason, metric) for metric, result in results if result.value is None)
        notes += [f"† {reason}: {', '.join(ids)}." for reason, ids in _by_reason(daggers).items()]
        notes += [f"No value, {reason}: {', '.join(ids)}." for reason, ids in _by_reason(missing).items()]
        if any(backbone.unofficial for run in self.runs for backbone in run.backbones.values()):
            notes.append("Some weights are not the official ones: not comparable with published numbers.")
        notes += published_notes(self.published)
        notes += [
            f"{model.newest.name}: newest of {len(model.runs)} runs with this name; the CSV file contains all of them. "
            "Use a different --name for each model."
            for model in self.models
            if len(model.runs) > 1
        ]
        notes.append("Brackets: 95 % interval. Best in bold, second underlined.")
        return notes


def _created_utc(run: Run) -> datetime:
    """Date of a run; a date without a time zone is in UTC."""
    return run.created if run.created.tzinfo else run.created.replace(tzinfo=timezone.utc)


def _folder_name(path: str) -> str:
    """Name of the folder of an image set; of the folder of the manifest when the set is a manifest."""
    folder = Path(path)
    return folder.parent.name if folder.suffix in (".csv", ".parquet") else folder.name


def _by_reason(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Group metric ids by their reason; each id once, without empty reasons."""
    groups: dict[str, dict[str, None]] = {}
    for reason, metric in pairs:
        if reason:
            groups.setdefault(reason, {})[metric] = None
    return {reason: list(ids) for reason, ids in groups.items()}
