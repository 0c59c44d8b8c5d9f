"""The run record: one JSON file that says exactly what was measured, and a table of every image beside it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from facebench.core.environment import Version
from facebench.core.errors import InputError
from facebench.evaluation.config import EvaluationConfig

SCHEMA = 1
RECORD = "record.json"
PER_IMAGE = "per_image.parquet"
CURVES = "curves.json"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class MetricResult(_Model):
    """One number with its interval, and what it rests on."""

    title: str
    value: float | None
    """None when it could not be computed; `reason` then says why."""
    low: float | None = None
    high: float | None = None
    level: float | None = None
    method: str = "none"
    """How the interval was made."""
    n: dict[str, int] = {}
    """What the value rests on: images, pairs, identities."""
    better: Literal["higher", "lower", "neither"]
    unit: str = ""
    decimals: int = 3
    depends_on_n: bool = False
    backbone: str
    reason: str = ""
    """Why there is no value."""
    note: str = ""
    """Why the value is to be read with care (shown as †)."""

    @property
    def arrow(self) -> str:
        """The direction in which the value gets better."""
        return {"higher": "↑", "lower": "↓", "neither": ""}[self.better]


class GroupResult(MetricResult):
    """One number of one group of images, and how it compares with that of all images."""

    difference: float | None = None
    """Group minus all images."""
    p: float | None = None
    """Of that difference, corrected over the groups of the metric (Holm); None where it is not tested."""

    @property
    def differs(self) -> bool:
        """Whether the group differs from the whole set at p < 0.05."""
        return self.p is not None and self.p < 0.05


class RejectedFile(_Model):
    """A file that was not used, or not by the face networks, and why."""

    name: str
    reason: str
    detail: str = ""
    scope: Literal["all", "faces"] = "all"


class InputRecord(_Model):
    """One role of the input: which images, known by their content."""

    path: str
    kind: Literal["folder", "identities", "manifest"]
    digest: str
    """sha256 over names, columns and content of the images used."""
    images: int
    """Images used."""
    faces: int | None = None
    """Of these, images in which a face was found; None when no face network was asked."""
    identities: int | None = None
    rejected: list[RejectedFile] = []


class BackboneRecord(_Model):
    """Which network gave the features, with which weights and preprocessing."""

    weights: str
    sha256: str
    licence: str
    verified: bool
    """Whether the sha256 is one that was published."""
    fingerprint: str = ""
    """Where the sha256 was published, or since when and from where a copy is trusted."""
    unofficial: bool = False
    """Weights other than the published ones: these numbers compare with nobody else's."""
    preprocessing: str


class Run(_Model):
    """A run record: what was measured, on what, with what, and how sure it is."""

    schema_version: int = Field(default=SCHEMA, alias="schema")
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    facebench: Version
    created: datetime
    name: str
    tags: dict[str, str] = {}
    """What the model is, in the terms of a table or of a factorial study: base, prompt, stage, ..."""
    protocol: str
    suite: str
    config: EvaluationConfig | None = None
    """Options of the evaluation; None in records of facebench 0.1.0."""
    inputs: dict[str, InputRecord]
    backbones: dict[str, BackboneRecord]
    environment: dict[str, str]
    seed: int
    metrics: dict[str, MetricResult]
    groups: dict[str, dict[str, GroupResult]] = {}
    """By "column=value", as `--by` asked."""
    timings: dict[str, float] = {}
    warnings: list[str] = []

    _per_image: pd.DataFrame | None = None
    _curves: dict[str, Any] | None = None
    _folder: Path | None = None

    @property
    def per_image(self) -> pd.DataFrame | None:
        """One row per image: role, name, sha256, face box and score, per-image values; None when not at hand."""
        return self._per_image

    def with_per_image(self, table: pd.DataFrame) -> Run:
        """This run, carrying its per-image table."""
        self._per_image = table
        return self

    @property
    def curves(self) -> dict[str, Any] | None:
        """What plots are drawn from (`facebench.evaluation.curves`); None when not at hand."""
        return self._curves

    def with_curves(self, curves: dict[str, Any]) -> Run:
        """This run, carrying what its plots are drawn from."""
        self._curves = curves
        return self

    @property
    def folder(self) -> Path | None:
        """The run folder that it was read from; None for a run made here or read from a record alone."""
        return self._folder

    def to_json(self) -> str:
        """The record as JSON text: stable key order, shortest exact floats."""
        content = self.model_dump(mode="json", by_alias=True)
        return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def save(self, folder: str | Path) -> Path:
        """Write `record.json`, `per_image.parquet` and `curves.json` into a folder; returns the record's path.

        Each file appears whole or not at all.
        """
        target = Path(folder)
        try:
            target.mkdir(parents=True, exist_ok=True)
            if self._per_image is not None:
                with _whole_file(target / PER_IMAGE) as temporary:
                    self._per_image.to_parquet(temporary, index=False)
            if self._curves is not None:
                _write_text(target / CURVES, json.dumps(self._curves, allow_nan=False) + "\n")
        except OSError as error:
            raise _cannot_write(target, error) from error
        return self.save_record(target)

    def save_record(self, path: str | Path) -> Path:
        """Write the record alone, to a file or as `record.json` of an existing folder; returns its path.

        The file appears whole or not at all.
        """
        target = Path(path)
        target = target / RECORD if target.is_dir() else target
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _write_text(target, self.to_json())
        except OSError as error:
            raise _cannot_write(target, error) from error
        return target

    def to_frame(self) -> pd.DataFrame:
        """Long form: one row per metric, with model, protocol, suite, value, interval and n."""
        everything: list[tuple[str, Mapping[str, MetricResult]]] = [("", self.metrics), *self.groups.items()]
        rows = [
            {
                "model": self.name,
                "protocol": self.protocol,
                "suite": self.suite,
                "group": group,
                "metric": metric,
                "value": result.value,
                "low": result.low,
                "high": result.high,
                "method": result.method,
                "n": result.n.get("generated"),
                "better": result.better,
                "note": result.reason or result.note,
            }
            for group, results in everything
            for metric, result in results.items()
        ]
        return pd.DataFrame(rows)


