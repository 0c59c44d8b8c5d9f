"""Board: comparable runs, grouped by model."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path

from facebench.compare.board_table import (
    RankedTable,
    arrange_table,
    published_notes,
    published_row,
    table_layout,
)
from facebench.compare.published import PublishedRow
from facebench.compare.replicates import SEED
from facebench.compare.table_row import Row
from facebench.core.notes import group_sentences, listed
from facebench.evaluation.protocols import primary_metrics
from facebench.evaluation.record import MetricResult, Run

REAL_ROW = "real faces"
"""Name of the row with the values for real faces alone."""
REAL_NOTE = (
    "real faces: the same metric for real faces alone. Distances compare one half of the reference set with the other, "
    "verification compares all reference images; not ranked."
)
MARKS = (
    "Bold: not distinguishable from the best (95 %, multiple comparisons with the best). "
    "Underlined: by the same rule, without the bold ones. Ranks are joint 95 % ranges."
)


@dataclass(frozen=True)
class Model:
    """Runs of one model, oldest first: the same name and tags, apart from the tag `seed`.

    Attributes:
        runs: the runs.
        name: name that is shown.
    """

    runs: list[Run]
    name: str

    @property
    def newest(self) -> Run:
        """The newest run."""
        return self.runs[-1]

    @property
    def replicates(self) -> list[Run]:
        """The newest run of each training seed; the newest run for a model without seeds."""
        by_seed = {run.tags.get(SEED): run for run in self.runs}
        return list(by_seed.values())

    def row(self) -> Row:
        """Return the table row: the newest run, or the mean over the training seeds.

        The row has the history of all runs if there are several and no seeds.
        """
        run, replicates = self.newest, self.replicates
        history = [(f"{each.created:%Y-%m-%d %H:%M}", each.metrics) for each in self.runs]
        history = history if len(self.runs) > 1 and len(replicates) == 1 else []
        return Row(self.name, run.tags, run.metrics, history=history, runs=replicates)


def model_name(run: Run) -> str:
    """Return the name of the model of a run: the name of the run without its training seed.

    Example:
        "ours-seed3" with the tag seed=3 is a run of the model "ours".
    """
    seed = run.tags.get(SEED)
    if seed is None:
        return run.name
    stem = re.sub(rf"[-_. ]*(?:seed|s)?[-_=. ]?{re.escape(seed)}$", "", run.name)
    return stem or run.name


@dataclass
class Board:
    """Comparable runs.

    Attributes:
        runs: in the order in which they were given.
        separation_reasons: why these runs are in a separate table; empty for the first board.
        published: numbers of publications, shown below the runs and not ranked with them.
        sort: metric by which the models are sorted; None for the primary metric of the protocol.
        chosen: metrics that are shown, in this order; None for all.
        labels: names that are shown, by name of the model.
    """

    runs: list[Run]
    separation_reasons: list[str] = field(default_factory=list)
    published: list[PublishedRow] = field(default_factory=list)
    sort: str | None = None
    chosen: Sequence[str] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

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
            tags = tuple(sorted((tag, value) for tag, value in run.tags.items() if tag != SEED))
            groups.setdefault((model_name(run), tags), []).append(run)
        return [
            Model(sorted(runs, key=_created_utc), self.labels.get(name, name))
            for (name, _), runs in groups.items()
        ]

    @property
    def metrics(self) -> list[str]:
        """Ids of the metrics that have a value in at least one run, in the order of the protocol."""
        valued = {m for run in self.runs for m, result in run.metrics.items() if result.value is not None}
        known = [m for m in dict.fromkeys(m for run in self.runs for m in run.metrics) if m in valued]
        return known if self.chosen is None else [metric for metric in self.chosen if metric in known]

    @property
    def sorted_by(self) -> str | None:
        """The metric by which the models are sorted: the chosen one, or the primary metric of the protocol."""
        if self.sort is not None:
            return self.sort
        primary = primary_metrics(self.runs[0].protocol, self.runs[0].suite)
        candidates = (m for name in primary for m in self.metrics if m.partition("@")[0] == name)
        return next(candidates, None)

    @property
    def real(self) -> dict[str, MetricResult]:
        """Values for real faces alone, by metric, of the first run that has them; equal n gives equal values."""
        scaled: dict[str, MetricResult] = {}
        for metric, result in (item for run in self.runs for item in run.metrics.items()):
            if result.real is not None and metric not in scaled:
                own = {"value": result.real.value, "n": result.real.n, "note": result.real.note}
                scaled[metric] = result.model_copy(update={**own, "low": None, "high": None, "units": None})
        return scaled

    def result(self, metric: str) -> MetricResult:
        """Return the first result of a metric, for its title and direction."""
        return next(run.metrics[metric] for run in self.runs if metric in run.metrics)

    def table(self, address: Callable[[Run], str] | None = None) -> RankedTable:
        """Build the table: one row per model, sorted; models that cannot be distinguished from the best are bold.

        Args:
            address: returns the link target of the name of a run; empty for no link.
        """
        if address is None:
            return self._without_links
        return self._without_links.with_links([address(model.newest) for model in self.models])

    @cached_property
    def _without_links(self) -> RankedTable:
        rows = [model.row() for model in self.models]
        rows += [Row(REAL_ROW, {}, self.real, published=True)] if self.real else []
        rows += [published_row(row) for row in self.published]
        valued = {m for row in rows for m in row.metrics if row.value(m) is not None}
        metrics = [metric for metric in self.metrics if metric in valued]
        layout = table_layout(self.runs[0].protocol)
        return arrange_table(rows, metrics, layout, self.title, self._notes(), self.sorted_by)

    def _notes(self) -> list[str]:
        models = self.models
        notes = [f"Separate table: {reason}." for reason in self.separation_reasons]
        results = [(m, r) for model in models for m, r in model.newest.metrics.items()]
        daggers = ((result.note, metric) for metric, result in results if result.value is not None)
        missing = ((result.reason, metric) for metric, result in results if result.value is None)
        sentences, reasons = group_sentences(daggers), group_sentences(missing, whole=True)
        notes += [f"† {sentence}: {listed(ids, self.metrics)}." for sentence, ids in sentences.items()]
        notes += [f"No value, {reason}: {', '.join(ids)}." for reason, ids in reasons.items()]
        if any(backbone.unofficial for run in self.runs for backbone in run.backbones.values()):
            notes.append("Some weights are not the official ones: not comparable with published numbers.")
        notes += published_notes(self.published)
        notes += [
            f"{model.name}: newest of {len(model.runs)} runs with this name; the CSV file contains all of them. "
            "Use a different --name for each model."
            for model in models
            if len(model.runs) > 1 and len(model.replicates) == 1
        ]
        seeds = [len(model.replicates) for model in models]
        if max(seeds) > 1:
            notes.append(
                "Models with several seeds: mean over the training runs, interval for new runs and new units, "
                "with the variance between runs pooled over the models."
            )
        notes += [REAL_NOTE] if self.real else []
        notes.append("Brackets: 95 % interval.")
        if len(models) > 1:
            notes.append(MARKS)
        return notes


def _created_utc(run: Run) -> datetime:
    """Date of a run; a date without a time zone is in UTC."""
    return run.created if run.created.tzinfo else run.created.replace(tzinfo=timezone.utc)


def _folder_name(path: str) -> str:
    """Name of the folder of an image set; of the folder of the manifest when the set is a manifest."""
    folder = Path(path)
    return folder.parent.name if folder.suffix in (".csv", ".parquet") else folder.name
