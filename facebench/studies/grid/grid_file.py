"""Grid files: their settings, and checks before anything runs.

A grid has five factors: training data, stage conditioner, ResNet, target extractor, source extractor.
"""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from facebench.core.errors import InputError
from facebench.core.files import check_regular
from facebench.core.suggest import suggest
from facebench.core.yaml_text import parse_yaml
from facebench.images.image_set import ImageSet
from facebench.synthface.dataset import COLUMNS
from facebench.training.engine.settings import Settings
from facebench.training.rig.buffers.extractors import EXTRACTORS
from facebench.training.rig.transfer.pairs import OF_SHOWN, OF_SOURCE

FACTORS = ("data", "conditioner", "resnet", "target", "source")
OF_MODEL = ("data", "conditioner", "resnet")
RESNETS = (18, 50)
Cell = Mapping[str, str]
ALL_PAIRS = "all"
"""Value of `transfer.pairs` that pairs every source with every target."""


class Synth(Settings):
    """A set of rendered faces, written by `facebench synth`."""

    identities: int = Field(..., gt=0)
    images: int = Field(..., gt=0)
    size: int = Field(64, ge=32)
    seed: int = Field(0, ge=0)
    expressions: tuple[str, ...] | None = None


class ImageSource(Settings):
    """Existing images (`path`), or images that are rendered first (`synth`)."""

    path: Path | None = None
    synth: Synth | None = None


class BufferSettings(Settings):
    """Settings of the physical buffers."""

    size: int = Field(256, ge=16)


class TrainSettings(Settings):
    """Training settings of every model."""

    config: str
    """A preset or a YAML file of the kind rig."""
    changes: tuple[str, ...] = ()
    """Changes of the settings, such as "steps=1000"."""
    seeds: tuple[int, ...] = (0,)
    """Seeds of the training; several seeds train several models per cell."""
    checkpoints: str | None = None
    """Paths of existing models, such as "models/{conditioner}_{data}_resnet{resnet}/model100000.pt"; a cell whose file
    exists is not trained."""


class PersonalSettings(Settings):
    """Stage 2: every model is fine-tuned on the album of each person, and used for this person."""

    albums: str
    """Name of the set whose folders are albums of one person each."""
    config: str
    """A preset or a YAML file of stage 2."""
    changes: tuple[str, ...] = ()
    people: tuple[str, ...] | None = None
    """Names of the folders; all by default."""
    checkpoints: str | None = None
    """Paths of existing models of stage 2, with the field {person} besides those of the cell."""


class TransferSettings(Settings):
    """Transfer settings of every model."""

    source: str
    """Name of the set that provides the identities."""
    target: str
    pairs: int | Path
    """A CSV file of pairs, or the number of drawn pairs of different people with different expressions. With
    `personal`, every photograph of an album is paired with every target, and this key is "all"."""
    take: Literal["expression", "light", "pose"] = "expression"
    steps: int = Field(20, gt=0)
    seed: int = Field(0, ge=0)
    sampler: Literal["ddim", "ddpm", "dpm-solver++"] = "ddim"
    shape: str | None = None
    """"album", "own" or a file; by default the mean shape of the album where the model was trained with one."""
    candidates: int = Field(1, gt=0)
    keep: Literal["sharpest", "least-sharp"] = "sharpest"


class EvaluateSettings(Settings):
    """Evaluation settings of every model."""

    protocol: str = "expression-transfer"
    suite: Literal["auto", "paper", "compact"] = "auto"
    metrics: tuple[str, ...] | None = None
    by: tuple[str, ...] = ()
    """Columns of the breakdown: identity, expression, skin, gender, age."""
    max_rejected: float = Field(0.02, ge=0, le=1)


class Grid(Settings):
    """A grid file."""

    grid: str
    """Name of the grid."""
    about: str = ""
    factors: dict[str, tuple[str | int, ...]]
    sets: dict[str, ImageSource]
    buffers: BufferSettings
    train: TrainSettings
    personal: PersonalSettings | None = None
    """Stage 2; all cells are then evaluated as one record."""
    transfer: TransferSettings
    evaluate: EvaluateSettings
    compare: tuple[str, ...] | None = None
    """Metrics of the factorial report; by default all metrics with a value in every run."""

    @property
    def cells(self) -> list[Cell]:
        """All combinations, each as a mapping from factor to level."""
        levels = [[str(level) for level in self.factors[factor]] for factor in FACTORS]
        cells = [dict(zip(FACTORS, cell, strict=True)) for cell in itertools.product(*levels)]
        if len(self.train.seeds) == 1:
            return list(cells)
        return [{**cell, "seed": str(seed)} for cell in cells for seed in self.train.seeds]


