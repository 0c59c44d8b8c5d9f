"""What a run is given: one generated set, reference sets by name, and the files that a manifest links."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from facebench.core.errors import InputError
from facebench.evaluation.plan import Plan
from facebench.images.image_set import ImageSet

Reference = str | Path | Mapping[str, str | Path]
LINKED = ("source", "target", "reconstruction")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def open_sets(plan: Plan, generated: Path, reference: Reference | None) -> dict[str, ImageSet]:
    """The image sets that the plan's metrics need, by role; a role that was not given is left out.

    One reference set has the role `reference`; sets given by name have the roles `reference:NAME`.

    Raises:
        InputError: a set cannot be read, or a name holds more than letters, digits, `.`, `_` and `-`.
    """
    sets = {"generated": ImageSet.open(generated)}
    for role, path in _references(reference).items():
        sets[role] = ImageSet.open(path)
    for role in LINKED:
        if plan.needs(role) and any(sets["generated"].column(role)):
            sets[role] = sets["generated"].linked(role)[0]
    return sets


def _references(reference: Reference | None) -> dict[str, Path]:
    if reference is None:
        return {}
    if not isinstance(reference, Mapping):
        return {"reference": Path(reference)}
    for name in reference:
        if not _NAME.fullmatch(name):
            raise InputError(
                f"'{name}' cannot name a reference set. Use letters, digits, '.', '_' and '-', such as FFHQ."
            )
    return {f"reference:{name}": Path(path) for name, path in reference.items()}


def reference_of(options: list[str] | None) -> Reference | None:
    """What `--reference` options mean: one folder, or several as NAME=FOLDER.

    Raises:
        InputError: several without names, or a name twice.
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


def tags_of(options: list[str] | None) -> dict[str, str]:
    """What `--tag NAME=VALUE` options mean.

    Raises:
        InputError: an option without a name or a value, or a name twice.
    """
    tags: dict[str, str] = {}
    for option in options or []:
        name, _, value = option.partition("=")
        if not name or not value or name in tags:
            why = "is given twice" if name in tags else "is not NAME=VALUE"
            raise InputError(
                f"The tag '{option}' {why}. Write for example: --tag base=SD-2.1 --tag prompt=Complex"
            )
        tags[name] = value
    return tags
