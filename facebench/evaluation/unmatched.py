"""People and images without a partner in the other set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from facebench.evaluation.cards import Card
from facebench.evaluation.inputs import LINKED
from facebench.evaluation.role_features import RoleFeatures


def unmatched_warnings(cards: Sequence[Card], features: RoleFeatures) -> list[str]:
    """Describe how many people or images have no partner, with an example from each side.

    People are compared by name in normal form (`facebench.images.names.normal_form`), images by the columns of the
    manifest that link them.
    """
    warnings = []
    if any({"identities", "reference"} <= set(card.needs) for card in cards):
        for role in features.extractions:
            if role.partition(":")[0] == "reference":
                warnings += _unmatched_people(features, role)
    for role in LINKED:
        if role in features.links:
            warnings += _unmatched_images(features, role)
    return warnings


def _unmatched_people(features: RoleFeatures, role: str) -> list[str]:
    """Compare the identities of the generated set with those of a reference set."""
    generated, reference = _spellings(features, "generated"), _spellings(features, role)
    if not generated or not reference:
        return []
    sides = []
    for name, own, other in (("generated", generated, reference), (role, reference, generated)):
        alone = [spelling for form, spelling in own.items() if form not in other]
        if alone:
            sides.append(
                f"{len(alone)} of {len(own)} identities are only in the {name} set (first: '{alone[0]}')"
            )
    return [f"without a partner of the same name: {'; '.join(sides)}"] if sides else []


def _spellings(features: RoleFeatures, role: str) -> dict[str, str]:
    """Return the identities of a role as written, by their normal form."""
    pairs: Iterable[tuple[str | None, str | None]] = zip(
        features.identities(role), features.column(role, "identity"), strict=True
    )
    return {form: written for form, written in pairs if form is not None and written is not None}


def _unmatched_images(features: RoleFeatures, role: str) -> list[str]:
    """Count the generated images without a usable image in a linked role."""
    alone = np.flatnonzero(features.links[role] < 0)
    if not len(alone):
        return []
    items = features.extractions["generated"].items
    first = items[alone[0]]
    linked = first.columns.get(role)
    cell = f"its cell is '{linked}'" if linked else "its cell is empty"
    return [
        f"{len(alone)} of {len(items)} generated images have no usable {role} (first: {first.name}; {cell})"
    ]
