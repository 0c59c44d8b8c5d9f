"""Image sets of a run: generated images, reference sets, and the images linked by a manifest."""

from __future__ import annotations

from facebench.evaluation.config import EvaluationConfig
from facebench.evaluation.duplicates import without_duplicates
from facebench.evaluation.plan import Plan
from facebench.images.affectnet import affectnet, affectnet_split
from facebench.images.image_set import ImageSet

LINKED = ("source", "target", "reconstruction")
"""Roles of images that a manifest links to generated images."""


LABELLED = "affect-accuracy"
"""Protocol of labelled photographs."""


def open_sets(plan: Plan, config: EvaluationConfig) -> dict[str, ImageSet]:
    """Open the image sets that the metrics of a plan need, by role.

    One reference set has the role `reference`; named sets have the roles `reference:NAME`. Linked roles that are
    empty in the manifest are absent.

    Raises:
        InputError: a set cannot be read.
    """
    sets = {"generated": _open_generated(config)}
    for role, path in config.references.items():
        sets[role] = ImageSet.open(path)
    if config.drop_duplicates:
        sets = without_duplicates(sets)
    for role in LINKED:
        if plan.needs(role) and any(sets["generated"].column(role)):
            sets[role] = sets["generated"].linked(role)[0]
    return sets


def _open_generated(config: EvaluationConfig) -> ImageSet:
    """Open the evaluated images; AffectNet's own folder for the protocol that reads its labels."""
    root = config.generated.absolute()
    split = affectnet_split(root) if config.protocol == LABELLED else None
    if split is None:
        return ImageSet.open(config.generated, roots=config.roots)
    return affectnet(root, split)
