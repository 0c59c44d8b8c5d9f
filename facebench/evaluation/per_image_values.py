"""What a metric averages over images, from the per-image table beside a record."""

from __future__ import annotations

import functools
import inspect
import math
import posixpath
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from facebench import metrics
from facebench.evaluation.cards import Card, find_card, load_cards
from facebench.evaluation.inputs import LINKED
from facebench.evaluation.plan import DETECTOR, PAIR_NETWORKS
from facebench.evaluation.record import Run
from facebench.metrics.arrays import Floats
from facebench.metrics.intervals.interval import numbers


@dataclass(frozen=True)
class Quantity:
    """What a metric averages over images."""

    rows: pd.DataFrame
    """The arguments of the function, by image name; incomplete rows are not used."""
    function: Callable[[Floats], float]
    """From complete rows (n, arguments) to the metric."""

    def value(self) -> float:
        """The metric over all images."""
        return self.on(self.rows.to_numpy(dtype=np.float64))

    def on(self, rows: Floats) -> float:
        """The metric over some rows; NaN where none is complete."""
        complete = rows[~np.isnan(rows).any(axis=1)]
        return self.function(complete) if len(complete) else math.nan


def quantity(metric: str, run: Run) -> Quantity | None:
    """What a metric averages; None where the per-image table does not hold it."""
    name, _, reference = metric.partition("@")
    card = load_cards().get(name)
    table = run.per_image
    if card is None or table is None or card.interval != "bootstrap_images":
        return None
    found = _leaked(card, reference, run) if card.compute == "leakage" else _averaged(card, table)
    if found is None or not found.rows.index.is_unique:
        return None
    recorded = run.metrics[metric].value
    # A table that does not give the recorded value belongs to another run, and says nothing about this one.
    same = recorded is not None and math.isclose(found.value(), recorded, rel_tol=1e-6, abs_tol=1e-9)
    return found if same else None


def terms(metric: str, run: Run) -> pd.Series[float] | None:
    """The numbers of single images whose mean a metric is, by image name; None where it is no mean of such.

    A concordance or a spread is not a mean over images; an error, a similarity, a share are.
    """
    found = quantity(metric, run)
    if found is None:
        return None
    card = find_card(metric.partition("@")[0])
    first, *other = (found.rows[column] for column in found.rows)
    numbers = first
    if other:
        numbers = first - other[0]
        numbers = numbers.abs() if card.field == "mae" else numbers
    recorded = run.metrics[metric].value
    same = recorded is not None and math.isclose(numbers.mean(), recorded, rel_tol=1e-6, abs_tol=1e-9)
    return numbers if same else None


def _averaged(card: Card, table: pd.DataFrame) -> Quantity | None:
    """A metric that is a function of columns of the table."""
    if card.id in table:
        own = table[table["role"] == "generated"].set_index("image")
        return Quantity(own[[card.id]], _mean)
    rows = _arguments(card, table)
    if rows is None:
        return None
    bound = functools.partial(getattr(metrics, card.compute), **card.params)
    target_first = next(iter(inspect.signature(bound).parameters)) == "target"

    def function(values: Floats) -> float:
        columns = list(values.T)
        found = numbers(bound(*(reversed(columns) if target_first else columns)))
        return found[card.field or ("value" if "value" in found else "mean")]

    return Quantity(rows, function)


def _mean(values: Floats) -> float:
    return float(values.mean())


def _leaked(card: Card, reference: str, run: Run) -> Quantity | None:
    """The cosine to the closest training face, or whether it reaches the run's threshold."""
    at = f"@{reference}" if reference else ""
    column = f"closest_cosine:{card.reads.backbone}{at}"
    table = run.per_image
    if table is None or column not in table or card.field not in ("share", "similarity"):
        return None
    cosines = table[table["role"] == "generated"].set_index("image")[[column]]
    if card.field == "similarity":
        return Quantity(cosines, _mean)
    threshold = threshold_of(card.reads.backbone, reference, run)
    if threshold is None:
        return None
    return Quantity((cosines >= threshold).astype(float).where(cosines.notna()), _mean)


def threshold_of(backbone: str, reference: str, run: Run) -> float | None:
    """The cosine from which a face counted as somebody from the training set; None where it was not measured."""
    for metric, result in run.metrics.items():
        name, _, against = metric.partition("@")
        card = load_cards().get(name)
        if card is None or (card.compute, card.field) != ("leakage", "threshold"):
            continue
        if (card.reads.backbone, against) == (backbone, reference):
            return result.value
    return None


def _arguments(card: Card, table: pd.DataFrame) -> pd.DataFrame | None:
    """The columns that the card's function is called with, or None when they are not in the table."""
    if not isinstance(card.reads.array, str) or set(card.needs) - {"truth", *LINKED}:
        return None
    generated = table[table["role"] == "generated"].set_index("image")
    # A pair network has seen both images already: its answer is one number for each generated image.
    linked = [n for n in card.needs if n in LINKED and card.reads.backbone not in PAIR_NETWORKS]
    sides = linked if len(linked) == 2 else ["generated", *linked]
    columns = [_column(card, table, generated, role) for role in sides]
    if "truth" in card.needs:
        truth = generated.get(card.reads.array)
        columns.append(None if truth is None else pd.to_numeric(truth, errors="coerce"))
    if any(column is None for column in columns):
        return None
    arrays = [column.to_numpy(dtype=np.float64) for column in columns if column is not None]
    return pd.DataFrame(np.column_stack(arrays), index=generated.index)


def _column(card: Card, table: pd.DataFrame, generated: pd.DataFrame, role: str) -> pd.Series[float] | None:
    """One number for every generated image: its own, or that of what it belongs to."""
    if card.reads.backbone == DETECTOR:
        if "face_score" not in generated:
            return None
        score = generated["face_score"]
        found = score.notna().astype(float) if card.reads.array == "found" else score
        return found if role == "generated" else None
    return linked_column(table, f"{card.reads.array}:{card.reads.backbone}", role)


def linked_column(table: pd.DataFrame, column: str, role: str) -> pd.Series[float] | None:
    """A column for every generated image, by name: its own, or that of its source or target.

    None where the table does not have the column, or names no images of that role.
    """
    generated = table[table["role"] == "generated"].set_index("image")
    if column not in generated or (role != "generated" and role not in generated):
        return None
    if role == "generated":
        return generated[column]
    others = table[table["role"] == role].drop_duplicates("image").set_index("image")[column]
    found = others.reindex(generated[role].map(linked_name))
    return found.set_axis(generated.index)


def linked_name(text: object) -> str | None:
    """The name that a source or target has in its own rows, from what the manifest says."""
    return posixpath.normpath(text) if isinstance(text, str) else None
