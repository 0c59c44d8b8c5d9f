"""Grid files, and the jobs of a grid.

A grid has five factors: training data, stage conditioner, ResNet, target extractor, source extractor. One model is
trained for every combination of the first three, and used with every combination of the last two.
"""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from facebench.core.errors import InputError
from facebench.core.suggest import suggest
from facebench.core.yaml_text import parse_yaml
from facebench.images.image_set import ImageSet
from facebench.images.path_pattern import PathPattern
from facebench.synthface.dataset import COLUMNS
from facebench.training.engine.settings import Settings
from facebench.training.presets import read
from facebench.training.rig.buffers.extractors import EXTRACTORS
from facebench.training.rig.transfer.pairs import OF_SHOWN, OF_SOURCE

FACTORS = ("data", "conditioner", "resnet", "target", "source")
OF_MODEL = ("data", "conditioner", "resnet")
RESNETS = (18, 50)
Cell = Mapping[str, str]


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


@dataclass(frozen=True)
class Job:
    """One command of a grid.

    Attributes:
        name: unique name, also of its log.
        words: words of the command after `facebench`; `OUT` stands for the folder of the grid.
        needs: names of jobs that must finish first.
        folder: output folder, relative to the folder of the grid.
        fresh: whether output of an interrupted run is removed first; other commands resume.
        content: content of edited files that the command reads: training settings, or the list of pairs.
    """

    name: str
    words: tuple[str, ...]
    needs: tuple[str, ...] = ()
    folder: str = ""
    fresh: bool = False
    content: str = ""


OUT = "{out}"
ALL_PAIRS = "all"
"""Value of `transfer.pairs` that pairs every source with every target."""


def read_grid(path: Path) -> Grid:
    """Read and check a grid file; paths in it are relative to it.

    Raises:
        InputError: not a YAML mapping, an unknown key, factor or level, an unknown set, or a breakdown column that the
            transfers will lack.
    """
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


def plan(grid: Grid, grid_folder: Path, *, strict: bool = True) -> list[Job]:
    """Return the jobs of a grid in an order in which they can run one after the other.

    Args:
        grid: the grid.
        grid_folder: folder of the grid file; paths in the file are relative to it.
        strict: require the folder of the albums; otherwise one person stands for missing albums.
    """
    if grid.personal is not None:
        from facebench.studies.grid.personal_plan import plan_personal

        return plan_personal(grid, grid_folder, strict)
    paths = {name: path_of(name, source, grid_folder) for name, source in grid.sets.items()}
    jobs: dict[str, Job] = {}
    used = [str(level) for level in grid.factors["data"]] + [grid.transfer.source, grid.transfer.target]
    for name in dict.fromkeys(used):
        synth = grid.sets[name].synth
        if synth is not None:
            add_job(jobs, synth_job(name, synth))
    for cell in grid.cells:
        if existing_model(grid, cell, grid_folder) is None:
            add_job(jobs, buffers_job(grid, cell, paths, jobs))
            add_job(jobs, train_job(grid, cell, grid_folder))
    for cell in grid.cells:
        add_job(jobs, _transfer(grid, cell, paths, grid_folder, jobs))
        for number, by in enumerate(grid.evaluate.by or (None,)):
            add_job(jobs, _evaluate(grid, cell, by, number))
    add_job(jobs, _compare(grid, jobs))
    return list(jobs.values())


def add_job(jobs: dict[str, Job], job: Job) -> None:
    """Add a job unless one of its name exists."""
    jobs.setdefault(job.name, job)


def synth_job(name: str, synth: Synth) -> Job:
    """Return the job that renders a set."""
    words: list[Any] = [
        "synth",
        f"{OUT}/sets/{name}",
        "--identities",
        synth.identities,
        "--images",
        synth.images,
    ]
    words += ["--size", synth.size, "--seed", synth.seed]
    if synth.expressions is not None:
        words += ["--expressions", ",".join(synth.expressions)]
    return make_job(f"set {name}", words, folder=f"sets/{name}", fresh=True)


def buffers_job(grid: Grid, cell: Cell, paths: Mapping[str, str], jobs: Mapping[str, Job]) -> Job:
    """Return the job of the buffers of a cell."""
    name = f"{cell['data']}-{cell['conditioner']}"
    words = [
        "buffers",
        paths[cell["data"]],
        "--out",
        f"{OUT}/buffers/{name}",
        "--source",
        cell["conditioner"],
    ]
    needs = [need for need in (f"set {cell['data']}",) if need in jobs]
    return make_job(f"buffers {name}", [*words, "--size", grid.buffers.size], needs, f"buffers/{name}")


def train_job(grid: Grid, cell: Cell, grid_folder: Path) -> Job:
    """Return the job that trains the model of a cell."""
    name, data = model_name(cell), f"{cell['data']}-{cell['conditioner']}"
    config = grid.train.config
    config = str((grid_folder / config).resolve()) if config.endswith((".yaml", ".yml")) else config
    words = ["train", "rig", f"data={OUT}/buffers/{data}", f"model.encoder=resnet{cell['resnet']}"]
    changes = [*grid.train.changes, *_seed(grid, cell)]
    words += [*changes, "--config", config, "--out", f"{OUT}/models/{name}"]
    job = make_job(f"model {name}", words, [f"buffers {data}"], f"models/{name}")
    return replace(job, content=json.dumps(read(config, changes), sort_keys=True))


def _seed(grid: Grid, cell: Cell) -> list[str]:
    seed = cell.get("seed", str(grid.train.seeds[0]))
    return [f"seed={seed}"] if len(grid.train.seeds) > 1 or seed != "0" else []


