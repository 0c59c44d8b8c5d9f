"""Jobs of a grid: one model is trained for every combination of training data, conditioner and ResNet.

Every model is used with every combination of target and source extractor.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from facebench.images.path_pattern import PathPattern
from facebench.studies.grid.grid_file import (
    FACTORS,
    OF_MODEL,
    Cell,
    Grid,
    ImageSource,
    Synth,
    TransferSettings,
    text_of,
)
from facebench.studies.grid.job import OUT, Job, add_job, make_job
from facebench.training.presets import read


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
    return job if isinstance(settings.pairs, int) else replace(job, content=text_of(Path(pairs)))


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
    # The comparison may get more runs.
    job = make_job("factorial", words, [name for name in jobs if name.startswith("evaluate ")], "study")
    return replace(job, repeats=True)


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
