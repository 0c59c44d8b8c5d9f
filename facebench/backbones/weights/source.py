"""What the user handed to `backbones.build`: a file, a state dict, or nothing (then the registry)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from facebench.backbones.weights import registry
from facebench.backbones.weights.cache import (
    WeightFile,
    difference,
    missing_text,
    path_of,
    refuse_other_files,
    resolve,
)
from facebench.backbones.weights.digest import sha256_of
from facebench.backbones.weights.load import load_checkpoint, select_state, tensors_in
from facebench.core.errors import InputError, WeightsError

if TYPE_CHECKING:
    from torch import Tensor

    from facebench.backbones.base import WeightsUsed


@dataclass(frozen=True)
class Given:
    """The weights for one backbone. Files are checked against the registry, never fetched."""

    name: str
    """Of the backbone."""
    files: tuple[WeightFile, ...] = ()
    state: Mapping[str, Tensor] | None = None

    @staticmethod
    def of(name: str, weights: str | Path | Mapping[str, Tensor] | None) -> Given:
        """Accept a file, a state dict, or None for the registry.

        Raises:
            WeightsError: no such file, or the registry's file is missing or damaged.
            InputError: weights of another type.
        """
        if weights is None:
            needed = registry.needed_by(name)
            if missing := [entry for entry in needed if not path_of(entry).is_file()]:
                raise WeightsError(missing_text(missing))
            return Given(name, tuple(resolve(entry.name) for entry in needed))
        if isinstance(weights, Mapping):
            return Given(name, state=weights)
        if isinstance(weights, str | Path):
            return Given(name, (_identify(name, Path(weights).expanduser()),))
        raise InputError(
            f"Weights for '{name}' are a file, a state dict or None, not {type(weights).__name__}."
        )

    def state_dict(self, prefix: str = "", *, entry: str | None = None) -> dict[str, Tensor]:
        """The tensors by name; those of several files together.

        Args:
            prefix: dropped from the names, e.g. "module." of DataParallel. When any name starts with it, only
                those names are kept; otherwise the names stay as they are.
            entry: key of the state dict when the checkpoint wraps it, e.g. "state_dict"; a bare one
                passes as well.

        Raises:
            WeightsError: not a state dict, a file with code in it, a damaged file.
        """
        if self.state is not None:
            return select_state(self.state, f"The state dict for '{self.name}'", prefix=prefix, entry=entry)
        merged: dict[str, Tensor] = {}
        for file in self.files:
            part = select_state(
                load_checkpoint(file.path, self._placeholders()), str(file.path), prefix=prefix, entry=entry
            )
            if both := merged.keys() & part.keys():
                raise WeightsError(f"{file.path}: '{min(both)}' is in another file of '{self.name}' as well.")
            merged.update(part)
        return merged

    def _placeholders(self) -> tuple[str, ...]:
        return tuple(
            name
            for entry in registry.entries().values()
            if self.name in entry.backbones
            for name in entry.placeholders
        )

    def file(self) -> Path:
        """The one file, for runtimes that read it themselves (ONNX).

        Raises:
            WeightsError: a state dict was given.
        """
        if len(self.files) != 1:
            raise WeightsError(f"'{self.name}' is read from one ONNX file; a state dict does not fit it.")
        return self.files[0].path

    def used(self) -> WeightsUsed:
        """Name, sha256 and licence for the run record; the parts of several files are joined by "+"."""
        from facebench.backbones.base import WeightsUsed, state_digest

        if self.state is not None:
            own = "not the official weights, a state dict of the user's own"
            digest = state_digest(tensors_in(self.state))
            return WeightsUsed("state dict", digest, fingerprint=own, unofficial=True)
        return WeightsUsed(
            name="+".join(file.name for file in self.files),
            sha256="+".join(file.sha256 for file in self.files),
            licence=" + ".join(dict.fromkeys(file.licence for file in self.files)),
            verified=all(file.verified for file in self.files),
            fingerprint="; ".join(dict.fromkeys(file.fingerprint for file in self.files)),
            unofficial=any(file.unofficial for file in self.files),
        )


def _identify(backbone: str, path: Path) -> WeightFile:
    """A file of the user's own: official when its fingerprint is one the registry knows for this backbone."""
    if not path.is_file():
        raise WeightsError(f"There is no weights file {path}.")
    refuse_other_files(path)
    for entry in registry.entries().values():
        if backbone in entry.backbones and entry.pinned and difference(entry, path) is None:
            published = entry.fingerprint or "git blob id in the official repository"
            return WeightFile(entry.name, path, sha256_of(path), entry.licence, True, published)
    own = f"not the official weights, {path.resolve()}"
    return WeightFile(path.name, path, sha256_of(path), "unknown", False, own, unofficial=True)
