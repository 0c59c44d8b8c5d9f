"""A grid file, and the jobs that it stands for.

A grid has five factors: training data x stage conditioner x ResNet x target extractor x source extractor. A model is
trained for every combination of the first three; each is used with every combination of the last two.
"""

from __future__ import annotations

import csv
import difflib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from facebench.core.errors import InputError
from facebench.core.suggest import suggest
from facebench.images.image_set import ImageSet
from facebench.synthface.dataset import COLUMNS
from facebench.training.engine.settings import Settings, read
from facebench.training.rig.buffers.extractors import EXTRACTORS
from facebench.training.rig.transfer.pairs import OF_SHOWN, OF_SOURCE

FACTORS = ("data", "conditioner", "resnet", "target", "source")
OF_MODEL = ("data", "conditioner", "resnet")
RESNETS = (18, 50)
Cell = Mapping[str, str]


class Synth(Settings):
    """A set of synthetic faces, made by `facebench synth`."""

    identities: int = Field(..., gt=0)
    images: int = Field(..., gt=0)
    size: int = Field(64, ge=32)
    seed: int = Field(0, ge=0)
    expressions: tuple[str, ...] | None = None


class ImageSource(Settings):
    """Images that are there (`path`), or synthetic ones that are made first."""

    path: Path | None = None
    synth: Synth | None = None


class BufferSettings(Settings):
    """How buffers are made."""

    size: int = Field(256, ge=16)


class TrainSettings(Settings):
    """How every model is trained."""

    config: str
    """A preset or a YAML file of the kind rig."""
    changes: tuple[str, ...] = ()
    """Such as "steps=1000"."""


class TransferSettings(Settings):
    """What every model is asked to do."""

    source: str
    """A set by name: whose identity stays."""
    target: str
    pairs: int | Path
    """A CSV file of pairs, or how many to draw: of different people with different expressions."""
    take: Literal["expression", "light", "pose"] = "expression"
    steps: int = Field(20, gt=0)
    seed: int = Field(0, ge=0)


class EvaluateSettings(Settings):
    """How every model is judged."""

    protocol: str = "expression-transfer"
    suite: Literal["auto", "paper", "compact"] = "auto"
    metrics: tuple[str, ...] | None = None
    by: tuple[str, ...] = ()
    """Columns to break down by: identity, expression, skin, gender, age."""
    max_rejected: float = Field(0.02, ge=0, le=1)


class Grid(Settings):
    """A grid file."""

    grid: str
    """Its name."""
    about: str = ""
    factors: dict[str, tuple[str | int, ...]]
    sets: dict[str, ImageSource]
    buffers: BufferSettings
    train: TrainSettings
    transfer: TransferSettings
    evaluate: EvaluateSettings
    compare: tuple[str, ...] | None = None
    """Metrics of the factorial report; by default all that every run has."""

    @property
    def cells(self) -> list[Cell]:
        """Every combination, as factor to level."""
        levels = [[str(level) for level in self.factors[factor]] for factor in FACTORS]
        return [dict(zip(FACTORS, chosen, strict=True)) for chosen in itertools.product(*levels)]


@dataclass(frozen=True)
class Job:
    """One command.

    Attributes:
        name: unique; also of its log.
        words: of the command, after `facebench`; paths of the grid's folder are written with `OUT`.
        needs: jobs that come first.
        folder: what it writes, below the grid's folder.
        fresh: whether what an interrupted run left is removed first; other commands go on from it.
        content: of files that the command reads and people edit: all settings of a training, the list of pairs.
    """

    name: str
    words: tuple[str, ...]
    needs: tuple[str, ...] = ()
    folder: str = ""
    fresh: bool = False
    content: str = ""


OUT = "{out}"


