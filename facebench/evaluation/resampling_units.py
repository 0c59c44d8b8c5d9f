"""Choose the units that are resampled for an interval: images, people, sources, targets, or two of them crossed.

| rows | unit |
|---|---|
| several images of a person | the person (`identity`) |
| several edits of a source image, without identities | the source image (`source`) |
| people or sources that each meet several targets | both, crossed (`identity × target`, `source × target`) |
| everything else | the image (`image`) |
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facebench.evaluation.role_features import Mask, RoleFeatures
from facebench.metrics.units import Units

_WORDS = {
    "identity": "new people",
    "source": "new source images",
    "target": "new targets",
    "clip": "new clips",
}


def units_of(features: RoleFeatures, role: str, rows: Mask) -> Units:
    """Return the resampling units of the selected rows of a role.

    The option `unit` of the features overrides the choice where the rows have such labels.
    """
    labels = _labels(features, role, rows)
    names = [name for name, values in labels.items() if _is_shared(values)]
    chosen = _chosen(features.unit, names, labels)
    if not chosen:
        items = features.extractions[role].items
        return Units.of([items[row].name for row in np.flatnonzero(rows)], kinds=["image"])
    return Units.of(*(labels[name] for name in chosen), kinds=chosen)


def units_of_names(names: Sequence[str], identities: Sequence[str | None], unit: str) -> Units:
    """Return the resampling units of reference images of which only names and identities are known."""
    labels = [name or f"row {row}" for row, name in enumerate(identities)]
    if unit in ("auto", "identity") and _is_shared(labels):
        return Units.of(labels, kinds=["identity"])
    return Units.of(names, kinds=["image"])


def generalises_to(units: Units, features: RoleFeatures) -> str:
    """Return what an interval over these units generalises to, such as "new people"."""
    if units.kind != "image":
        return " and ".join(_WORDS[factor.kind] for factor in units.factors)
    people = [name for name in features.identities("generated") if name is not None]
    distinct = len(set(people))
    if not people or distinct == len(people):
        return "new images"
    return "new images of this person" if distinct == 1 else f"new images of the same {distinct} people"


def _labels(features: RoleFeatures, role: str, rows: Mask) -> dict[str, list[str]]:
    """Labels of the selected rows by kind of unit; a row without a label is a unit of its own."""
    columns = {"identity": features.identities(role)}
    if role == "generated":
        for linked, partners in features.links.items():
            if linked in ("source", "target"):
                columns[linked] = [None if partner < 0 else str(partner) for partner in partners]
    picked = np.flatnonzero(rows)
    return {name: [values[row] or f"row {row}" for row in picked] for name, values in columns.items()}


def _is_shared(values: list[str]) -> bool:
    """Whether there are two units at least, and one of them has several rows."""
    return 1 < len(set(values)) < len(values)


def _chosen(unit: str, shared: list[str], labels: dict[str, list[str]]) -> list[str]:
    if unit == "image":
        return []
    if unit == "source-target":
        return [name for name in ("source", "target") if name in shared]
    if unit != "auto":
        return [unit] if unit in shared else []
    main = next((name for name in ("identity", "source") if name in shared), None)
    if main is None:
        return ["target"] if "target" in shared else []
    return [main, "target"] if "target" in shared and _crosses(labels[main], labels["target"]) else [main]


def _crosses(main: list[str], target: list[str]) -> bool:
    """Whether targets are met by several people: most rows have a target that another person has too."""
    people_of: dict[str, set[str]] = {}
    for person, name in zip(main, target, strict=True):
        people_of.setdefault(name, set()).add(person)
    return sum(len(people_of[name]) > 1 for name in target) > len(target) / 2
