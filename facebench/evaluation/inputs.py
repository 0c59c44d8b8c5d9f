"""Image sets of a run: generated images, reference sets, and the images linked by a manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

from facebench.core.errors import InputError
from facebench.evaluation.config import EvaluationConfig
from facebench.evaluation.duplicates import without_duplicates
from facebench.evaluation.plan import Plan
from facebench.evaluation.statistics_files import holds_statistics
from facebench.images.affectnet import affectnet, affectnet_split
from facebench.images.image_set import ImageSet
from facebench.images.partner_sets import with_partners
from facebench.images.sources.memory import images_in_memory

LINKED = ("source", "target", "reconstruction")
"""Roles of images that a manifest links to generated images."""
HELD_OUT = "held_out"
"""Role of images that were not trained on."""


LABELLED = "affect-accuracy"
"""Protocol of labelled photographs."""


@dataclass(frozen=True)
class Given:
    """Inputs of `facebench.evaluate`: paths for the configuration, and image sets in memory by role."""

    paths: dict[str, Any]
    sets: dict[str, ImageSet]


def split_inputs(generated: Any, reference: Any, **options: Any) -> Given:
    """Separate paths from images in memory.

    Args:
        generated: path, list of paths, or images as for `images_in_memory`.
        reference: path or images, or a mapping from names to paths or images; None for no reference.
        options: `n`, `columns` and `value_range` of generated images in memory; the range also holds for references.

    Raises:
        InputError: images of another type, shape or range, or options for images in memory given with a path.
    """
    sets: dict[str, ImageSet] = {}

    def path_of(role: str, images: Any, **given: Any) -> Any:
        if isinstance(images, str | PathLike):
            return images
        sets[role] = _set_of(images, **given)
        return sets[role].root

    only = {"value_range": options["value_range"]}
    is_path = isinstance(generated, str | PathLike) or _are_paths(generated)
    if is_path and (options["n"] is not None or options["columns"]):
        raise InputError("The options 'n' and 'columns' are for images in memory, not for a path.")
    paths: dict[str, Any] = {"generated": path_of("generated", generated, **options), "reference": None}
    if isinstance(reference, Mapping):
        named = {name: path_of(f"reference:{name}", each, **only) for name, each in reference.items()}
        paths["reference"] = named
    elif reference is not None:
        paths["reference"] = path_of("reference", reference, **only)
    return Given(paths, sets)


def _set_of(images: Any, **given: Any) -> ImageSet:
    """Return the image set of a list of paths, or of images in memory."""
    if isinstance(images, ImageSet):
        return images
    if _are_paths(images):
        return ImageSet.of_paths(images)
    return images_in_memory(images, **given)


def _are_paths(images: Any) -> bool:
    is_list = isinstance(images, list | tuple) and len(images) > 0
    return is_list and all(isinstance(each, str | PathLike) for each in images)


def open_sets(
    plan: Plan, config: EvaluationConfig, given: Mapping[str, ImageSet] | None = None
) -> dict[str, ImageSet]:
    """Open the image sets that the metrics of a plan need, by role.

    One reference set has the role `reference`; named sets have the roles `reference:NAME`. Linked roles that are
    empty in the manifest are absent, and so are references of statistics. Roles in `given` are in memory and replace
    the paths of the configuration.

    Raises:
        InputError: a set cannot be read.
    """
    given = given or {}
    generated = given.get("generated") or _open_generated(config)
    sets = {"generated": _with_partners(generated, plan, config)}
    for role, path in config.references.items():
        if role in given or not holds_statistics(path):
            sets[role] = given.get(role) or ImageSet.open(path)
    if config.held_out is not None and plan.needs(HELD_OUT):
        sets[HELD_OUT] = ImageSet.open(config.held_out)
    if config.drop_duplicates:
        sets = without_duplicates(sets, keep_copied=plan.finds_copies)
    for role in LINKED:
        if plan.needs(role) and any(sets["generated"].column(role)):
            sets[role] = sets["generated"].linked(role)[0]
    return sets


def _with_partners(images: ImageSet, plan: Plan, config: EvaluationConfig) -> ImageSet:
    """Pair generated frames with the sets of the options `source` and `target`.

    Raises:
        InputError: no metric reads the role, or the frames cannot be paired.
    """
    for role, path in (("source", config.source), ("target", config.target)):
        if path is None:
            continue
        if not plan.needs(role):
            raise InputError(
                f"No metric of the protocol '{plan.protocol.id}' reads a {role}. Leave out --{role}, or choose "
                "--protocol expression-transfer."
            )
        images = with_partners(images, role, path)
    return images


def _open_generated(config: EvaluationConfig) -> ImageSet:
    """Open the evaluated images; AffectNet's own folder for the protocol that reads its labels."""
    root = config.generated.absolute()
    split = affectnet_split(root) if config.protocol == LABELLED else None
    if split is None:
        return ImageSet.open(config.generated, roots=config.roots)
    return affectnet(root, split)
