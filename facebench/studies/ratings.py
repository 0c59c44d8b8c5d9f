"""Agreement of metrics with people: ratings of images, or preferences between two images, against per-image numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from facebench.core.errors import InputError
from facebench.core.files import check_regular
from facebench.core.suggest import suggest
from facebench.core.tables import Cell, Column, Table
from facebench.evaluation.per_image import image_terms
from facebench.evaluation.record import Run
from facebench.metrics.interval import Interval
from facebench.metrics.intervals import bootstrap_images
from facebench.metrics.rank_agreement import pair_agreement, rank_correlation
from facebench.metrics.units import Units

FEWEST = 10
"""Rated images or pairs below which no agreement is computed."""

Kind = Literal["ratings", "pairs"]


@dataclass(frozen=True)
class Ratings:
    """Judgements of people.

    Attributes:
        kind: `ratings` of single images, or preferences between `pairs`.
        rows: `image` and `rating` (mean over people), or `preferred` and `rejected`; and `domain`, empty if unknown.
    """

    kind: Kind
    rows: pd.DataFrame


@dataclass(frozen=True)
class Agreement:
    """Agreement of one metric with people.

    Attributes:
        metric: its id.
        domain: rows of the ratings that were used; empty for all of them.
        value: rank correlation in [-1, 1], or share of pairs in [0, 1]. Metrics whose lower values are better are
            negated first, so a higher agreement is always better.
        interval: over images or pairs; None where it is undefined.
        n: rated images or pairs with a number.
        signed: whether the metric has a better direction.
    """

    metric: str
    domain: str
    value: float
    interval: Interval | None
    n: int
    signed: bool


def read_ratings(path: Path) -> Ratings:
    """Read a CSV file of ratings.

    Columns are `image` and `rating` (several rows of an image are averaged), or `left`, `right` and `preferred`, which
    holds `left` or `right`; rows with another preference, such as a tie, are left out. `domain` is optional. A leading
    `./` of a name is removed.

    Raises:
        InputError: the file cannot be read, lacks the columns, or holds a rating that is not a number.
    """
    check_regular(path)
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, compression=None)
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(f"{path} cannot be read as CSV: {error}") from error
    domain = table["domain"] if "domain" in table else pd.Series("", index=table.index)
    if {"left", "right", "preferred"} <= set(table.columns):
        chosen = table["preferred"].str.strip().str.lower()
        first, second = (table[side].str.removeprefix("./") for side in ("left", "right"))
        left, right = first.where(chosen == "left", second), second.where(chosen == "left", first)
        rows = pd.DataFrame({"preferred": left, "rejected": right, "domain": domain})
        return Ratings("pairs", _filled(rows[chosen.isin(["left", "right"])], path))
    if not {"image", "rating"} <= set(table.columns):
        raise InputError(f"{path} needs the columns image and rating, or left, right and preferred.")
    numbers = pd.to_numeric(table["rating"], errors="coerce")
    if not np.isfinite(numbers).all():
        line = int(np.flatnonzero(~np.isfinite(numbers))[0]) + 2
        raise InputError(f"{path}, line {line}: the rating is not a finite number.")
    names = table["image"].str.removeprefix("./")
    rows = pd.DataFrame({"image": names, "domain": domain, "rating": numbers})
    means = pd.DataFrame(rows.groupby(["image", "domain"], as_index=False)["rating"].mean())
    return Ratings("ratings", _filled(means, path))


def agreements(run: Run, ratings: Ratings, seed: int = 0) -> list[Agreement]:
    """Return the agreement of every metric of a run that is a mean over images, for all rows and for each domain.

    Raises:
        InputError: no rated image is in the run, or no metric is a mean over images.
    """
    if run.per_image is None:
        raise InputError(
            "This record has no per-image table beside it, so ratings of images cannot be compared."
        )
    table = run.per_image[run.per_image["role"] == "generated"].drop_duplicates("image").set_index("image")
    _check_names(ratings, [str(name) for name in table.index])
    domains = sorted(set(ratings.rows["domain"]) - {""})
    found = []
    for metric, result in run.metrics.items():
        terms = image_terms(metric, run)
        if terms is None:
            continue
        numbers = -terms if result.better == "lower" else terms
        for domain in ["", *domains] if len(domains) > 1 else [""]:
            rows = ratings.rows if domain == "" else ratings.rows[ratings.rows["domain"] == domain]
            one = _agreement(ratings.kind, rows, numbers, table, seed)
            if one is not None:
                found.append(Agreement(metric, domain, *one, result.better != "neither"))
    if not found:
        raise InputError(f"No metric of the run has numbers for {FEWEST} rated images or pairs.")
    return found


def _agreement(
    kind: Kind, rows: pd.DataFrame, numbers: pd.Series[float], table: pd.DataFrame, seed: int
) -> tuple[float, Interval | None, int] | None:
    """Return value, interval and n; None with too few rows that have numbers."""
    first = rows["image" if kind == "ratings" else "preferred"]
    values = numbers.reindex(first).to_numpy(dtype=np.float64)
    other = (
        rows["rating"].to_numpy(dtype=np.float64)
        if kind == "ratings"
        else numbers.reindex(rows["rejected"]).to_numpy(dtype=np.float64)
    )
    known = np.isfinite(values) & np.isfinite(other)
    if known.sum() < FEWEST:
        return None
    arrays = (other[known], values[known]) if kind == "ratings" else (values[known], other[known])
    function = rank_correlation if kind == "ratings" else pair_agreement
    value = function(*arrays)
    if not np.isfinite(value):
        return value, None, int(known.sum())
    units = _units(first[known], table)
    interval = bootstrap_images(function, *arrays, units=units, seed=seed).get("value")
    return value, interval, int(known.sum())


def _units(images: pd.Series[str], table: pd.DataFrame) -> Units:
    """Units of the interval: the person or the source of the images where several share one, else the image."""
    for column in ("identity", "source"):
        if column in table and table[column].reindex(images).notna().all():
            return Units.of(table[column].reindex(images).astype(str).tolist(), kinds=[column])
    return Units.of(images.tolist(), kinds=["image"])


def agreement_table(found: Sequence[Agreement], kind: Kind) -> Table:
    """Return the agreements as a table, best first."""
    name = "rank correlation" if kind == "ratings" else "share of pairs"
    columns = [
        Column("metric", "Metric", numeric=False),
        Column("domain", "Domain", numeric=False),
        Column("value", name),
        Column("interval", "95 % interval"),
        Column("n", "n"),
    ]
    ordered = sorted(found, key=lambda one: (one.domain, -one.value if np.isfinite(one.value) else np.inf))
    rows = []
    for one in ordered:
        ends = "–" if one.interval is None else f"[{one.interval.low:.2f}, {one.interval.high:.2f}]"
        shown = f"{one.value:.2f}" if np.isfinite(one.value) else "–"
        mark = "" if one.signed else " (no direction)"
        rows.append(
            [
                Cell(one.metric + mark),
                Cell(one.domain or "all"),
                Cell(shown, one.value),
                Cell(ends),
                Cell(str(one.n)),
            ]
        )
    return Table(columns, rows, caption=f"Agreement with people, {name}")


def _check_names(ratings: Ratings, known: list[str]) -> None:
    columns = ["image"] if ratings.kind == "ratings" else ["preferred", "rejected"]
    names = {str(name) for column in columns for name in ratings.rows[column]}
    if not names & set(known):
        first = min(names)
        raise InputError(
            f"The run has no image '{first}', nor any other rated image. {suggest(first, known)}"
        )


def _filled(rows: pd.DataFrame, path: Path) -> pd.DataFrame:
    if rows.empty:
        raise InputError(f"{path} holds no judgement. Write one row for each.")
    return rows.reset_index(drop=True)