def read_grid(path: Path) -> Grid:
    """Read and check a grid file; paths in it are relative to it.

    Raises:
        InputError: no YAML mapping, an unknown key, factor or level, a set that is not there, or a column to break
            down by that the transfers will not have.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
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
    _check_columns(grid, path)
    return grid


def plan(grid: Grid, where: Path) -> list[Job]:
    """The jobs of a grid in an order in which they could run one after the other.

    Args:
        grid: what to do.
        where: folder of the grid file, which its paths are relative to.
    """
    paths = {name: _path_of(name, source, where) for name, source in grid.sets.items()}
    jobs: dict[str, Job] = {}
    used = [str(level) for level in grid.factors["data"]] + [grid.transfer.source, grid.transfer.target]
    for name in dict.fromkeys(used):
        made = grid.sets[name].synth
        if made is not None:
            _add(jobs, _synth(name, made))
    for cell in grid.cells:
        _add(jobs, _buffers(grid, cell, paths, jobs))
        _add(jobs, _train(grid, cell, where))
    for cell in grid.cells:
        _add(jobs, _transfer(grid, cell, paths, where, jobs))
        for number, by in enumerate(grid.evaluate.by or (None,)):
            _add(jobs, _evaluate(grid, cell, by, number))
    _add(jobs, _compare(grid, jobs))
    return list(jobs.values())


def _add(jobs: dict[str, Job], job: Job) -> None:
    jobs.setdefault(job.name, job)


def _synth(name: str, made: Synth) -> Job:
    words: list[Any] = [
        "synth",
        f"{OUT}/sets/{name}",
        "--identities",
        made.identities,
        "--images",
        made.images,
    ]
    words += ["--size", made.size, "--seed", made.seed]
    if made.expressions is not None:
        words += ["--expressions", ",".join(made.expressions)]
    return _job(f"set {name}", words, folder=f"sets/{name}", fresh=True)


def _buffers(grid: Grid, cell: Cell, paths: Mapping[str, str], jobs: Mapping[str, Job]) -> Job:
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
    return _job(f"buffers {name}", [*words, "--size", grid.buffers.size], needs, f"buffers/{name}")


def _train(grid: Grid, cell: Cell, where: Path) -> Job:
    name, data = _model(cell), f"{cell['data']}-{cell['conditioner']}"
    config = grid.train.config
    config = str((where / config).resolve()) if config.endswith((".yaml", ".yml")) else config
    words = ["train", "rig", f"data={OUT}/buffers/{data}", f"model.encoder=resnet{cell['resnet']}"]
    words += [*grid.train.changes, "--config", config, "--out", f"{OUT}/models/{name}"]
    job = _job(f"model {name}", words, [f"buffers {data}"], f"models/{name}")
    return replace(job, content=json.dumps(read(config, grid.train.changes), sort_keys=True))


def _transfer(grid: Grid, cell: Cell, paths: Mapping[str, str], where: Path, jobs: Mapping[str, Job]) -> Job:
    asked, name = grid.transfer, _name(cell)
    pairs = f"{OUT}/pairs.csv" if isinstance(asked.pairs, int) else str((where / asked.pairs).resolve())
    words: list[Any] = ["transfer", "--checkpoint", f"{OUT}/models/{_model(cell)}"]
    words += ["--source", paths[asked.source], "--target", paths[asked.target], "--pairs", pairs]
    words += ["--extractor-source", cell["source"], "--extractor-target", cell["target"]]
    words += ["--take", asked.take, "--steps", asked.steps, "--seed", asked.seed]
    sets = [f"set {name}" for name in dict.fromkeys((asked.source, asked.target)) if f"set {name}" in jobs]
    needs = [f"model {_model(cell)}", *sets]
    job = _job(f"transfer {name}", [*words, "--out", f"{OUT}/transfers/{name}"], needs, f"transfers/{name}")
    return job if isinstance(asked.pairs, int) else replace(job, content=_text(Path(pairs)))


def _evaluate(grid: Grid, cell: Cell, by: str | None, number: int) -> Job:
    asked, name = grid.evaluate, _name(cell)
    folder = f"runs/{name}" if number == 0 else f"by-{by}/{name}"
    words = [
        "evaluate",
        f"{OUT}/transfers/{name}/manifest.csv",
        "--protocol",
        asked.protocol,
        "--suite",
        asked.suite,
    ]
    words += ["--name", name, "--max-rejected", str(asked.max_rejected), "--out", f"{OUT}/{folder}"]
    # Further columns say where a model fails; for that the metrics that are compared are enough.
    metrics = asked.metrics or (grid.compare if number else None)
    words += ["--metrics", ",".join(metrics)] if metrics else []
    words += ["--by", by] if by else []
    for factor, level in cell.items():
        words += ["--tag", f"{factor}={level}"]
    job = f"evaluate {name}" if number == 0 else f"evaluate {name} by {by}"
    return _job(job, words, [f"transfer {name}"], folder)


def _compare(grid: Grid, jobs: Mapping[str, Job]) -> Job:
    words = ["factorial", *(f"{OUT}/runs/{_name(cell)}" for cell in grid.cells)]
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
    return _job("factorial", words, [name for name in jobs if name.startswith("evaluate ")], "study")


def _job(
    name: str, words: Sequence[Any], needs: Sequence[str] = (), folder: str = "", fresh: bool = False
) -> Job:
    return Job(name, tuple(str(word) for word in words), tuple(needs), folder, fresh)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}).") from None


def _model(cell: Cell) -> str:
    return "-".join(cell[factor] for factor in OF_MODEL)


def _name(cell: Cell) -> str:
    return f"{_model(cell)}-to-{cell['target']}-from-{cell['source']}"


def _path_of(name: str, source: ImageSource, where: Path) -> str:
    return f"{OUT}/sets/{name}" if source.path is None else str((where / source.path).resolve())


def _check_factors(grid: Grid, path: Path) -> None:
    for factor in grid.factors:
        if factor not in FACTORS:
            close = difflib.get_close_matches(factor, FACTORS, n=1)
            hint = f"Did you mean '{close[0]}'?" if close else f"There are: {', '.join(FACTORS)}."
            raise InputError(f"{path}: there is no factor '{factor}'. {hint}")
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
                    f"{path}: the factor '{factor}' has no level {json.dumps(level)}. There are: {listed}."
                )
    readers = [str(level) for factor in ("conditioner", "target", "source") for level in grid.factors[factor]]
    if len({EXTRACTORS[name] for name in readers}) > 1:
        raise InputError(
            f"{path}: extractors of photographs (deca, emoca) and of synthetic faces (synthface, compact) cannot be "
            "mixed: their codes mean different things."
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
    """Training takes hours: a column that evaluation would not find is refused before."""
    where, asked = path.absolute().parent, grid.transfer
    shown = asked.target if asked.take == "expression" else asked.source
    taking, showing = (_columns_of(grid.sets[name], where) for name in (asked.source, shown))
    if taking is None or showing is None:
        return
    known = [name for name in OF_SOURCE if name in taking] + [name for name in OF_SHOWN if name in showing]
    if not isinstance(asked.pairs, int):
        header = _text(where / asked.pairs).lstrip("\ufeff").splitlines()[:1]
        known += [name for name in next(csv.reader(header), []) if name not in ("source", "target")]
    for column in grid.evaluate.by:
        if column not in known:
            raise InputError(
                f"{path}: evaluate.by names the column '{column}', which the transfers will not have. "
                f"{suggest(column, known) if known else 'They will have no columns at all.'}"
            )


def _columns_of(source: ImageSource, where: Path) -> Sequence[str] | None:
    """Columns of a set; None for one that is not there yet, which the job that needs it will say."""
    if source.path is None:
        return COLUMNS
    return ImageSet.open(where / source.path).columns if (where / source.path).exists() else None
