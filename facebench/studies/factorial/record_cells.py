"""Factorial study from one record: the cells are columns of the manifest.

Every cell holds transfers of the same pairs of a source and a target image. An effect is a weighted sum of cells. It is
computed for each person and target first, and its mean then has people and targets as random factors. Cells that were
trained several times, numbered in a column `seed`, have the training as a third random factor.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd

from facebench.core.errors import InputError
from facebench.core.language import language
from facebench.core.suggest import suggest
from facebench.evaluation.breakdown import holm
from facebench.evaluation.cards import find_card
from facebench.evaluation.inputs import LINKED
from facebench.evaluation.per_image import image_terms
from facebench.evaluation.record import MetricResult, Run
from facebench.evaluation.record_reading import load_run
from facebench.metrics.arrays import Floats
from facebench.studies.factorial.crossed import Mean
from facebench.studies.factorial.effects import Cell, Effect, Levels, Study, contrasts, sentences_html
from facebench.studies.factorial.trainings import mean_of_trainings

PEOPLE = ("identity", "person")
"""Columns that name the person, in order of preference."""
TRAININGS = ("seed", "run", "replicate")
"""Columns that number the trainings of a cell, in order of preference; they are random, not factors."""
MAX_LEVELS = 12
"""Columns with more values are not factors unless they are named."""
_TABLE_COLUMNS = ("role", "image", "sha256", "width", "height", "map_x", "map_y")


@dataclass(frozen=True)
class Values:
    """One metric by cell, person and target.

    Attributes:
        trained: (cells, trainings, people, targets) means over photographs; NaN where a person has no value of a
            target.
        left_out: pairs of a source and a target that are left out because a cell has no value of them.
        pairs: pairs of a source and a target that all cells have.
    """

    trained: Floats
    left_out: int
    pairs: int

    @property
    def values(self) -> Floats:
        """Means over trainings, (cells, people, targets)."""
        return np.asarray(self.trained.mean(axis=1))


@dataclass(frozen=True)
class RecordStudy:
    """A factorial study of one record.

    Attributes:
        study: cells as runs, and the effects.
        people: names of the people.
        targets: names of the target images.
        target_columns: columns that describe a target, by column; one value per target.
        values: values of each metric.
        record: the record.
        trainings: numbers of the trainings of every cell; a single text without such a column.
    """

    study: Study
    people: list[str]
    targets: list[str]
    target_columns: dict[str, list[str]]
    values: dict[str, Values]
    record: Run = field(repr=False)
    trainings: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        """Return one line: the record and the sizes of the study."""
        sizes = f"{len(self.study.runs)} cells, {len(self.people)} people, {len(self.targets)} targets"
        return f"<RecordStudy {self.record.name!r}: {sizes}>"

    def _repr_html_(self) -> str:
        """Return the sentences about clear effects and the table of effects, for notebooks."""
        from facebench.studies.factorial.record_tables import effects_rows, record_sentences

        lang = language()
        return sentences_html(record_sentences(self, lang)) + effects_rows(self, lang)._repr_html_()

    @property
    def target_labels(self) -> list[str]:
        """Short names of the targets: the file names without suffix, or a column of distinct names."""
        stems = [Path(name).stem for name in self.targets]
        return stems if len(set(stems)) == len(stems) else self.targets

    def cell_name(self, place: int) -> str:
        """Name of a cell."""
        return self.study.runs[place].name


@dataclass(frozen=True)
class RecordOptions:
    """Options of a study of one record.

    Attributes:
        metrics: ids; by default all metrics that are means over images and have a better direction.
        factors: columns; by default all columns with 2 to 12 values that neither source nor target determines.
        common: compare the pairs and the trainings that all cells have; otherwise cells with different ones are an
            error.
        seed: seed of bootstraps.
    """

    metrics: Sequence[str] | None = None
    factors: Sequence[str] | None = None
    common: bool = False
    seed: int = 0


def study_record(run: Run | str | Path, options: RecordOptions | None = None) -> RecordStudy:
    """Estimate the effects of the factors in the manifest of one record.

    Args:
        run: the record, or its folder.
        options: metrics, factors, and the treatment of missing pairs.

    Raises:
        InputError: the record has no per-image table, no factor or no target; cells have different pairs; or no
            metric is a mean over images.
    """
    options = options or RecordOptions()
    loaded = run if isinstance(run, Run) else load_run(run)
    rows = _generated(loaded)
    levels = _levels(rows, options.factors)
    rows = _same_trainings(rows, levels, options.common)
    rows = _paired(rows, levels, options.common)
    cells = [cell for cell in itertools.product(*levels.values()) if cell in set(_cells(rows, levels))]
    people, targets = sorted(set(rows["person"])), _natural(set(rows["target"]))
    trainings = _natural(set(rows["training"]))
    metrics, left_out = _metrics(loaded, options.metrics)
    values = {}
    for metric in metrics:
        terms = image_terms(metric, loaded)
        assert terms is not None
        values[metric] = _values(
            rows.assign(value=rows["image"].map(terms)), levels, (cells, trainings, people, targets)
        )
    usable = {metric: each for metric, each in values.items() if np.isfinite(each.trained).any()}
    left_out |= {metric: "No pair has a value in every cell." for metric in values if metric not in usable}
    if not usable:
        raise InputError(f"{loaded.name}: no metric has a value of one pair in every cell.")
    effects = {
        metric: _effects(metric, (levels, cells), each.trained, options.seed)
        for metric, each in usable.items()
    }
    runs = [_cell_run(loaded, place, (levels, cells), usable, options.seed) for place in range(len(cells))]
    study = Study(runs, levels, list(usable), effects, left_out)
    columns = _target_columns(rows, levels, targets)
    return RecordStudy(study, people, targets, columns, usable, loaded, trainings)


def _generated(run: Run) -> pd.DataFrame:
    table = run.per_image
    if table is None:
        raise InputError(
            f"{run.name} has no per-image table. Give the folder of the run, not its record alone."
        )
    rows = table[table["role"] == "generated"].reset_index(drop=True)
    for role in ("source", "target"):
        if role not in rows or rows[role].isna().all():
            raise InputError(
                f"{run.name} has no column '{role}'. Name the {role} images in the manifest: facebench manifest ROOT "
                f"--pattern ... --{role} ..."
            )
    complete = rows[["source", "target"]].notna().all(axis=1)
    rows = rows[complete].copy()
    person = next((name for name in PEOPLE if name in rows and rows[name].notna().all()), "source")
    rows["person"] = rows[person].astype(str)
    training = next((name for name in TRAININGS if name in rows and rows[name].nunique() > 1), None)
    rows["training"] = "" if training is None else rows[training].astype(str)
    return rows


def _same_trainings(rows: pd.DataFrame, levels: Levels, common: bool) -> pd.DataFrame:
    """Keep the trainings that all cells have.

    Raises:
        InputError: cells have different trainings and `common` is not set, or they share none.
    """
    of_cell: dict[Cell, set[str]] = {}
    for cell, training in zip(_cells(rows, levels), rows["training"], strict=True):
        of_cell.setdefault(cell, set()).add(training)
    every, shared = set.union(*of_cell.values()), set.intersection(*of_cell.values())
    if shared == every:
        return rows
    if not common or not shared:
        cell, has = min(of_cell.items(), key=lambda each: len(each[1]))
        lacking = _natural(every - has)[0]
        raise InputError(
            f"The cells have different trainings: {'-'.join(cell)} lacks the training {lacking}. Complete the cells, "
            f"or compare the {len(shared)} of {len(every)} trainings that all cells have: --common."
        )
    return rows[rows["training"].isin(shared)]


def _levels(rows: pd.DataFrame, wanted: Sequence[str] | None) -> Levels:
    known = [
        str(name)
        for name in rows.columns
        if name not in (*_TABLE_COLUMNS, *LINKED, *PEOPLE, "training")
        and not str(name).startswith("face_")
        and ":" not in str(name)
        and pd.api.types.is_string_dtype(rows[name].dropna())
    ]
    if wanted is not None:
        for name in wanted:
            if name not in known:
                raise InputError(f"The manifest has no column '{name}'. {suggest(name, known)}")
        names = list(wanted)
    else:
        names = [name for name in known if _is_factor(rows, name)]
    levels = {name: tuple(_natural(set(rows[name].dropna().astype(str)))) for name in names}
    varying = {name: texts for name, texts in levels.items() if len(texts) > 1}
    if not varying:
        raise InputError(
            "The record has no factor: no column of its manifest varies for the same source and target. Put all cells "
            "into one manifest with `facebench manifest`, or name the columns with --factors."
        )
    for name in varying:
        if rows[name].isna().any():
            first = rows.loc[rows[name].isna(), "image"].iloc[0]
            raise InputError(f"{first} has no value in the column '{name}', which is a factor.")
    return varying


def _is_factor(rows: pd.DataFrame, name: str) -> bool:
    count = rows[name].nunique()
    if name in TRAININGS or not 2 <= count <= MAX_LEVELS:
        return False
    # A column that the source or the target determines describes an image, not a cell.
    return all(int(rows.groupby(side)[name].nunique().max()) > 1 for side in ("source", "target"))


def _cells(rows: pd.DataFrame, levels: Levels) -> list[Cell]:
    return list(rows[list(levels)].astype(str).itertuples(index=False, name=None))


def _paired(rows: pd.DataFrame, levels: Levels, common: bool) -> pd.DataFrame:
    """Keep the pairs of a source and a target that all cells have.

    Raises:
        InputError: cells have different pairs and `common` is not set, or the cells share no pair.
    """
    pairs: dict[Cell, set[tuple[str, str]]] = {}
    keys = list(rows[["source", "target"]].astype(str).itertuples(index=False, name=None))
    for cell, training, key in zip(_cells(rows, levels), rows["training"], keys, strict=True):
        pairs.setdefault((*cell, training) if training else cell, set()).add(key)
    every, shared = set.union(*pairs.values()), set.intersection(*pairs.values())
    if shared == every:
        return rows
    if not common or not shared:
        raise InputError(_difference(pairs, every, shared))
    return rows[[key in shared for key in keys]]


def _difference(
    pairs: Mapping[Cell, set[tuple[str, str]]], every: set[tuple[str, str]], shared: set[tuple[str, str]]
) -> str:
    cell, missing = max(((cell, every - has) for cell, has in pairs.items()), key=lambda each: len(each[1]))
    source, target = min(missing)
    targets = {target for _, target in missing} - {target for _, target in pairs[cell]}
    lacks = f"the target {min(targets)}" if targets else f"the source {source} with the target {target}"
    remedy = (
        f"Complete the cells, or compare the {len(shared):,} of {len(every):,} pairs that all cells have: --common."
        if shared
        else "The cells have no pair of a source and a target in common, so they cannot be compared."
    )
    return f"The cells have different sets of targets: {'-'.join(cell)} lacks {lacks}. {remedy}"


def _metrics(run: Run, wanted: Sequence[str] | None) -> tuple[list[str], dict[str, str]]:
    names = list(run.metrics) if wanted is None else list(wanted)
    left_out: dict[str, str] = {}
    kept = []
    for metric in names:
        if metric not in run.metrics:
            raise InputError(f"{run.name} has no metric '{metric}'. {suggest(metric, run.metrics)}")
        result = run.metrics[metric]
        if result.value is None or image_terms(metric, run) is None:
            reason = result.reason if result.value is None else "It is not a mean over images."
            left_out |= {metric: reason} if wanted is not None else {}
        elif wanted is not None or result.better != "neither":
            kept.append(metric)
    if not kept:
        raise InputError(
            f"{run.name}: no metric is a mean over images with a value. "
            f"{'; '.join(f'{metric}: {reason}' for metric, reason in left_out.items())}".rstrip()
        )
    return kept, left_out


def _values(
    rows: pd.DataFrame,
    levels: Levels,
    axes: tuple[Sequence[Cell], Sequence[str], Sequence[str], Sequence[str]],
) -> Values:
    """Mean over photographs of each cell, training, person and target, over pairs with a value in all of them."""
    cells, trainings, people, targets = axes
    factors = [*levels, "training"]
    by_pair = rows.groupby(["person", "source", "target", *factors], observed=True)["value"].mean()
    table = by_pair.unstack(factors)
    complete = table[table.notna().all(axis=1)]
    means = complete.groupby(level=["person", "target"]).mean()
    values = np.full(tuple(map(len, axes)), np.nan)
    row, column = {name: i for i, name in enumerate(people)}, {name: i for i, name in enumerate(targets)}
    for (place, cell), (number, training) in itertools.product(enumerate(cells), enumerate(trainings)):
        for pair, value in means[(*cell, training)].items():
            person, target = cast(tuple[str, str], pair)
            values[place, number, row[person], column[target]] = value
    return Values(values, len(table) - len(complete), len(table))


def _effects(metric: str, design: tuple[Levels, Sequence[Cell]], values: Floats, seed: int) -> list[Effect]:
    """Effects of one metric, p values corrected over them (Holm)."""
    effects = []
    for factors, compared, weights in contrasts(*design):
        if weights is None:
            effects.append(Effect(metric, factors, compared, None, method="confounded with other effects"))
            continue
        mean = mean_of_trainings(np.tensordot(weights, values, axes=1), seed)
        rounding = 1e-12 * float(np.abs(weights) @ np.nanmean(np.abs(values), axis=(1, 2, 3)))
        if abs(mean.value) <= rounding:
            mean = Mean(0.0, 0.0, 0.0, 1.0, mean.method)
        effects.append(
            Effect(metric, factors, compared, mean.value, mean.low, mean.high, mean.p, mean.method)
        )
    tested = [place for place, effect in enumerate(effects) if effect.p is not None]
    corrected = holm([cast(float, effects[place].p) for place in tested])
    for place, p in zip(tested, corrected, strict=True):
        effects[place] = replace(effects[place], p=p)
    return effects


def _cell_run(
    run: Run, place: int, design: tuple[Levels, Sequence[Cell]], values: Mapping[str, Values], seed: int
) -> Run:
    """One cell as a run: its levels as tags, and its means with trainings, people and targets random."""
    levels, cells = design
    cell = cells[place]
    metrics: dict[str, MetricResult] = {}
    for metric, each in values.items():
        mean = mean_of_trainings(each.trained[place], seed).within(*find_card(metric.partition("@")[0]).range)
        change = {"value": mean.value, "low": mean.low, "high": mean.high, "method": mean.method}
        n = {"generated": each.pairs - each.left_out}
        metrics[metric] = run.metrics[metric].model_copy(update={**change, "level": 0.95, "n": n})
    tags = dict(zip(levels, cell, strict=True))
    return run.model_copy(update={"name": "-".join(cell), "tags": tags, "metrics": metrics, "groups": {}})


def _target_columns(rows: pd.DataFrame, levels: Levels, targets: Sequence[str]) -> dict[str, list[str]]:
    """Columns of the manifest with one value per target, such as the expression."""
    columns: dict[str, list[str]] = {}
    for name in rows.columns:
        known = str(name) not in (
            *_TABLE_COLUMNS,
            *TRAININGS,
            "training",
            *LINKED,
            *PEOPLE,
            *levels,
        ) and ":" not in str(name)
        if not known or not pd.api.types.is_string_dtype(rows[name].dropna()) or rows[name].isna().any():
            continue
        values = rows.groupby("target")[name].unique()
        if all(len(each) == 1 for each in values):
            columns[str(name)] = [str(values[target][0]) for target in targets]
    return columns


def _natural(names: set[str]) -> list[str]:
    """Sort names with numbers by their numbers."""

    def key(name: str) -> list[tuple[int, int, str]]:
        parts = re.split(r"(\d+)", name)
        return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts if part]

    return sorted(names, key=key)
