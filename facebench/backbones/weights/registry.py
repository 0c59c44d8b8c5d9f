"""Registry of trained weights: purpose, origin, licence and fingerprint of every file."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator

from facebench.core.errors import InputError, WeightsError
from facebench.core.suggest import suggest

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
GitBlob = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Url = Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]


class Wheel(BaseModel):
    """Location of a file inside the wheel of another Python package."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    distribution: str
    version: str
    path: str
    """Path of the file, relative to site-packages."""


class Entry(BaseModel):
    """One file of trained weights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    about: str
    """Description in one line."""
    backbones: tuple[str, ...] = ()
    """Backbones that need this file."""
    file: FileName
    """File name in the cache folder."""
    format: Literal["torch", "torchscript", "onnx", "arrays"]
    """File format. "arrays" is a pickle or npz file of NumPy arrays, used by the FLAME head model."""
    size: int | None = None
    """Size in bytes, where known."""
    sha256: Sha256 | None = None
    fingerprint: str | None = None
    """Source of the sha256."""
    git_blob: GitBlob | None = None
    """Git blob id of the file, where the authors publish it in a git repository."""
    licence: str
    non_commercial: bool = False
    terms: str = ""
    """What may be done with the weights and with numbers measured by them, in two sentences."""
    home: Url | None = None
    """Page of the authors."""
    urls: tuple[Url, ...] = ()
    """Download URLs: the official one first, then mirrors."""
    member: FileName | None = None
    """Name of the file inside the zip archive that `urls` give."""
    manual: str | None = None
    """Instructions for a manual download, for files that need a browser or a registration."""
    trained_by: str | None = None
    """Command that trains the network; set for weights that are not published."""
    placeholders: tuple[str, ...] = ()
    """Prefixes of class names in the checkpoint that are read as empty placeholders."""
    wheel: Wheel | None = None
    shipped: bool = False
    """Whether the file is part of facebench, in `facebench/shipped`."""

    @model_validator(mode="after")
    def _check_origin(self) -> Entry:
        if not (self.urls or self.manual or self.shipped):
            raise ValueError("needs urls or manual instructions")
        if (self.wheel or self.shipped) and not self.sha256:
            raise ValueError("a file inside a wheel needs its sha256")
        if self.sha256 and not self.fingerprint:
            raise ValueError("a sha256 needs its source in 'fingerprint'")
        return self

    @property
    def pinned(self) -> bool:
        """Whether a fingerprint is published. Otherwise the lock file pins the first copy."""
        return bool(self.sha256 or self.git_blob)


def entries() -> dict[str, Entry]:
    """Return all entries by name, in the order of registry.yaml.

    Raises:
        WeightsError: registry.yaml is invalid.

    Example:
        >>> entries()["sface"].licence
        'Apache-2.0'
    """
    return _packaged()


@cache
def _packaged() -> dict[str, Entry]:
    file = resources.files("facebench.backbones.weights").joinpath("registry.yaml")
    return parse(file.read_text(encoding="utf-8"), "facebench/backbones/weights/registry.yaml")


def parse(text: str, where: str) -> dict[str, Entry]:
    """Parse and validate a registry.

    Args:
        text: YAML.
        where: file name for error messages.

    Raises:
        WeightsError: a field is missing, unknown or invalid; names the entry and the field.
    """
    parsed = {}
    for name, fields in yaml.safe_load(text).items():
        try:
            parsed[name] = Entry(name=name, **fields)
        except ValidationError as error:
            problems = [(".".join(map(str, one["loc"])) or "entry", one["msg"]) for one in error.errors()]
            listed = "; ".join(f"{key}: {message}" for key, message in problems)
            raise WeightsError(f"{where}: {name}: {listed}.") from None
    return parsed


def entry(name: str) -> Entry:
    """Return the entry with this name.

    Raises:
        InputError: the entry is unknown.
    """
    known = entries()
    if name not in known:
        raise InputError(f"No weights are named '{name}'. {suggest(name, known)}")
    return known[name]


WITHOUT_WEIGHTS = frozenset({"face-pixels", "image-pixels", "image-thumbnail"})
"""Backbones that compute from pixels alone."""


def outside_registry() -> frozenset[str]:
    """Return the backbones without weights in the registry: pixels, and networks that the user added."""
    from facebench.backbones.own_networks import own_networks

    return WITHOUT_WEIGHTS | frozenset(own_networks())


def needed_by(backbone: str) -> tuple[Entry, ...]:
    """Return the files that a backbone needs, in the order of the registry.

    Raises:
        InputError: the registry has no weights for this backbone.
    """
    needed = tuple(one for one in entries().values() if backbone in one.backbones)
    if not needed and backbone not in outside_registry():
        raise InputError(f"The registry has no weights for '{backbone}'. Give a file or a state dict.")
    return needed


def select(names: Iterable[str]) -> list[Entry]:
    """Return the entries of backbones or entry names, without duplicates, in the order of the registry.

    Args:
        names: names of backbones or registry entries.

    Raises:
        InputError: a name is neither a backbone nor an entry.

    Example:
        >>> [one.name for one in select(["lpips", "inception-clean", "yunet"])]
        ['yunet', 'inception', 'alexnet', 'lpips-alex']
    """
    selected: set[str] = set()
    for name in set(names) - outside_registry():
        needed = [one.name for one in entries().values() if name in one.backbones]
        selected.update(needed or [entry(name).name])
    return [one for one in entries().values() if one.name in selected]
