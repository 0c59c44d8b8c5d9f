"""Which face gives and which one takes."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from facebench.core.errors import InputError
from facebench.images.image_set import ImageSet, Item

LEVELS = ("low", "middle", "high")
SLIDERS = ("age", "gender", "skin")
"""Columns between 0 and 1 that are told in thirds, so that they can be grouped by."""
OF_SOURCE = ("identity", *SLIDERS)
"""What the manifest of a transfer says of the face that takes."""
OF_SHOWN = ("expression", "valence", "arousal")
"""What it says of the face whose expression is seen."""


@dataclass(frozen=True)
class Pair:
    """One transfer.

    Attributes:
        source: whose identity stays.
        target: whose expression, light or pose is taken.
        columns: further columns of the pairs manifest.
    """

    source: Item
    target: Item
    columns: Mapping[str, str] = field(default_factory=dict)


def read_pairs(path: Path, sources: ImageSet, targets: ImageSet) -> list[Pair]:
    """Read a CSV file with the columns `source` and `target`: names of images in the two sets.

    Raises:
        InputError: the file cannot be read, lacks a column or rows, or names an image that is not there.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as CSV ({error}).") from None
    if not rows:
        raise InputError(f"{path} has no rows. Write one for each pair: source,target.")
    for column in ("source", "target"):
        if column not in rows[0]:
            raise InputError(f"{path} has no column '{column}'. It has: {', '.join(map(str, rows[0]))}.")
    from_source, from_target = _by_name(sources), _by_name(targets)
    pairs = []
    for line, row in enumerate(rows, start=2):
        others = {k: v.strip() for k, v in row.items() if k not in ("source", "target") and k and v}
        source = _named(row["source"], from_source, sources, f"{path} line {line}")
        target = _named(row["target"], from_target, targets, f"{path} line {line}")
        pairs.append(Pair(source, target, others))
    return pairs


def pair_up(sources: ImageSet, targets: ImageSet) -> list[Pair]:
    """Without a manifest: one with each, or the first with the first, the second with the second ...

    Raises:
        InputError: the numbers do not fit.
    """
    a, b = sources.items, targets.items
    if len(a) != len(b) and 1 not in (len(a), len(b)):
        raise InputError(
            f"{len(a)} sources and {len(b)} targets: give one of either, as many of both, or a manifest with --pairs."
        )
    count = max(len(a), len(b))
    chosen = [Pair(a[i % len(a)], b[i % len(b)]) for i in range(count)]
    return [pair for pair in chosen if not _same(pair)] if min(len(a), len(b)) == 1 < count else chosen


def draw_pairs(sources: ImageSet, targets: ImageSet, count: int, seed: int = 0) -> list[Pair]:
    """Random pairs of different people with different expressions, where the sets say who and what they show.

    Sources and targets take turns in random order, so that every image is used about equally often.

    Raises:
        InputError: no such pair exists.
    """
    rng = np.random.default_rng(seed)
    pairs: list[Pair] = []
    for _ in range(100):
        for i, j in zip(_order(rng, sources, count), _order(rng, targets, count), strict=True):
            pair = Pair(sources.items[i], targets.items[j])
            if len(pairs) < count and _differ(pair, sources.root != targets.root):
                pairs.append(pair)
        if len(pairs) == count:
            return pairs
    raise InputError(f"No {count} pairs of different people with different expressions could be drawn.")


def write_pairs(path: Path, pairs: Sequence[Pair]) -> None:
    """Write a pairs manifest."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("source", "target"))
        table.writerows((pair.source.name, pair.target.name) for pair in pairs)


def refuse_same(pairs: Sequence[Pair]) -> None:
    """Make sure that nobody is their own target.

    Raises:
        InputError: a pair names the same image twice.
    """
    same = [pair for pair in pairs if _same(pair)]
    if same:
        raise InputError(
            f"{len(same)} of {len(pairs)} pairs have the same image as source and target (the first: "
            f"{same[0].source.name}). Nothing would be transferred; the column `reconstruction` shows what the model "
            "makes of an unchanged face."
        )


def described(pair: Pair, what: str) -> dict[str, str]:
    """What is known about a transfer, for the manifest: who, and what was asked for.

    Identity, age, gender and skin are the source's; expression, valence and arousal are those of the face that gives
    the expression. Columns of the pairs manifest overrule.
    """
    taking, showing = pair.source.columns, (pair.target if what == "expression" else pair.source).columns
    columns = {name: taking[name] for name in OF_SOURCE if name in taking}
    columns = {name: level(value) if name in SLIDERS else value for name, value in columns.items()}
    columns |= {name: showing[name] for name in OF_SHOWN if name in showing}
    return columns | dict(pair.columns)


def level(text: str) -> str:
    """A slider in thirds; text that is no number between 0 and 1 stays.

    Example:
        >>> level("0.2"), level("0.9"), level("female")
        ('low', 'high', 'female')
    """
    try:
        value = float(text)
    except ValueError:
        return text
    return LEVELS[min(2, int(value * 3))] if 0 <= value <= 1 else text


def _differ(pair: Pair, apart: bool) -> bool:
    """Whether two faces show different people and expressions; names of people in sets apart mean nothing."""
    person, expression = (
        (pair.source.columns.get(name), pair.target.columns.get(name)) for name in ("identity", "expression")
    )
    others = apart or person[0] is None or person[0] != person[1]
    return others and not _same(pair) and (expression[0] is None or expression[0] != expression[1])


def _same(pair: Pair) -> bool:
    return pair.source.path.resolve() == pair.target.path.resolve()


def _order(rng: np.random.Generator, images: ImageSet, count: int) -> list[int]:
    rounds = -(-count // len(images.items))
    drawn = [place for _ in range(rounds) for place in rng.permutation(len(images.items)).tolist()]
    return drawn[:count]


def _by_name(images: ImageSet) -> dict[str, Item]:
    return {item.name: item for item in images.items}


def _named(name: str | None, known: Mapping[str, Item], images: ImageSet, where: str) -> Item:
    wanted = (name or "").strip()
    if wanted not in known:
        close = difflib.get_close_matches(wanted, known, n=1)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        raise InputError(f"{where}: there is no image '{wanted}' in {images.root}.{hint}")
    return known[wanted]
