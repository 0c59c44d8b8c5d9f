"""Run record: a JSON file with options, inputs, networks and values, and a per-image table beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from facebench.core.environment import Version
from facebench.core.errors import InputError
from facebench.core.files import atomic_path, atomic_write_text
from facebench.evaluation.companions import CURVES, LEAVE_OUT, PER_IMAGE
from facebench.evaluation.config import EvaluationConfig
from facebench.evaluation.record_fields import Count, Decimals, Number, Seconds, Seed, Share, Text, Time
from facebench.evaluation.results_by_metric import MetricResults
from facebench.evaluation.run_folders import RECORD
from facebench.evaluation.run_views import run_views
from facebench.images.image_set import Kind

SCHEMA = 1


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class RealScale(_Model):
    """Value of a metric for real faces alone, beside which the value of the generated faces is read."""

    value: Number
    """Mean over random splits of the reference set; verification takes all of its pairs."""
    low: Number
    """Smallest value of a split."""
    high: Number
    """Largest value of a split."""
    n: dict[Text, Count]
    """Real images in the place of the generated and of the reference images, or reference images and identities."""
    note: Text = ""
    """Why the scale needs care, such as fewer images than were generated."""


class MetricResult(_Model):
    """Value of one metric with its interval and sample sizes."""

    title: Text
    value: Number | None
    """None when it cannot be computed; `reason` gives the cause."""
    low: Number | None = None
    high: Number | None = None
    level: Annotated[float, Field(gt=0, lt=1)] | None = None
    method: Text = "none"
    """Method of the interval."""
    resampled: Text = ""
    """Resampling unit of the interval: image, identity, source, target, or two of them joined by ` × `."""
    generalises_to: Text = ""
    """What the interval generalises to, such as "new people" or "new images of the same 20 people"."""
    units: Number | None = None
    """Effective number of resampling units."""
    n: dict[Text, Count] = {}
    """Sample sizes: images, pairs, identities."""
    better: Literal["higher", "lower", "neither"]
    unit: Text = ""
    decimals: Decimals = 3
    depends_on_n: bool = False
    real: RealScale | None = None
    """The metric on real faces alone; None without a reference set or where it has no meaning."""
    backbone: Text
    reason: Text = ""
    """Why there is no value."""
    note: Text = ""
    """Why the value needs care (shown as †)."""

    @model_validator(mode="after")
    def _check_order(self) -> MetricResult:
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low {self.low:g} is above high {self.high:g}")
        return self

    @property
    def arrow(self) -> str:
        """Direction in which the value improves."""
        return {"higher": "↑", "lower": "↓", "neither": ""}[self.better]


class GroupResult(MetricResult):
    """Value of one metric for one group of images, compared with that of all images."""

    difference: Number | None = None
    """Group minus all images."""
    p: Share | None = None
    """p-value of the difference, corrected over the groups of the metric (Holm); None where it is not tested."""

    @property
    def differs(self) -> bool:
        """Whether the group differs from the whole set at p < 0.05."""
        return self.p is not None and self.p < 0.05


class RejectedFile(_Model):
    """A file that is not used, or not used by the face networks, and the reason."""

    name: Text
    reason: Text
    detail: Text = ""
    scope: Literal["all", "faces"] = "all"


class InputRecord(_Model):
    """Images of one role, identified by their content."""

    path: Text
    kind: Kind | Literal["statistics"]
    digest: Text
    """sha256 over names, columns and content of the used images."""
    images: Count
    """Number of used images; 0 for statistics that do not hold it."""
    faces: Count | None = None
    """Number of used images with a detected face; None when no network needs faces."""
    identities: Count | None = None
    domain: Literal["photographs", "rendered", "mixed"] | None = None
    """Kind of the face images; None when it was not determined."""
    domain_source: str = ""
    """"declared", or what the detection rests on."""
    framing: float | None = Field(None, ge=0)
    """Median height of the face box over the height of the image."""
    resolution: float | None = Field(None, ge=0)
    """Median shorter side in pixels."""
    sharpness: float | None = Field(None, ge=0)
    """Median variance of the Laplacian of aligned grey faces of 112 pixels."""
    jpeg_quality: float | None = Field(None, ge=0, le=100)
    """Median JPEG quality of the files; 100 for other formats."""
    grey_share: float | None = Field(None, ge=0, le=1)
    """Share of images without colour."""
    statistics: Text = ""
    """Network and array of reference statistics; empty for images."""
    rejected: list[RejectedFile] = []


class BackboneRecord(_Model):
    """A network, its weights and its preprocessing."""

    weights: Text
    sha256: Text
    licence: Text
    verified: bool
    """Whether the sha256 is published."""
    fingerprint: Text = ""
    """Source of the sha256, or date and origin of the trusted copy."""
    unofficial: bool = False
    """Whether the weights are not the published ones; such values are not comparable with published values."""
    preprocessing: Text


class NetworkChoice(_Model):
    """Networks that were taken for one kind of measurement, and those that were not at hand."""

    kind: Text
    """fidelity, identity, quality, affect, shape, pose or similarity."""
    networks: list[Text]
    """Networks of the run, best first."""
    reason: Text
    """Why these networks were taken."""
    missing: dict[Text, Text] = {}
    """Networks of the paper suite that are not at hand, and the command that brings their weights."""


class ClassRecall(_Model):
    """Share of the images of one expression that a network reads as this expression."""

    expression: Text
    value: Share | None
    """None for an expression without images."""
    low: Share | None = None
    high: Share | None = None
    n: Count


class Confusion(_Model):
    """Confusion matrix of an affect network on labelled images."""

    classes: list[Text]
    counts: list[list[Count]]
    """Numbers of images: rows are labels, columns predictions."""
    recalls: list[ClassRecall]


class NetworkAgreement(_Model):
    """Agreement of two affect networks on the same images."""

    first: Text
    second: Text
    output: Text
    """valence, arousal or expression."""
    measure: Text
    value: Number | None
    low: Number | None = None
    high: Number | None = None
    n: Count


class Run(_Model):
    """A run record: options, inputs, networks, environment, and every value with its interval."""

    schema_version: Annotated[int, Field(ge=1)] = Field(default=SCHEMA, alias="schema")
    model_config = ConfigDict(extra="forbid", populate_by_name=True, allow_inf_nan=False)

    facebench: Version
    created: Time
    name: Text
    tags: dict[Text, Text] = {}
    """Properties of the model for tables and factorial studies: base, prompt, stage, ..."""
    protocol: Text
    suite: Text
    config: EvaluationConfig | None = None
    """Options of the evaluation; None in records of facebench 0.1.0."""
    inputs: dict[Text, InputRecord]
    backbones: dict[Text, BackboneRecord]
    environment: dict[Text, Text]
    seed: Seed
    metrics: Annotated[dict[Text, MetricResult], AfterValidator(MetricResults)]
    choices: list[NetworkChoice] = []
    """Networks by kind of measurement, and why they were taken."""
    groups: dict[Text, dict[Text, GroupResult]] = {}
    """Values by "column=value", requested with `--by`."""
    confusions: dict[Text, Confusion] = {}
    """Confusion matrices of affect networks on labelled images, by network."""
    network_agreement: list[NetworkAgreement] = []
    """Agreement of the affect networks with each other on labelled images."""
    timings: dict[Text, Seconds] = {}
    warnings: list[Text] = []

    _per_image: pd.DataFrame | None = None
    _curves: dict[str, Any] | None = None
    _leave_out: pd.DataFrame | None = None
    _folder: Path | None = None

    def __repr__(self) -> str:
        """Return one line: name, protocol, suite and number of metrics."""
        return (
            f"<Run {self.name!r}: protocol {self.protocol}, suite {self.suite}, {len(self.metrics)} metrics>"
        )

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """Return the headline metrics as a table, for notebooks."""
        from facebench.evaluation.run_table import run_table

        return run_table(self)._repr_html_()

    def plot(self, name: str | None = None) -> Any:
        """Return a plot for a notebook, a `facebench.report.notebook.RunPlot`.

        Args:
            name: a metric that is a mean over images, or "scores", "roc" or "det"; the first metric of the headline
                that can be drawn if None.
        """
        return run_views().plot(self, name)

    def images(self, *, worst: str | None = None, best: str | None = None, n: int = 12) -> Any:
        """Return the worst or best images for a notebook, a `facebench.report.notebook.RunImages`.

        Args:
            worst: metric whose worst images are returned; the beginning of its id is enough.
            best: metric whose best images are returned; give either this or `worst`.
            n: number of images.
        """
        return run_views().images(self, worst=worst, best=best, n=n)

    @property
    def per_image(self) -> pd.DataFrame | None:
        """One row per image: role, name, sha256, face box and score, per-image values; None if not available."""
        return self._per_image

    def with_per_image(self, table: pd.DataFrame) -> Run:
        """Attach the per-image table; returns this run."""
        self._per_image = table
        return self

    @property
    def curves(self) -> dict[str, Any] | None:
        """Data of the plots (`facebench.evaluation.curves`); None if not available."""
        return self._curves

    def with_curves(self, curves: dict[str, Any]) -> Run:
        """Attach the data of the plots; returns this run."""
        self._curves = curves
        return self

    def generalisation(self) -> dict[str, list[str]]:
        """Return the metrics by what their intervals generalise to, such as "new people"."""
        metrics: dict[str, list[str]] = {}
        for metric, result in self.metrics.items():
            if result.low is not None and result.generalises_to:
                metrics.setdefault(result.generalises_to, []).append(metric)
        return metrics

    @property
    def leave_out(self) -> pd.DataFrame | None:
        """Values of metrics without each group of units (`facebench.evaluation.leave_out`); None if not available."""
        return self._leave_out

    def with_leave_out(self, table: pd.DataFrame) -> Run:
        """Attach the values of metrics without each group of units; returns this run."""
        self._leave_out = table
        return self

    @property
    def folder(self) -> Path | None:
        """Run folder from which the record was read; None for a new run or a record without a folder."""
        return self._folder

    def to_json(self) -> str:
        """Return the record as JSON: stable key order, shortest exact floats."""
        content = self.model_dump(mode="json", by_alias=True)
        return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def save(self, folder: str | Path) -> Path:
        """Write `record.json`, `per_image.parquet`, `leave_out.parquet` and `curves.json` into a folder.

        Each file is replaced atomically.

        Returns:
            Path of the record.

        Raises:
            InputError: the folder cannot be written.
        """
        target = Path(folder)
        try:
            target.mkdir(parents=True, exist_ok=True)
            for name, table in ((PER_IMAGE, self._per_image), (LEAVE_OUT, self._leave_out)):
                if table is not None:
                    with atomic_path(target / name) as temporary:
                        table.to_parquet(temporary, index=False)
            if self._curves is not None:
                atomic_write_text(target / CURVES, json.dumps(self._curves, allow_nan=False) + "\n")
        except OSError as error:
            raise _cannot_write(target, error) from error
        return self.save_record(target)

    def save_record(self, path: str | Path) -> Path:
        """Write only the record, to a file or as `record.json` of an existing folder.

        The file is replaced atomically.

        Returns:
            Path of the record.

        Raises:
            InputError: the file cannot be written.
        """
        target = Path(path)
        target = target / RECORD if target.is_dir() else target
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            atomic_write_text(target, self.to_json())
        except OSError as error:
            raise _cannot_write(target, error) from error
        return target

    def to_frame(self) -> pd.DataFrame:
        """Return a table in long form: one row per metric, with model, protocol, suite, value, interval and n."""
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
                "real": None if result.real is None else result.real.value,
                "better": result.better,
                "note": result.reason or result.note,
            }
            for group, results in everything
            for metric, result in results.items()
        ]
        return pd.DataFrame(rows)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the run record, as published in docs/run-record.schema.json."""
    return Run.model_json_schema(by_alias=True)


def _cannot_write(target: Path, error: OSError) -> InputError:
    return InputError(
        f"The record cannot be written to {target}: {error.strerror or error}. Choose another folder with --out."
    )
