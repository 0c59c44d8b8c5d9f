"""Pairs of a source and a target image for transfers."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from facebench.core.errors import InputError
from facebench.core.files import atomic_write_text
from facebench.core.suggest import suggest
from facebench.images.image_set import ImageSet, Item

LEVELS = ("low", "middle", "high")
SLIDERS = ("age", "gender", "skin")
"""Columns between 0 and 1 that the manifest gives in thirds, so that evaluations can group by them."""
OF_SOURCE = ("identity", *SLIDERS)
"""Columns that the manifest of a transfer copies from the source."""
OF_SHOWN = ("expression", "valence", "arousal")
"""Columns that the manifest copies from the face whose expression the result shows."""
_ROUNDS = 100
"""Random orders of the images that `draw_pairs` tries."""


@dataclass(frozen=True)
class Pair:
    """One transfer.

    Attributes:
        source: image whose identity stays.
        target: image whose expression, light or pose is transferred.
        columns: additional columns of the pairs manifest.
    """

    source: Item
    target: Item
    columns: Mapping[str, str] = field(default_factory=dict)


def read_pairs(path: Path, sources: ImageSet, targets: ImageSet) -> list[Pair]:
    """Read a CSV file with the columns `source` and `target`, names of images in the two sets.

    Raises:
        InputError: the file cannot be read, lacks a column or rows, or names a missing image.
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
    source_items, target_items = _by_name(sources), _by_name(targets)
    pairs = []
    for line, row in enumerate(rows, start=2):
        columns = {k: v.strip() for k, v in row.items() if k not in ("source", "target") and k and v}
        source = _find(row["source"], source_items, sources, f"{path} line {line}")
        target = _find(row["target"], target_items, targets, f"{path} line {line}")
        pairs.append(Pair(source, target, columns))
    return pairs


def pair_up(sources: ImageSet, targets: ImageSet) -> list[Pair]:
    """Pair images without a manifest: in order when the sets are equally large, else the single image with each other.

    Raises:
        InputError: the sets differ in size and neither has one image.
    """
    a, b = sources.items, targets.items
    if len(a) != len(b) and 1 not in (len(a), len(b)):
        raise InputError(
            f"{len(a)} sources and {len(b)} targets: give one of either, as many of both, or a manifest with --pairs."
        )
    count = max(len(a), len(b))
    pairs = [Pair(a[i % len(a)], b[i % len(b)]) for i in range(count)]
    return [pair for pair in pairs if not _same(pair)] if min(len(a), len(b)) == 1 < count else pairs


def all_pairs(sources: ImageSet, targets: ImageSet) -> list[Pair]:
    """Pair every source with every target; an image is not paired with itself."""
    pairs = [Pair(source, target) for source in sources.items for target in targets.items]
    return [pair for pair in pairs if not _same(pair)]


def draw_pairs(sources: ImageSet, targets: ImageSet, count: int, seed: int = 0) -> list[Pair]:
    """Draw random pairs of different people with different expressions, as far as the sets have these columns.

    Images are drawn in random order without repetition until all are used, so each is used about equally often.

    Raises:
        InputError: there are not enough such pairs.
    """
    rng = np.random.default_rng(seed)
    pairs: list[Pair] = []
    for _ in range(_ROUNDS):
        for i, j in zip(_order(rng, sources, count), _order(rng, targets, count), strict=True):
            pair = Pair(sources.items[i], targets.items[j])
            if len(pairs) < count and _differ(pair, sources.root != targets.root):
                pairs.append(pair)
        if len(pairs) == count:
            return pairs
    raise InputError(f"No {count} pairs of different people with different expressions could be drawn.")


def write_pairs(path: Path, pairs: Sequence[Pair]) -> None:
    """Write a pairs manifest."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("source", "target"))
    table.writerows((pair.source.name, pair.target.name) for pair in pairs)
    atomic_write_text(path, text.getvalue())


def refuse_same(pairs: Sequence[Pair]) -> None:
    """Check that no image is its own target.

    Raises:
        InputError: a pair has the same image twice.
    """
    same = [pair for pair in pairs if _same(pair)]
    if same:
        raise InputError(
            f"{len(same)} of {len(pairs)} pairs have the same image as source and target (the first: "
            f"{same[0].source.name}). Nothing would be transferred; the column `reconstruction` shows what the "
            "model makes of an unchanged face."
        )


def described(pair: Pair, kind: str) -> dict[str, str]:
    """Columns of a transfer for the manifest.

    Identity, age, gender and skin come from the source. Expression, valence and arousal come from the face that
    provides the expression. Columns of the pairs manifest take precedence.
    """
    source, shown = pair.source.columns, (pair.target if kind == "expression" else pair.source).columns
    columns = {name: source[name] for name in OF_SOURCE if name in source}
    columns = {name: level(value) if name in SLIDERS else value for name, value in columns.items()}
    columns |= {name: shown[name] for name in OF_SHOWN if name in shown}
    return columns | dict(pair.columns)


def level(text: str) -> str:
    """Convert a slider to thirds; text that is not a number between 0 and 1 is returned unchanged.

    Example:
        >>> level("0.2"), level("0.9"), level("female")
        ('low', 'high', 'female')
    """
    try:
        value = float(text)
    except ValueError:
        return text
    return LEVELS[min(2, int(value * 3))] if 0 <= value <= 1 else text


def _differ(pair: Pair, separate_sets: bool) -> bool:
    """Whether people and expressions differ; identities of separate sets are not comparable and count as different."""
    people, expressions = (
        (pair.source.columns.get(name), pair.target.columns.get(name)) for name in ("identity", "expression")
    )
    different_people = separate_sets or people[0] is None or people[0] != people[1]
    different_expressions = expressions[0] is None or expressions[0] != expressions[1]
    return different_people and not _same(pair) and different_expressions


def _same(pair: Pair) -> bool:
    return pair.source.path.resolve() == pair.target.path.resolve()


def _order(rng: np.random.Generator, images: ImageSet, count: int) -> list[int]:
    rounds = -(-count // len(images.items))
    order = [index for _ in range(rounds) for index in rng.permutation(len(images.items)).tolist()]
    return order[:count]


def _by_name(images: ImageSet) -> dict[str, Item]:
    return {item.name: item for item in images.items}


def _find(name: str | None, items: Mapping[str, Item], images: ImageSet, where: str) -> Item:
    stripped = (name or "").strip()
    if stripped not in items:
        raise InputError(
            f"{where}: {images.root} does not contain the image '{stripped}'. {suggest(stripped, items)}"
        )
    return items[stripped]
