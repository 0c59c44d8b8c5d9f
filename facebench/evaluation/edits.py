"""Edits by source, wanted expression and strength: the rows from which metrics of edits are computed.

The wanted expression stands in the manifest's column `expression`, or in `attribute` as `facebench edit` writes it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from facebench.core.errors import InputError
from facebench.core.tables import Cell, Column, Table
from facebench.evaluation.cards import Card, load_cards
from facebench.evaluation.expression_names import class_indices, expression_name
from facebench.evaluation.record import Run
from facebench.evaluation.role_features import Mask, RoleFeatures
from facebench.metrics.arrays import Array, Floats, Ints
from facebench.metrics.expression_confusion import expression_confusion
from facebench.metrics.paired import cosine_similarity
from facebench.metrics.pairs import pair_scores
from facebench.metrics.registry import metric_function
from facebench.metrics.share_verified import threshold_at


@dataclass(frozen=True)
class EditRows:
    """What a network reads from every generated image; only rows of `valid` count.

    Attributes:
        predicted: (n,) names of the dominant expressions.
        wanted: (n,) names of the wanted expressions, in the network's order of classes; empty where unknown.
        score: (n,) probability of the wanted expression.
        strength: (n,) strength of the edit; NaN without a number.
        source: (n,) row of the source.
        valid: (n,) whether the row has a face, a source and an expression that the network knows.
    """

    predicted: Array
    wanted: Array
    score: Floats
    strength: Floats
    source: Ints
    valid: Mask

    def series(self) -> list[Ints]:
        """Rows of each source and wanted expression in ascending strength; without strengths, one row each."""
        rows: dict[tuple[int, str, int], list[int]] = defaultdict(list)
        for row in np.flatnonzero(self.valid):
            alone = int(row) if np.isnan(self.strength[row]) else -1
            rows[int(self.source[row]), str(self.wanted[row]), alone].append(int(row))
        ordered = [np.array(sorted(each, key=lambda row: self.strength[row])) for each in rows.values()]
        return sorted(ordered, key=lambda each: int(each[-1]))

    def strongest(self) -> Mask:
        """Mask of the strongest edit of each source towards each expression."""
        mask = np.zeros(len(self.valid), dtype=np.bool_)
        mask[[rows[-1] for rows in self.series()]] = True
        return mask


def edit_rows(card: Card, features: RoleFeatures) -> EditRows:
    """Read expression, score and strength of every generated image.

    Raises:
        InputError: the network has no classes, or no row names an expression that it knows.
    """
    logits, valid = features.rows("generated", card.reads.backbone, "expression")
    classes = getattr(features.extractions["generated"].backbones.get(card.reads.backbone), "expressions", ())
    names = np.array([expression_name(name) for name in classes] or [""])
    column = "expression" if any(features.column("generated", "expression")) else "attribute"
    wanted = class_indices(features.column("generated", column), classes)
    if np.isnan(wanted).all():
        raise InputError(
            "needs a manifest with expressions that the network knows in the column 'expression' or 'attribute'"
        )
    index = np.nan_to_num(wanted).astype(np.int64)
    probabilities = _softmax(logits)
    source = features.links["source"]
    return EditRows(
        predicted=names[np.nan_to_num(logits).argmax(axis=1)],
        wanted=names[index],
        score=np.take_along_axis(probabilities, index[:, None], axis=1)[:, 0],
        strength=features.numbers("strength"),
        source=source,
        valid=valid & ~np.isnan(wanted) & (source >= 0),
    )


def identity_cosines(card: Card, features: RoleFeatures) -> tuple[Floats, Mask]:
    """Return the cosine of every edit and its source by the card's recogniser, and a mask of existing cosines."""
    recogniser = str(card.identity_by)
    (rows, valid), (sources, has_source) = (
        features.partner_rows(role, recogniser, "embedding") for role in ("generated", "source")
    )
    both = valid & has_source
    cosines = np.full(len(both), np.nan)
    if both.any():
        cosines[both] = cosine_similarity(rows[both], sources[both])
    return cosines, both


def series_of_scores(rows: EditRows) -> tuple[Floats, Floats, Mask]:
    """Return strengths and scores, (faces, k) each, of the faces with an edit at every strength, and a row of each.

    Raises:
        InputError: fewer than two strengths, or no face with an edit at every strength.
    """
    index, mask = complete_series(rows)
    return rows.strength[index], rows.score[index], mask


def complete_series(rows: EditRows) -> tuple[Ints, Mask]:
    """Return the rows of the faces with an edit at every strength, (faces, k) by ascending strength, and a row of each.

    Raises:
        InputError: fewer than two strengths, or no face with an edit at every strength.
    """
    known = rows.strength[rows.valid & ~np.isnan(rows.strength)]
    steps = np.unique(known)
    if len(steps) < 2:
        raise InputError(f"needs edits at two strengths or more in the column 'strength', not {len(steps)}")
    complete = [each for each in rows.series() if np.array_equal(rows.strength[each], steps)]
    if not complete:
        raise InputError(f"no face has one edit at each of the {len(steps)} strengths")
    mask = np.zeros(len(rows.valid), dtype=np.bool_)
    mask[[each[-1] for each in complete]] = True
    return np.stack(complete), mask


