"""Image sets of a run: generated images, reference sets, and the images linked by a manifest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from facebench.core.errors import InputError
from facebench.evaluation.config import EvaluationConfig
from facebench.evaluation.plan import Plan
from facebench.images.image_set import ImageSet

LINKED = ("source", "target", "reconstruction")
"""Roles of images that a manifest links to generated images."""


def open_sets(plan: Plan, config: EvaluationConfig) -> dict[str, ImageSet]:
    """Open the image sets that the metrics of a plan need, by role.

    One reference set has the role `reference`; named sets have the roles `reference:NAME`. Linked roles that are
    empty in the manifest are absent.

    Raises:
        InputError: a set cannot be read.
    """
    sets = {"generated": ImageSet.open(config.generated)}
    for role, path in config.references.items():
        sets[role] = ImageSet.open(path)
    for role in LINKED:
        if plan.needs(role) and any(sets["generated"].column(role)):
            sets[role] = sets["generated"].linked(role)[0]
    return sets


def parse_references(options: Sequence[str] | None) -> str | dict[str, str] | None:
    """Parse `--reference` options: one folder, or several folders as NAME=FOLDER.

    Raises:
        InputError: several folders without names, or a name twice.

    Example:
        >>> parse_references(["TFD=photographs", "FFHQ=ffhq"])
        {'TFD': 'photographs', 'FFHQ': 'ffhq'}
    """
    if not options:
        return None
    named = [option.partition("=") for option in options if "=" in option and not Path(option).exists()]
    if not named and len(options) == 1:
        return options[0]
    names = [name for name, _, _ in named]
    if len(named) < len(options) or len(set(names)) < len(names):
        raise InputError(
            "Several reference sets need a name each: --reference TFD=photographs --reference FFHQ=ffhq"
        )
    return {name: path for name, _, path in named}


def parse_tags(options: Sequence[str] | None) -> dict[str, str]:
    """Parse `--tag NAME=VALUE` options.

    Raises:
        InputError: an option without a name or a value, or a name twice.

    Example:
        >>> parse_tags(["base=SD-2.1", "prompt=Complex"])
        {'base': 'SD-2.1', 'prompt': 'Complex'}
    """
    tags: dict[str, str] = {}
    for option in options or []:
        name, _, value = option.partition("=")
        if not name or not value or name in tags:
            problem = "is given twice" if name in tags else "is not NAME=VALUE"
            raise InputError(
                f"The tag '{option}' {problem}. Write for example: --tag base=SD-2.1 --tag prompt=Complex"
            )
        tags[name] = value
    return tags