def existing_model(grid: Grid, cell: Cell, grid_folder: Path) -> Path | None:
    """Return the existing model of stage 1 of a cell; None where it is trained."""
    return existing(grid.train.checkpoints, cell, grid_folder)


def existing(pattern: str | None, fields: Mapping[str, str], grid_folder: Path) -> Path | None:
    """Return the path that a pattern gives for some fields, if it exists."""
    if pattern is None:
        return None
    path = grid_folder / PathPattern(pattern).fill(fields)
    return path.resolve() if path.exists() else None


def checkpoint_of(grid: Grid, cell: Cell, grid_folder: Path) -> str:
    """Return the path of the model of stage 1: an existing one, or that of its training."""
    found = existing_model(grid, cell, grid_folder)
    return f"{OUT}/models/{model_name(cell)}" if found is None else str(found)


def _transfer(
    grid: Grid, cell: Cell, paths: Mapping[str, str], grid_folder: Path, jobs: Mapping[str, Job]
) -> Job:
    settings, name = grid.transfer, cell_name(cell)
    pairs = (
        f"{OUT}/pairs.csv"
        if isinstance(settings.pairs, int)
        else str((grid_folder / settings.pairs).resolve())
    )
    words: list[Any] = ["transfer", "--checkpoint", checkpoint_of(grid, cell, grid_folder)]
    words += ["--source", paths[settings.source], "--target", paths[settings.target], "--pairs", pairs]
    words += transfer_options(settings, cell)
    sets = [
        f"set {name}" for name in dict.fromkeys((settings.source, settings.target)) if f"set {name}" in jobs
    ]
    needs = [need for need in (f"model {model_name(cell)}",) if need in jobs] + sets
    job = make_job(
        f"transfer {name}", [*words, "--out", f"{OUT}/transfers/{name}"], needs, f"transfers/{name}"
    )
    return job if isinstance(settings.pairs, int) else replace(job, content=_text(Path(pairs)))


def transfer_options(settings: TransferSettings, cell: Cell) -> list[Any]:
    """Return the options of `facebench transfer` that settings and cell determine."""
    words: list[Any] = ["--extractor-source", cell["source"], "--extractor-target", cell["target"]]
    words += ["--take", settings.take, "--steps", settings.steps, "--seed", settings.seed]
    words += ["--sampler", settings.sampler] if settings.sampler != "ddim" else []
    words += ["--shape", settings.shape] if settings.shape is not None else []
    if settings.candidates > 1:
        words += ["--candidates", settings.candidates, "--keep", settings.keep]
    return words


def _evaluate(grid: Grid, cell: Cell, by: str | None, number: int) -> Job:
    settings, name = grid.evaluate, cell_name(cell)
    folder = f"runs/{name}" if number == 0 else f"by-{by}/{name}"
    words = [
        "evaluate",
        f"{OUT}/transfers/{name}/manifest.csv",
        "--protocol",
        settings.protocol,
        "--suite",
        settings.suite,
    ]
    words += ["--name", name, "--max-rejected", str(settings.max_rejected), "--out", f"{OUT}/{folder}"]
    # Further columns are for the tables of failures, which need only the compared metrics.
    metrics = settings.metrics or (grid.compare if number else None)
    words += ["--metrics", ",".join(metrics)] if metrics else []
    words += ["--by", by] if by else []
    for factor in FACTORS:
        words += ["--tag", f"{factor}={cell[factor]}"]
    job = f"evaluate {name}" if number == 0 else f"evaluate {name} by {by}"
    return make_job(job, words, [f"transfer {name}"], folder)


def _compare(grid: Grid, jobs: Mapping[str, Job]) -> Job:
    words = ["factorial", *(f"{OUT}/runs/{cell_name(cell)}" for cell in grid.cells)]
    words += ["--metrics", ",".join(grid.compare)] if grid.compare else []
    for by in grid.evaluate.by[1:]:
        words += ["--breakdown", f"{OUT}/by-{by}"]
    words += [
        "--csv",
        f"{OUT}/study/effects.csv",
        "--html",
        f"{OUT}/study/study.html",
        "--plots",
        f"{OUT}/study/plots",
    ]
    return make_job("factorial", words, [name for name in jobs if name.startswith("evaluate ")], "study")


def make_job(
    name: str, words: Sequence[Any], needs: Sequence[str] = (), folder: str = "", fresh: bool = False
) -> Job:
    """Return a job with its words as text."""
    return Job(name, tuple(str(word) for word in words), tuple(needs), folder, fresh)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}).") from None


def model_name(cell: Cell) -> str:
    """Return the name of the model of a cell."""
    seed = [f"s{cell['seed']}"] if "seed" in cell else []
    return "-".join([*(cell[factor] for factor in OF_MODEL), *seed])


def cell_name(cell: Cell) -> str:
    """Return the name of a cell: its model and its extractors."""
    return f"{model_name(cell)}-to-{cell['target']}-from-{cell['source']}"


def path_of(name: str, source: ImageSource, grid_folder: Path) -> str:
    """Return the folder of a set."""
    return f"{OUT}/sets/{name}" if source.path is None else str((grid_folder / source.path).resolve())


def _check_factors(grid: Grid, path: Path) -> None:
    for factor in grid.factors:
        if factor not in FACTORS:
            raise InputError(f"{path}: there is no factor '{factor}'. {suggest(factor, FACTORS)}")
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
        header = _text(grid_folder / settings.pairs).lstrip("\ufeff").splitlines()[:1]
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