def load_run(path: str | Path) -> Run:
    """Read a run from its folder or its record file.

    Raises:
        InputError: there is no record, it is not JSON, or it was written by a newer facebench.
    """
    file = Path(path)
    if file.is_dir():
        file = file / RECORD
    if not file.is_file():
        raise InputError(f"There is no run record at {path}: expected a run folder or its {RECORD}.")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise InputError(f"{file} is not a readable JSON record: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{file} is not a run record: expected a JSON object.")
    _refuse_newer(content, file)
    try:
        run = Run.model_validate(content)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(step) for step in problem["loc"])
        raise InputError(f"{file} is not a run record: {key}: {problem['msg']}") from error
    if "generated" not in run.inputs:
        raise InputError(f"{file} is not a run record: inputs: no generated images.")
    return _with_neighbours(run, file.parent) if file.name == RECORD else run


def _with_neighbours(run: Run, folder: Path) -> Run:
    """The run with what lies beside its record."""
    run._folder = folder
    try:
        if (folder / PER_IMAGE).is_file():
            run.with_per_image(_known_table(pd.read_parquet(folder / PER_IMAGE)))
        if (folder / CURVES).is_file():
            run.with_curves(_known_curves(json.loads((folder / CURVES).read_text(encoding="utf-8"))))
    except (ValueError, OSError) as error:
        raise InputError(
            f"{folder} is damaged: {error}. Evaluate again, or delete the file to go without."
        ) from error
    return run


# What every entry of `curves.json` holds (`facebench.evaluation.curves`).
_CURVE_KEYS = {
    "scores": {"backbone", "against", "edges", "genuine", "impostor", "fmr", "fnmr", "eer_threshold"},
    "frechet": {"metric", "sizes", "distances"},
}
_MAP_KEYS = {"backbone", "fitted_on", "explained"}


def _known_table(table: pd.DataFrame) -> pd.DataFrame:
    missing = {"role", "image"} - set(table.columns)
    if missing:
        raise ValueError(f"{PER_IMAGE} has no column {', '.join(sorted(missing))}")
    return table


def _known_curves(curves: Any) -> dict[str, Any]:
    if not isinstance(curves, dict):
        raise ValueError(f"{CURVES} is not a JSON object")
    held = [(keys, entry) for name, keys in _CURVE_KEYS.items() for entry in curves.get(name) or []]
    held += [(_MAP_KEYS, curves["map"])] if curves.get("map") else []
    for keys, entry in held:
        if not isinstance(entry, dict) or keys - set(entry):
            raise ValueError(f"{CURVES} lacks {', '.join(sorted(keys - set(entry)))}")
    return curves


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the run record, as published in docs/run-record.schema.json."""
    return Run.model_json_schema(by_alias=True)


def _refuse_newer(content: dict[str, Any], file: Path) -> None:
    schema = content.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise InputError(
            f"{file} has schema {schema}, this facebench reads up to {SCHEMA}. Update with `pip install -U facebench`."
        )


def _write_text(target: Path, text: str) -> None:
    with _whole_file(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _cannot_write(target: Path, error: OSError) -> InputError:
    return InputError(f"The record cannot be written to {target}: {error.strerror}. Choose another place.")


class _whole_file:
    """A temporary path beside the target that becomes the target when the block ends well."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __enter__(self) -> Path:
        handle, name = tempfile.mkstemp(dir=self.target.parent, prefix=f".{self.target.name}.")
        os.close(handle)
        self.temporary = Path(name)
        return self.temporary

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self.temporary.unlink(missing_ok=True)
            return
        with self.temporary.open("rb") as file:
            os.fsync(file.fileno())
        self.temporary.chmod(0o644)
        self.temporary.replace(self.target)
