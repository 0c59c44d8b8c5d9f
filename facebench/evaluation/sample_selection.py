"""Selection of the rows of images from which a metric is computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace

import numpy as np

from facebench.backbones.text_networks import TEXT_NETWORKS
from facebench.core.errors import InputError
from facebench.evaluation.cards import Card, Reads
from facebench.evaluation.clips import clip_values
from facebench.evaluation.edits import (
    complete_series,
    edit_rows,
    identity_cosines,
    photograph_threshold,
    series_of_scores,
    source_threshold,
)
from facebench.evaluation.expression_names import class_indices
from facebench.evaluation.inputs import HELD_OUT, LINKED
from facebench.evaluation.plan import PAIR_NETWORKS
from facebench.evaluation.reference_rows import card_rows, reference_rows, reference_rows_alone, valid_rows
from facebench.evaluation.resampling_units import units_of
from facebench.evaluation.role_features import Mask, RoleFeatures
from facebench.evaluation.samples import (
    Clips,
    EditGrid,
    Edits,
    IdentityPairs,
    ImagePairs,
    MemberSets,
    Sample,
    SubjectPairs,
    TwoSets,
    VerifiedEdits,
)
from facebench.metrics.arrays import Array
from facebench.metrics.registry import Sample as Kind
from facebench.metrics.registry import metric_function
from facebench.metrics.retrieval import FIELDS as RETRIEVAL_FIELDS
from facebench.metrics.retrieval import retrieval_terms
from facebench.metrics.units import Units


def draw_sample(card: Card, features: RoleFeatures) -> Sample:
    """Select the rows from which a metric is computed.

    Raises:
        InputError: the input lacks a role or column that the card needs; the record contains the message as reason.
    """
    _check_roles(card, features)
    if card.over_frames is not None:
        return _clips(card, features)
    return _SAMPLES[metric_function(card.compute).sample](card, features)


def reference_sample(card: Card, features: RoleFeatures) -> Sample:
    """Select the rows of the reference set from which a metric of one set is computed.

    Raises:
        InputError: the reference set has no identities, and the card needs them.
    """
    if metric_function(card.compute).sample == "verification":
        rows, names = _identified_rows(features, "reference", card.reads)
        counts = {"reference": len(rows)}
        return IdentityPairs(rows, counts, Units.of(names, kinds=["identity"]), names)
    rows = reference_rows_alone(card, features)
    return Sample(rows, {"reference": len(rows)}, Units.rows(len(rows)))


def paired_roles(card: Card) -> tuple[str, str] | None:
    """Return the two roles whose rows a metric of image pairs compares; None for any other metric.

    A network of pairs compares both images itself, so its output is one number for each generated image.
    """
    if metric_function(card.compute).sample != "pairs_of_images" or card.reads.backbone in PAIR_NETWORKS:
        return None
    if "truth" in card.needs:
        return None
    return (card.needs[0], card.needs[1]) if len(card.needs) == 2 else ("generated", card.needs[0])


def truth_of(card: Card, features: RoleFeatures) -> Array:
    """Return the manifest's value for every generated image; NaN where it is empty or unknown.

    Expressions become the index of the class in the network's order.
    """
    array = str(card.reads.array)
    if array != "expression":
        return features.numbers(array)
    network = features.extractions["generated"].backbones.get(card.reads.backbone)
    return class_indices(features.column("generated", array), getattr(network, "expressions", ()))


def _check_roles(card: Card, features: RoleFeatures) -> None:
    if "reference" in card.needs and "reference" in features.statistics:
        if metric_function(card.compute).sample != "two_sets":
            raise InputError("needs reference images, not their statistics")
    elif "reference" in card.needs and "reference" not in features.extractions:
        raise InputError("needs a reference set: --reference DIR")
    if HELD_OUT in card.needs and HELD_OUT not in features.extractions:
        raise InputError("needs images that were not trained on: --held-out DIR")
    for role in LINKED:
        if role in card.needs and role not in features.extractions:
            raise InputError(f"needs a manifest with the column '{role}'")
    column = TEXT_NETWORKS.get(card.reads.backbone)
    if column is not None and card.reads.backbone not in features.extractions["generated"].arrays:
        raise InputError(column.missing)


def _generated_rows(reads: Reads, features: RoleFeatures) -> tuple[Array, Units]:
    rows, valid = card_rows(features, "generated", reads)
    return valid_rows(rows, valid, reads), units_of(features, "generated", valid)


def _one_set(card: Card, features: RoleFeatures) -> Sample:
    generated, units = _generated_rows(card.reads, features)
    return Sample(generated, {"generated": len(generated)}, units)


def _scores(card: Card, features: RoleFeatures) -> Sample:
    pairs = _identity_pairs(card.reads, features, against_reference="reference" in card.needs)
    return pairs if features.subject is None else _subject_pairs(pairs, features.subject)


def _two_sets(card: Card, features: RoleFeatures) -> TwoSets:
    generated, units = _generated_rows(card.reads, features)
    reference = reference_rows(card, features)
    counts = {"generated": len(generated)}
    if reference.count is not None:
        counts["reference"] = reference.count
    return TwoSets(
        generated, counts, units, reference.rows, reference.units, reference.identities, reference.note
    )


def _member_sets(card: Card, features: RoleFeatures) -> MemberSets:
    """Add the held-out rows.

    Raises:
        InputError: a held-out file is in the training set as well.
    """
    contents = [set(features.extractions[role].sha256) - {""} for role in ("reference", HELD_OUT)]
    if shared := len(contents[0] & contents[1]):
        raise InputError(
            f"{shared} held-out images are in the training set as well; remove them from one set"
        )
    two = _two_sets(card, features)
    rows, valid = card_rows(features, HELD_OUT, card.reads)
    held_out, units = valid_rows(rows, valid, card.reads), units_of(features, HELD_OUT, valid)
    known = {entry.name: getattr(two, entry.name) for entry in fields(two)}
    known["counts"] = {**two.counts, HELD_OUT: len(held_out)}
    return MemberSets(**known, held_out=held_out, held_out_units=units)


def _clips(card: Card, features: RoleFeatures) -> Clips:
    clips = clip_values(card, features)
    counts = {"clips": len(clips.names), "generated": clips.frames}
    return Clips(clips.values, counts, Units.of(clips.names, kinds=["clip"]))


def _image_pairs(card: Card, features: RoleFeatures) -> ImagePairs:
    backbone, array = card.reads.backbone, str(card.reads.array)
    roles = paired_roles(card)
    if roles is None:
        rows, valid = features.rows("generated", backbone, array)
        partner = truth_of(card, features)
        if np.isnan(partner).all():
            content = "expressions that the network knows" if array == "expression" else "numbers"
            raise InputError(f"needs a manifest with {content} in the column '{array}'")
        both = valid & ~np.isnan(partner)
        return _pairs_of(features, rows, partner, both)
    (rows, valid), (partner_rows, partner_valid) = (
        features.partner_rows(role, backbone, array) for role in roles
    )
    both = valid & partner_valid & features.selected_generated
    return _pairs_of(features, rows, partner_rows, both)


def _pairs_of(features: RoleFeatures, rows: Array, partner: Array, both: Mask) -> ImagePairs:
    units = units_of(features, "generated", both)
    return ImagePairs(rows[both], {"generated": int(both.sum())}, units, partner[both])


def _strongest_edits(card: Card, features: RoleFeatures) -> Edits:
    rows = edit_rows(card, features)
    chosen, identity = rows.strongest(), None
    if card.identity_by is not None:
        cosines, known = identity_cosines(card, features)
        chosen &= known
        identity = cosines[chosen]
    units = units_of(features, "generated", chosen)
    counts = {"generated": int(chosen.sum())}
    return Edits(rows.predicted[chosen], counts, units, rows.wanted[chosen], rows.score[chosen], identity)


def _edit_series(card: Card, features: RoleFeatures) -> ImagePairs:
    """One row of scores and one of strengths for each source and expression."""
    strengths, scores, chosen = series_of_scores(edit_rows(card, features))
    units = units_of(features, "generated", chosen)
    return ImagePairs(scores, {"generated": scores.size, "faces": len(scores)}, units, strengths)


def _edit_grid(card: Card, features: RoleFeatures) -> EditGrid:
    """Rows are sources and expressions, columns are strengths."""
    rows = edit_rows(card, features)
    cosines, known = identity_cosines(card, features)
    rows = replace(rows, valid=rows.valid & known & features.selected_generated)
    threshold, counts, fallback = _threshold_of_grid(card, features)
    index, chosen = complete_series(rows)
    units = units_of(features, "generated", chosen)
    counts = {"generated": index.size, "faces": len(index), **counts}
    gained = np.asarray(rows.predicted[index] == rows.wanted[index], np.float64)
    kept = np.asarray(cosines[index] >= threshold, np.float64)
    return EditGrid(gained, counts, units, kept, rows.strength[index[0]], fallback)


def _threshold_of_grid(card: Card, features: RoleFeatures) -> tuple[float, dict[str, int], str]:
    """Return the threshold of the recogniser, the number of its impostor pairs, and a remark.

    Sources of one person, or of few, have no threshold. Then that of photographs takes its place.

    Raises:
        InputError: the sources give no threshold, and none of photographs is known.
    """
    recogniser = str(card.identity_by)
    try:
        threshold, impostors = source_threshold(features, recogniser, card.false_match_rate or 0.0)
    except InputError as error:
        fixed = photograph_threshold(recogniser)
        if fixed is None:
            raise
        return fixed, {}, f"same person from a cosine of {fixed:g} on, the threshold of photographs: {error}"
    return threshold, {"impostor": impostors}, ""


def _verified_edits(card: Card, features: RoleFeatures) -> VerifiedEdits:
    backbone, array = card.reads.backbone, str(card.reads.array)
    (rows, valid), (sources, has_source) = (
        features.partner_rows(role, backbone, array) for role in ("generated", "source")
    )
    both = valid & has_source & features.selected_generated
    threshold, impostors = source_threshold(features, backbone, card.false_match_rate or 0.0)
    counts = {"generated": int(both.sum()), "impostor": impostors}
    units = units_of(features, "generated", both)
    limits = np.full(int(both.sum()), threshold)
    return VerifiedEdits(rows[both], counts, units, sources[both], limits)


def _queries(card: Card, features: RoleFeatures) -> Sample:
    """Every generated image as a query in the reference set; rows as in `retrieval_rates`."""
    generated, identities = _identified_rows(features, "generated", card.reads)
    gallery, known = _identified_rows(features, "reference", card.reads)
    if not set(identities) & set(known):
        raise InputError("no identity has the same name in the generated and in the reference set")
    terms = retrieval_terms(generated, gallery, identities, known)
    rows = np.stack([terms[name] for name in RETRIEVAL_FIELDS], axis=1)
    units = Units.of(identities, kinds=["identity"])
    return Sample(rows, {"generated": len(rows), "reference": len(gallery)}, units)


def _identity_pairs(reads: Reads, features: RoleFeatures, *, against_reference: bool) -> IdentityPairs:
    generated, identities = _identified_rows(features, "generated", reads)
    counts = {"generated": len(generated)}
    units = Units.of(identities, kinds=["identity"])
    if not against_reference:
        return IdentityPairs(generated, counts, units, identities)
    reference, reference_identities = _identified_rows(features, "reference", reads)
    if not set(identities) & set(reference_identities):
        raise InputError("no identity has the same name in the generated and in the reference set")
    counts["reference"] = len(reference)
    return IdentityPairs(generated, counts, units, identities, reference, reference_identities)


def _subject_pairs(pairs: IdentityPairs, identity: str) -> SubjectPairs:
    """Restrict pairs to one identity of the generated set, against the reference if there is one."""
    is_subject = np.array([name == identity for name in pairs.identities], dtype=np.bool_)
    generated = pairs.generated[is_subject]
    units = Units.rows(len(generated))
    rows, names = pairs.reference, pairs.reference_identities
    if rows is None or names is None:
        others = [name for name in pairs.identities if name != identity]
        return SubjectPairs(
            generated, {"generated": len(generated)}, units, pairs.generated[~is_subject], others
        )
    same = np.array([name == identity for name in names], dtype=np.bool_)
    counts = {"generated": len(generated), "reference": int(same.sum())}
    others = [name for name in names if name != identity]
    return SubjectPairs(generated, counts, units, rows[~same], others, rows[same])


def _identified_rows(features: RoleFeatures, role: str, reads: Reads) -> tuple[Array, list[str]]:
    """Return the rows with a result and an identity, and their identities."""
    rows, valid = card_rows(features, role, reads)
    names = features.identities(role)
    if not any(name is not None for name in names):
        raise InputError(
            f"needs identities in the {role} set: sub-folders, or a manifest with the column 'identity'"
        )
    identified = valid & np.array([name is not None for name in names], dtype=np.bool_)
    selected = zip(names, identified, strict=True)
    return rows[identified], [name for name, is_valid in selected if is_valid and name is not None]


_SAMPLES: Mapping[Kind, Callable[[Card, RoleFeatures], Sample]] = {
    "set": _one_set,
    "two_sets": _two_sets,
    "leakage": _two_sets,
    "membership": _member_sets,
    "pairs_of_images": _image_pairs,
    "verification": _scores,
    "retrieval": _queries,
    "edits": _strongest_edits,
    "edit_series": _edit_series,
    "edit_trade_off": _edit_grid,
    "verified_edits": _verified_edits,
}