def source_threshold(features: RoleFeatures, recogniser: str, rate: float) -> tuple[float, int]:
    """Return the cosine at a false match rate among sources of different people, and the number of these pairs.

    Sources without an identity count as different people.

    Args:
        features: features with the role `source`.
        recogniser: network of the embeddings.
        rate: false match rate as a fraction.

    Raises:
        InputError: the sources have too few pairs of different people for the rate.
    """
    rows, valid = features.rows("source", recogniser, "embedding")
    linked = np.unique(features.links["source"])
    linked = linked[linked >= 0]
    used = linked[valid[linked]]
    people = _people_of_sources(features)
    names = [people.get(int(row)) or f"row {row}" for row in used]
    if len(set(names)) < 2:
        raise InputError("needs sources of two people or more, for the threshold of the recogniser")
    scores = pair_scores(rows[used], names)
    return threshold_at(scores.impostor, rate), len(scores.impostor)


def photograph_threshold(recogniser: str) -> float | None:
    """Return the threshold of a recogniser for photographs, from the card of `share_verified`; None without one."""
    thresholds = (
        card.params["threshold"]
        for card in load_cards().values()
        if card.compute == "share_verified" and card.reads.backbone == recogniser
    )
    return next(thresholds, None)


def _people_of_sources(features: RoleFeatures) -> dict[int, str]:
    """Return the identity of each source, from its own row or from an edit of it."""
    people = {int(row): name for row, name in enumerate(features.identities("source")) if name}
    for row, name in zip(features.links["source"], features.identities("generated"), strict=True):
        if name:
            people.setdefault(int(row), name)
    return people


def _softmax(logits: Array) -> Floats:
    shifted = np.asarray(logits, dtype=np.float64)
    shifted = np.exp(shifted - shifted.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def add_edit_columns(table: pd.DataFrame, cards: Sequence[Card], features: RoleFeatures) -> pd.DataFrame:
    """Return the per-image table with what each network of edit metrics reads from the generated images.

    The columns are `wanted:NETWORK` and `predicted:NETWORK` (names of expressions) and `score:NETWORK` (probability of
    the wanted one). They are empty for images without a face, a source or a known expression.
    """
    chosen = {card.reads.backbone: card for card in cards if metric_function(card.compute).sample == "edits"}
    generated = np.flatnonzero(table["role"] == "generated")
    columns: dict[str, Array] = {}
    for network, card in chosen.items():
        if "source" not in features.links:
            continue
        try:
            rows = edit_rows(card, features)
        except InputError:
            continue  # the metrics state the reason
        places = generated[rows.valid]
        for name, values in (("wanted", rows.wanted), ("predicted", rows.predicted), ("score", rows.score)):
            empty = (
                np.full(len(table), np.nan) if name == "score" else np.full(len(table), None, dtype=object)
            )
            empty[places] = values[rows.valid]
            columns[f"{name}:{network}"] = empty
    return table.assign(**columns)


def edit_tables(run: Run) -> list[Table]:
    """Return, for each network of edit metrics, the confusion matrix and the mean score at each strength."""
    table = run.per_image
    if table is None:
        return []
    rows = table[table["role"] == "generated"]
    networks = [str(name).partition(":")[2] for name in rows.columns if str(name).startswith("predicted:")]
    tables = []
    for network in networks:
        known = rows[rows[f"predicted:{network}"].notna()]
        if len(known):
            tables.append(_confusion_table(known, network))
            tables += _strength_tables(known, network)
    return tables


def _confusion_table(rows: pd.DataFrame, network: str) -> Table:
    """Shares of the strongest edits towards each expression that are read as each expression."""
    wanted, predicted = f"wanted:{network}", f"predicted:{network}"
    if "strength" in rows and (strength := pd.to_numeric(rows["strength"], errors="coerce")).notna().any():
        ordered = rows.assign(_strength=strength).sort_values("_strength", kind="stable")
        rows = ordered.groupby(["source", wanted], sort=False).tail(1)
    found = expression_confusion(rows[predicted].tolist(), rows[wanted].tolist())
    columns = [
        Column("wanted", "wanted", numeric=False),
        *(Column(name, f"read as {name}") for name in found.classes),
    ]
    lines = [
        [Cell(name), *(Cell(f"{share:.2f}", float(share)) for share in shares)]
        for name, shares in zip(found.wanted, found.matrix, strict=True)
    ]
    return Table(columns, lines, caption=f"strongest edits, as {network} reads them (n = {found.n})")


def _strength_tables(rows: pd.DataFrame, network: str) -> list[Table]:
    """Mean probability of the wanted expression at each strength; empty without two strengths."""
    if "strength" not in rows:
        return []
    strength = pd.to_numeric(rows["strength"], errors="coerce")
    steps = sorted(strength.dropna().unique())
    if len(steps) < 2:
        return []
    columns = [
        Column("wanted", "wanted", numeric=False),
        *(Column(f"{step:g}", f"strength {step:g}") for step in steps),
    ]
    lines = []
    for name, members in rows.groupby(f"wanted:{network}"):
        means = [members.loc[strength[members.index] == step, f"score:{network}"].mean() for step in steps]
        lines.append(
            [
                Cell(str(name)),
                *(Cell("–" if np.isnan(mean) else f"{mean:.2f}", float(mean)) for mean in means),
            ]
        )
    return [Table(columns, lines, caption=f"mean probability of the wanted expression, by {network}")]
