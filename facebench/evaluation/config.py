"""Options of an evaluation: names, defaults, help and checks, in one place.

The command line, YAML files and `facebench.evaluate` build this object, and the run record stores it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    field_validator,
)

from facebench.core.errors import InputError
from facebench.core.suggest import suggest
from facebench.images.names import printable

_NAMED_LIKE_THE_MODEL = frozenset(
    {".zip", ".tar", ".npz", ".lmdb", ".txt", ".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v"}
)
"""Suffixes of files of images; other files are manifests, whose folder has the name of the model."""
_SET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def _as_list(value: Any) -> Any:
    """Accept metric ids as one string separated by commas."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


_Path = Annotated[Path, PlainSerializer(lambda path: printable(str(path)), str, when_used="json")]
_Text = Annotated[str, BeforeValidator(lambda text: printable(text) if isinstance(text, str) else text)]


class EvaluationConfig(BaseModel):
    """Every option of `facebench.evaluate`; frozen, unknown keys are errors.

    Raises:
        ValidationError: a value has the wrong type or is out of range. `EvaluationConfig.build` raises an
            InputError with the key instead.

    Example:
        >>> EvaluationConfig(generated="samples", reference="photographs").protocol
        'quality'
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    generated: _Path = Field(
        description="Folder, folder of identity folders, or manifest of generated faces."
    )
    reference: _Path | dict[str, _Path] | None = Field(
        None,
        description="Real faces to compare with: one set, or several sets as NAME=DIR. "
        "Metrics of named sets have ids such as fid_clean@FFHQ. An NPZ file with mu and sigma is read as statistics.",
    )
    held_out: _Path | None = Field(
        None,
        description="Images that were not trained on, from the source of the training set; for membership_*, with the "
        "training set as reference.",
    )
    reference_network: str | None = Field(
        None, description="Network of reference statistics that do not name it, such as inception-legacy."
    )
    target: _Path | None = Field(
        None,
        description="Driving video of a generated video, or folders of both with equal names; frames are paired by "
        "number. Other images name their targets in a manifest.",
    )
    source: _Path | None = Field(
        None,
        description="Source of a generated video: a picture, a folder with one picture for each clip, or videos.",
    )
    protocol: str = Field("quality", description="What to measure; see `facebench protocols`.")
    suite: Literal["auto", "paper", "compact"] = Field(
        "auto",
        description="Networks of the literature (paper) or networks that are installed with facebench (compact); "
        "auto selects paper when all its weights are present.",
    )
    metrics: Annotated[tuple[str, ...] | None, BeforeValidator(_as_list)] = Field(
        None, description="Compute only these metrics, separated by commas."
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Device of the networks.")
    detector: Literal["yunet", "mtcnn"] = Field(
        "yunet", description="Face detector; results of different detectors are not comparable."
    )
    domain: Literal["auto", "photographs", "rendered"] = Field(
        "auto",
        description="Kind of the face images; auto examines some of them. The compact suite reads expressions with a "
        "network of this kind.",
    )
    engine: Literal["local", "ray"] = Field(
        "local", description="Execution engine; ray distributes decoding and networks over a Ray cluster."
    )
    address: str | None = Field(
        None, description="Address of a running Ray cluster; auto finds the cluster of this machine."
    )
    name: _Text | None = Field(
        None, description="Name of the model in tables; the name of the folder by default."
    )
    seed: int = Field(0, ge=0, lt=2**64, description="Seed of all resampling.")
    max_rejected: float = Field(
        0.02, ge=0, le=1, description="Largest share of unusable files in each set; above it the run stops."
    )
    unit: Literal["auto", "image", "identity", "source", "target", "source-target"] = Field(
        "auto",
        description="What is resampled for intervals, and so what they generalise to; auto takes people, sources or "
        "targets where they have several images.",
    )
    strict: bool = Field(
        False,
        description="Stop when the image sets differ in framing, resolution, sharpness, compression, colour or kind, "
        "or share pictures.",
    )
    drop_duplicates: bool = Field(
        False,
        description="Leave out repeated pictures: copies within a set, pictures of several identities, and "
        "reference pictures that are also generated.",
    )
    by: str | None = Field(
        None,
        description="Compute every metric also for each value of this column, such as identity or expression.",
    )
    roots: dict[str, _Path] = Field(
        {},
        description="Folders elsewhere as NAME=DIR; a manifest names their images as @NAME/path.",
    )
    tags: dict[str, _Text] = Field(
        {}, description="Properties of the model as NAME=VALUE, used by tables and factorial studies."
    )

    @field_validator("reference")
    @classmethod
    def _check_names(cls, value: Path | dict[str, Path] | None) -> Path | dict[str, Path] | None:
        if isinstance(value, Mapping):
            if not value:
                raise ValueError("Name at least one reference set, such as FFHQ=ffhq.")
            for name in value:
                if not _SET_NAME.fullmatch(name):
                    raise ValueError(
                        f"'{name}' cannot name a reference set. Use letters, digits, '.', '_' and '-', such as FFHQ."
                    )
        return value

    @property
    def references(self) -> dict[str, Path]:
        """Reference sets by role: `reference`, or `reference:NAME` for named sets."""
        if self.reference is None:
            return {}
        if isinstance(self.reference, Path):
            return {"reference": self.reference}
        return {f"reference:{name}": path for name, path in self.reference.items()}

    @property
    def model_name(self) -> str:
        """Name of the model: as configured, else the name of the folder or archive of generated images."""
        if self.name is not None:
            return self.name
        resolved = self.generated.resolve()
        if resolved.suffix.lower() in _NAMED_LIKE_THE_MODEL:
            return resolved.stem
        return resolved.parent.name if resolved.is_file() else resolved.name

    @classmethod
    def build(cls, **options: Any) -> EvaluationConfig:
        """Check options and return the configuration.

        Raises:
            InputError: an unknown option, a wrong type, or a value out of range; names the option.
        """
        try:
            return cls(**options)
        except ValidationError as error:
            raise InputError(_explain(error)) from error

    @classmethod
    def from_yaml(cls, path: str | Path, **overrides: Any) -> EvaluationConfig:
        """Read a configuration file; keyword arguments replace its values.

        Raises:
            InputError: the file is not readable YAML, or an option is wrong.
        """
        from facebench.core.yaml_text import parse_yaml  # not needed for the help

        try:
            content = parse_yaml(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{path} is not a readable YAML file: {error}. Correct the file.") from error
        if not isinstance(content, dict):
            raise InputError(f"{path}: expected a mapping of options to values.")
        try:
            return cls.build(**{str(key): value for key, value in content.items()} | overrides)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error


def _explain(error: ValidationError) -> str:
    """Describe the first wrong option in one sentence."""
    # An unknown option explains a missing one: it is often the misspelled name.
    problem = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    key, given = str(problem["loc"][0]), problem["input"]
    if problem["type"] == "extra_forbidden":
        return f"'{key}' is not an option. {suggest(key, EvaluationConfig.model_fields)}"
    if problem["type"] == "missing":
        return f"The option '{key}' is missing."
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    if problem["type"] == "literal_error":
        return f"'{given}' is not a known {key}. {suggest(str(given), _choices(key))}"
    return f"The option '{key}' is {given!r}: {problem['msg'].lower()}."


def _choices(option: str) -> tuple[str, ...]:
    return get_args(EvaluationConfig.model_fields[option].annotation)
