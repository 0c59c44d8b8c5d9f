"""Networks of the user: a YAML description and an ONNX, TorchScript or Python file, added without a fork.

`facebench networks add mynet.yaml` checks the network and copies it into the cache folder. Installed packages add
networks by the entry point group `facebench.networks`. docs/howto/own-network.md describes the keys.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from facebench.backbones.weights.cache import cache_dir
from facebench.core.errors import InputError
from facebench.core.files import check_regular
from facebench.core.suggest import suggest
from facebench.core.yaml_text import parse_yaml

GROUP = "facebench.networks"
"""Entry point group of installed packages."""
OutputName = Literal[
    "valence", "arousal", "expression", "embedding", "features", "quality", "exp", "shape", "pose"
]
_WIDTHS: Mapping[str, int] = {"valence": 1, "arousal": 1, "quality": 1, "pose": 3}
_ALIASES: Mapping[str, str] = {"action_units": "exp", "action units": "exp"}
_CODE = re.compile(r"(?P<file>.+\.py):(?P<name>[A-Za-z_]\w*)")


class Output(BaseModel):
    """One named output: an output of the network and its columns."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    output: int | str = 0
    """Position or name of the output of the network."""
    columns: int | tuple[int, int] | None = None
    """One column, or first column and the one after the last; None for all."""
    classes: tuple[str, ...] | None = None
    """Names of the expression classes, in the order of the columns."""
    threshold: float | None = Field(default=None, gt=-1, lt=1)
    """Cosine from which two embeddings are of one person."""
    rate: str = ""
    """False match rate at the threshold, and the pairs that it comes from."""

    @model_validator(mode="after")
    def _threshold_has_a_rate(self) -> Output:
        if (self.threshold is None) != (not self.rate):
            raise ValueError(
                "a threshold needs its false match rate, and the reverse: threshold: 0.31, "
                "rate: '0.1 % false matches on LFW'"
            )
        return self


class NetworkSpec(BaseModel):
    """Description of a network: file, input and named outputs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9]{1,29}$")
    """Name of the backbone, and suffix of the metric ids."""
    title: str = ""
    file: str | None = None
    """ONNX (.onnx) or TorchScript (.pt, .pth, .ts) file, relative to the YAML file."""
    code: str | None = None
    """`FILE.py:NAME`: a class or function without arguments that returns the network."""
    crop: Literal["image", "face112", "face150", "face224", "face256"] = "face224"
    size: int = Field(default=224, ge=8, le=2048)
    """Side of the square input."""
    colour: Literal["rgb", "bgr"] = "rgb"
    scale: float = Field(default=255.0, gt=0)
    """Pixels 0 to 255 are divided by this value, then normalised by mean and std."""
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    outputs: dict[OutputName, Output] = Field(min_length=1)
    licence: str = "unknown"
    source: str = ""
    """Paper or page of the network, for the metric cards."""
    sha256: str | None = None
    """Of the stored file; written by `facebench networks add`."""

    @field_validator("outputs", mode="before")
    @classmethod
    def _rename(cls, outputs: Any) -> Any:
        if not isinstance(outputs, Mapping):
            return outputs
        return {_ALIASES.get(name, name): {} if value is None else value for name, value in outputs.items()}

    @field_validator("std")
    @classmethod
    def _positive(cls, std: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(std) <= 0:
            raise ValueError("every value must be above 0")
        return std

    @model_validator(mode="after")
    def _has_classes(self) -> NetworkSpec:
        expression = self.outputs.get("expression")
        if expression is not None and not expression.classes:
            raise ValueError("outputs.expression needs 'classes', the names of its columns")
        return self

    @model_validator(mode="after")
    def _only_embeddings_have_a_threshold(self) -> NetworkSpec:
        for name, output in self.outputs.items():
            if output.threshold is not None and name != "embedding":
                raise ValueError(f"outputs.{name}: only 'embedding' has a threshold")
        return self

    @property
    def threshold(self) -> float | None:
        """Cosine from which two embeddings are of one person; None if it is unknown."""
        return self.outputs["embedding"].threshold if "embedding" in self.outputs else None

    @property
    def rate(self) -> str:
        """False match rate at the threshold."""
        return self.outputs["embedding"].rate if "embedding" in self.outputs else ""

    def with_threshold(self, threshold: float, rate: str) -> NetworkSpec:
        """Return the description with a threshold of the embedding."""
        embedding = self.outputs["embedding"].model_copy(update={"threshold": threshold, "rate": rate})
        return self.model_copy(update={"outputs": {**self.outputs, "embedding": embedding}})

    @property
    def width(self) -> Mapping[str, int]:
        """Required number of columns by output, where it is fixed."""
        classes = self.outputs["expression"].classes if "expression" in self.outputs else None
        return {**_WIDTHS, **({"expression": len(classes)} if classes else {})}


@dataclass(frozen=True)
class OwnNetwork:
    """A network that was added by the user or by an installed package."""

    spec: NetworkSpec
    folder: Path
    """Folder that `spec.file` and `spec.code` are relative to."""
    factory: Callable[[], Any] | None = None
    """Creates the network, for entry points that give a Python class."""
    origin: str = ""

    @property
    def file(self) -> Path | None:
        """The ONNX or TorchScript file; None for Python code."""
        return None if self.spec.file is None else self.folder / self.spec.file

    @property
    def code(self) -> tuple[Path, str] | None:
        """File and name of Python code; None without code."""
        match = _CODE.fullmatch(self.spec.code or "")
        return (self.folder / match["file"], match["name"]) if match else None

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays."""
        return tuple(self.spec.outputs)


