"""Which base model drew a folder of prior images: a line beside them says so, and training reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from facebench.core.errors import InputError
from facebench.training.engine.fingerprint import fingerprint
from facebench.training.models.stable_diffusion import Base

NAME = "prior.json"


def remember(folder: Path, base: Base) -> None:
    """Write down that this model draws the images of the folder.

    Raises:
        InputError: another model has drawn there, or nobody knows which.
    """
    drawn = _read(folder)
    unet = fingerprint(base.unet)
    if drawn is None and any(folder.glob("*.png")):
        raise InputError(
            f"{folder} holds images already and does not say who drew them ({NAME} is missing). Give another folder."
        )
    if drawn is not None and drawn.get("unet") != unet:
        raise InputError(
            f"{folder} holds prior images that {drawn.get('base')} drew, not {base.name}. Give another folder."
        )
    (folder / NAME).write_text(json.dumps({"base": base.name, "unet": unet}) + "\n", encoding="utf-8")


def check(folder: Path, base: Base, unet: str) -> tuple[str, ...]:
    """Make sure that the images are there and that the model which is trained drew them.

    Args:
        folder: the prior images.
        base: the model.
        unet: its fingerprint.

    Returns:
        What people should know: nobody can tell who drew them.

    Raises:
        InputError: there are none, or another model drew them.
    """
    again = f"facebench generate {base.name} {{}} --count 200"
    if not folder.is_dir():
        raise InputError(
            f"There are no prior images in {folder}. Draw them with the base model: {again.format(folder)}"
        )
    drawn = _read(folder)
    if drawn is None:
        return (
            f"{folder} does not say which model drew the prior images ({NAME} is missing). They keep what the base "
            f"model knows only if {base.name} drew them.",
        )
    if drawn.get("unet") != unet:
        raise InputError(
            f"The prior images in {folder} were drawn by {drawn.get('base')}, whose weights are not those of base="
            f"{base.name}. Draw others: {again.format('ANOTHER-FOLDER')}, and give prior=ANOTHER-FOLDER."
        )
    return ()


def _read(folder: Path) -> dict[str, Any] | None:
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be read ({error}). Delete it if you know who drew the images."
        ) from None
    return content if isinstance(content, dict) else {}