def read_grid(path: Path) -> Grid:
    """Read and check a grid file; paths in it are relative to it.

    Raises:
        InputError: not a YAML mapping, an unknown key, factor or level, an unknown set, or a breakdown column that the
            transfers will lack.
    """
    check_regular(path)
    try:
        content = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as YAML ({str(error).splitlines()[0]}).") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: a grid is a mapping of keys to values.")
    try:
        grid = Grid.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: '{key}': {first['msg'].lower()}.") from None
    _check_factors(grid, path)
    _check_sets(grid, path)
    _check_personal(grid, path)
    _check_columns(grid, path)
    return grid


def text_of(path: Path) -> str:
    """Return the text of a file.

    Raises:
        InputError: it cannot be read.
    """
    check_regular(path)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}).") from None


def _check_factors(grid: Grid, path: Path) -> None:
    for factor in grid.factors:
        if factor not in FACTORS:
            raise InputError(f"{path}: '{factor}' is not a factor. {suggest(factor, FACTORS)}")
    known: dict[str, Sequence[Any]] = {
        "data": list(grid.sets),
        "resnet": RESNETS,
        **{factor: list(EXTRACTORS) for factor in ("conditioner", "target", "source")},
    }
    for factor in FACTORS:
        levels = grid.factors.get(factor, ())
        if not levels:
            raise InputError(f"{path}: the factor '{factor}' has no levels. Give at least one.")
        for level in levels:
            if level not in known[factor]:
                listed = ", ".join(map(str, known[factor]))
                raise InputError(
                    f"{path}: the factor '{factor}' has no level {json.dumps(level)}. Known: {listed}."
                )
    readers = [str(level) for factor in ("conditioner", "target", "source") for level in grid.factors[factor]]
    if len({EXTRACTORS[name] for name in readers}) > 1:
        raise InputError(
            f"{path}: extractors of photographs (deca, emoca) and of synthetic faces (synthface, compact) cannot be "
            "mixed: their codes have different meanings."
        )


def _check_personal(grid: Grid, path: Path) -> None:
    if (grid.personal is not None) != (str(grid.transfer.pairs) == ALL_PAIRS):
        raise InputError(f"{path}: `personal` and `transfer.pairs: all` belong together.")
    if grid.personal is None:
        return
    if grid.personal.albums not in grid.sets:
        raise InputError(
            f"{path}: personal.albums names the set '{grid.personal.albums}'; there are: {', '.join(grid.sets)}."
        )
    if EXTRACTORS[str(grid.factors["source"][0])] != "flame":
        raise InputError(
            f"{path}: stage 2 reads albums of photographs. Use the extractors deca and emoca, not synthface or compact."
        )


def _check_sets(grid: Grid, path: Path) -> None:
    for name, source in grid.sets.items():
        if (source.path is None) == (source.synth is None):
            raise InputError(f"{path}: the set '{name}' needs either path or synth.")
    for role, name in (("source", grid.transfer.source), ("target", grid.transfer.target)):
        if name not in grid.sets:
            raise InputError(
                f"{path}: transfer.{role} names the set '{name}'; there are: {', '.join(grid.sets)}."
            )


def _check_columns(grid: Grid, path: Path) -> None:
    """Check the breakdown columns before the training, which takes hours."""
    if grid.personal is not None:
        return  # the joined manifest has the columns of the cells, the person and the target
    grid_folder, settings = path.absolute().parent, grid.transfer
    shown = settings.target if settings.take == "expression" else settings.source
    taking, showing = (_columns_of(grid.sets[name], grid_folder) for name in (settings.source, shown))
    if taking is None or showing is None:
        return
    known = [name for name in OF_SOURCE if name in taking] + [name for name in OF_SHOWN if name in showing]
    if not isinstance(settings.pairs, int) and str(settings.pairs) != ALL_PAIRS:
        header = text_of(grid_folder / settings.pairs).lstrip("\ufeff").splitlines()[:1]
        known += [name for name in next(csv.reader(header), []) if name not in ("source", "target")]
    for column in grid.evaluate.by:
        if column not in known:
            raise InputError(
                f"{path}: evaluate.by names the column '{column}', which the transfers will lack. "
                f"{suggest(column, known) if known else 'The transfers will have no columns.'}"
            )


def _columns_of(source: ImageSource, grid_folder: Path) -> Sequence[str] | None:
    """Return the columns of a set; None for a missing set, which its job reports."""
    if source.path is None:
        return COLUMNS
    return ImageSet.open(grid_folder / source.path).columns if (grid_folder / source.path).exists() else None
