"""The registry of trained weights: what each file is for, its home, its terms and its fingerprint."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator

from facebench.core.errors import InputError, WeightsError

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
GitBlob = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Url = Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]


class Wheel(BaseModel):
    """A file that arrives with `pip install`, inside the wheel of another package."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    distribution: str
    version: str
    path: str
    """Of the file, relative to site-packages."""


class Entry(BaseModel):
    """One file of trained weights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    about: str
    """What it is and what it is for, in one line."""
    backbones: tuple[str, ...] = ()
    """Backbones that cannot run without it."""
    file: FileName
    """Its name in the cache folder."""
    format: Literal["torch", "torchscript", "onnx", "arrays"]
    """"arrays" are plain numbers in a pickle or npz file, read by `facebench.training.rig.buffers.flame_files`."""
    size: int | None = None
    """Bytes, where known."""
    sha256: Sha256 | None = None
    fingerprint: str | None = None
    """Where the sha256 was taken from."""
    git_blob: GitBlob | None = None
    """Git's id of the file's content, where the official home is a git repository."""
    licence: str
    non_commercial: bool = False
    home: Url | None = None
    """Where its authors publish it."""
    urls: tuple[Url, ...] = ()
    """Direct addresses, official first, then mirrors."""
    member: FileName | None = None
    """Name of the file inside the zip archive that `urls` give."""
    manual: str | None = None
    """How to get it by hand, when only a person may or can."""
    placeholders: tuple[str, ...] = ()
    """Beginnings of class names in the checkpoint that are read as empty placeholders instead of refused."""
    wheel: Wheel | None = None
    shipped: bool = False
    """Whether facebench itself brings the file, in `facebench/shipped`."""

    @model_validator(mode="after")
    def _can_be_had(self) -> Entry:
        if not (self.urls or self.manual or self.shipped):
            raise ValueError("needs urls, or manual instructions")
        if (self.wheel or self.shipped) and not self.sha256:
            raise ValueError("a file inside a wheel needs its sha256")
        if self.sha256 and not self.fingerprint:
            raise ValueError("a sha256 needs its source in 'fingerprint'")
        return self

    @property
    def pinned(self) -> bool:
        """Whether a fingerprint was published; else the first copy is trusted and remembered."""
        return bool(self.sha256 or self.git_blob)


def entries() -> dict[str, Entry]:
    """All entries of the registry by name, in its order.

    Raises:
        WeightsError: the registry itself is broken; names the entry and the key.

    Example:
        >>> entries()["sface"].licence
        'Apache-2.0'
    """
    return _packaged()


@cache
def _packaged() -> dict[str, Entry]:
    text = (
        resources.files("facebench.backbones.weights").joinpath("registry.yaml").read_text(encoding="utf-8")
    )
    return parse(text, "facebench/weights/registry.yaml")


def parse(text: str, where: str) -> dict[str, Entry]:
    """Validate the text of a registry; `where` names it in errors."""
    found = {}
    for name, fields in yaml.safe_load(text).items():
        try:
            found[name] = Entry(name=name, **fields)
        except ValidationError as error:
            wrong = [(".".join(map(str, one["loc"])) or "entry", one["msg"]) for one in error.errors()]
            text = "; ".join(f"{key}: {message}" for key, message in wrong)
            raise WeightsError(f"{where}: {name}: {text}.") from None
    return found


def entry(name: str) -> Entry:
    """The entry of this name.

    Raises:
        InputError: there is none; the message lists close matches.
    """
    known = entries()
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, known, n=3)
    hint = f"Did you mean {' or '.join(close)}?" if close else f"There are: {', '.join(known)}."
    raise InputError(f"There are no weights named '{name}'. {hint}")


def needed_by(backbone: str) -> tuple[Entry, ...]:
    """The files that a backbone needs, in the order of the registry.

    Raises:
        InputError: the registry has no weights for this backbone.
    """
    found = tuple(one for one in entries().values() if backbone in one.backbones)
    if not found:
        raise InputError(f"The registry has no weights for '{backbone}'; give a file or a state dict.")
    return found


def select(names: Iterable[str]) -> list[Entry]:
    """The entries that names of backbones or of entries stand for, each once, in the registry's order.

    Raises:
        InputError: a name is neither.

    Example:
        >>> [one.name for one in select(["lpips", "inception-clean", "yunet"])]
        ['yunet', 'inception', 'alexnet', 'lpips-alex']
    """
    wanted: set[str] = set()
    for name in names:
        needed = [one.name for one in entries().values() if name in one.backbones]
        wanted.update(needed or [entry(name).name])
    return [one for one in entries().values() if one.name in wanted]
