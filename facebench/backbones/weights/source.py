"""Weights given to `facebench.backbones.build`: a file, a state dict, or None for the registry."""

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
    published_source,
    resolve,
)
from facebench.backbones.weights.contents import refuse_other_files
from facebench.backbones.weights.digest import sha256_of
from facebench.backbones.weights.load import load_checkpoint, select_state, tensors_in
from facebench.core.errors import InputError, WeightsError

if TYPE_CHECKING:
    from torch import Tensor

    from facebench.backbones.base import WeightsUsed


@dataclass(frozen=True)
class WeightsSource:
    """Weights of one backbone: checked files, or a state dict."""

    name: str
    """Name of the backbone."""
    files: tuple[WeightFile, ...] = ()
    state: Mapping[str, Tensor] | None = None

    @staticmethod
    def of(name: str, weights: str | Path | Mapping[str, Tensor] | None) -> WeightsSource:
        """Locate the weights of a backbone. This never uses the network.

        Args:
            name: name of the backbone.
            weights: a file, a state dict, or None for the registry.

        Raises:
            WeightsError: the file does not exist, or the file of the registry is missing or damaged.
            InputError: the weights are of another type.
        """
        if weights is None:
            needed = registry.needed_by(name)
            if missing := [entry for entry in needed if not path_of(entry).is_file()]:
                raise WeightsError(missing_text(missing))
            return WeightsSource(name, tuple(resolve(entry.name) for entry in needed))
        if isinstance(weights, Mapping):
            return WeightsSource(name, state=weights)
        if isinstance(weights, str | Path):
            return WeightsSource(name, (_identify(name, Path(weights).expanduser()),))
        raise InputError(
            f"Weights for '{name}' are a file, a state dict or None, not {type(weights).__name__}."
        )

    def state_dict(self, prefix: str = "", *, entry: str | None = None) -> dict[str, Tensor]:
        """Read the tensors by name; several files are merged.

        Args:
            prefix: removed from the names, e.g. "module." of DataParallel. When any name has the prefix, only
                names with the prefix are kept.
            entry: key of the state dict in the checkpoint, e.g. "state_dict"; a bare state dict is accepted
                as well.

        Raises:
            WeightsError: a file is damaged, contains code, or holds no state dict.
        """
        if self.state is not None:
            return select_state(self.state, f"The state dict for '{self.name}'", prefix=prefix, entry=entry)
        merged: dict[str, Tensor] = {}
        for file in self.files:
            content = load_checkpoint(file.path, self._placeholders())
            part = select_state(content, str(file.path), prefix=prefix, entry=entry)
            if repeated := merged.keys() & part.keys():
                raise WeightsError(
                    f"{file.path}: '{min(repeated)}' is also in another file of '{self.name}'."
                )
            merged.update(part)
        return merged

    def _placeholders(self) -> tuple[str, ...]:
        """Return the class prefixes that the registry permits in checkpoints of this backbone."""
        return tuple(
            prefix
            for entry in registry.entries().values()
            if self.name in entry.backbones
            for prefix in entry.placeholders
        )

    def file(self) -> Path:
        """Return the path of the only file, for ONNX networks.

        Raises:
            WeightsError: the weights are a state dict.
        """
        if len(self.files) != 1:
            raise WeightsError(f"'{self.name}' reads one ONNX file, not a state dict.")
        return self.files[0].path

    def used(self) -> WeightsUsed:
        """Return name, sha256 and licence for the run record; several files are joined by "+"."""
        from facebench.backbones.base import WeightsUsed, state_digest

        if self.state is not None:
            origin = "not the official weights, a state dict given by the user"
            digest = state_digest(tensors_in(self.state))
            return WeightsUsed("state dict", digest, fingerprint=origin, unofficial=True)
        return WeightsUsed(
            name="+".join(file.name for file in self.files),
            sha256="+".join(file.sha256 for file in self.files),
            licence=" + ".join(dict.fromkeys(file.licence for file in self.files)),
            verified=all(file.verified for file in self.files),
            fingerprint="; ".join(dict.fromkeys(file.fingerprint for file in self.files)),
            unofficial=any(file.unofficial for file in self.files),
        )


def _identify(backbone: str, path: Path) -> WeightFile:
    """Compare a file of the user with the published fingerprints of a backbone; unofficial without a match."""
    if not path.is_file():
        raise WeightsError(f"The weights file {path} does not exist.")
    refuse_other_files(path)
    for entry in registry.entries().values():
        if backbone in entry.backbones and entry.pinned and difference(entry, path) is None:
            return WeightFile(entry.name, path, sha256_of(path), entry.licence, True, published_source(entry))
    origin = f"not the official weights, {path.resolve()}"
    return WeightFile(path.name, path, sha256_of(path), "unknown", False, origin, unofficial=True)