def networks_folder() -> Path:
    """Return the folder of added networks, beside the folder of downloaded weights."""
    return cache_dir().parent / "networks"


def own_networks() -> dict[str, OwnNetwork]:
    """Return the added networks by name: those of installed packages, then those of the user.

    Raises:
        InputError: a description is damaged or wrong; names the file or the package.
    """
    folder = networks_folder()
    files = sorted(folder.glob("*.yaml")) if folder.is_dir() else []
    added = [_stored(file, file.stat().st_mtime_ns) for file in files]
    return {network.spec.name: network for network in (*_packaged(), *added)}


def read_spec(file: Path) -> NetworkSpec:
    """Read the description of a network.

    Raises:
        InputError: the file cannot be read, or a key is missing, unknown or wrong; names file and key.
    """
    check_regular(file)
    try:
        content = parse_yaml(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file} is not a readable YAML file: {error}. Correct the file.") from error
    return parse_spec(content, str(file))


def parse_spec(content: Any, where: str) -> NetworkSpec:
    """Check the description of a network.

    Raises:
        InputError: a key is missing, unknown or wrong.
    """
    if not isinstance(content, Mapping):
        raise InputError(f"{where}: expected a mapping of keys such as name, file and outputs.")
    try:
        return NetworkSpec.model_validate(dict(content))
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(step) for step in problem["loc"])
        message = problem["msg"]
        if problem["type"] == "extra_forbidden":
            message = f"unknown key. {suggest(str(problem['loc'][-1]), NetworkSpec.model_fields)}"
        raise InputError(f"{where}: {key + ': ' if key else ''}{message}") from error


@functools.cache
def _stored(file: Path, _modified: int) -> OwnNetwork:
    return OwnNetwork(read_spec(file), file.parent, origin=str(file))


@functools.cache
def _packaged() -> tuple[OwnNetwork, ...]:
    """Return the networks of installed packages: a mapping of keys, or a function that returns one."""
    networks = []
    for point in metadata.entry_points(group=GROUP):
        where = f"entry point {point.name} of {GROUP}"
        try:
            content = point.load()
            content = dict(content() if callable(content) else content)
        except Exception as error:  # code of another package
            raise InputError(f"{where} fails: {error}. Update or remove the package.") from error
        factory = content.pop("network", None)
        spec = parse_spec(content, where)
        networks.append(OwnNetwork(spec, Path(spec.file or ".").parent, factory, where))
    return tuple(networks)
