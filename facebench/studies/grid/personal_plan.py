"""Jobs of a study with stage 2: a model per person, and one evaluation of all cells.

set, buffers, model                     stage 1, one model per data, conditioner, ResNet and seed
album, person model                     stage 2, one album per conditioner and person
transfer                                every cell and person, from the album to the targets
manifest, evaluate, factorial           one record of all cells
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from facebench.core.errors import InputError
from facebench.core.suggest import suggest
from facebench.studies.grid.grid_file import ALL_PAIRS, FACTORS, Cell, Grid, PersonalSettings
from facebench.studies.grid.job import OUT, Job, add_job, make_job
from facebench.studies.grid.plan import (
    buffers_job,
    cell_name,
    checkpoint_of,
    existing,
    existing_model,
    model_name,
    path_of,
    synth_job,
    train_job,
    transfer_options,
)
from facebench.training.presets import read

COLUMNS = {
    "data": "data",
    "conditioner": "conditioner",
    "resnet": "resnet",
    "target": "target_extractor",
    "source": "source_extractor",
}
"""Columns of the manifest by factor; `target` and `source` are the columns of the images."""


def plan_personal(grid: Grid, grid_folder: Path, strict: bool = True) -> list[Job]:
    """Return the jobs of a study with stage 2, in an order in which they can run.

    Args:
        grid: the grid.
        grid_folder: folder of the grid file.
        strict: require the folder of the albums; otherwise one person called PERSON stands for missing albums.

    Raises:
        InputError: the albums are missing, or `people` names a missing album.
    """
    personal = grid.personal
    assert personal is not None
    paths = {name: path_of(name, source, grid_folder) for name, source in grid.sets.items()}
    jobs: dict[str, Job] = {}
    used = [str(level) for level in grid.factors["data"]] + [personal.albums, grid.transfer.target]
    for name in dict.fromkeys(used):
        synth = grid.sets[name].synth
        if synth is not None:
            add_job(jobs, synth_job(name, synth))
    people = albums_of(grid, personal, grid_folder, strict)
    for cell in grid.cells:
        if existing_model(grid, cell, grid_folder) is None and not _all_personal(
            grid, cell, people, grid_folder
        ):
            add_job(jobs, buffers_job(grid, cell, paths, jobs))
            add_job(jobs, train_job(grid, cell, grid_folder))
        for person, album in people.items():
            if _personal_model(grid, cell, person, grid_folder) is None:
                add_job(jobs, _album_job(grid, cell, (person, album), jobs))
                add_job(jobs, _personal_job(grid, cell, person, grid_folder, jobs))
    for cell in grid.cells:
        for person, album in people.items():
            add_job(jobs, _transfer_job(grid, cell, (person, album), paths, grid_folder, jobs))
    transfers = [name for name in jobs if name.startswith("transfer ")]
    for job in (_manifest_job(grid, transfers), _evaluate_job(grid), _factorial_job(grid)):
        add_job(jobs, job)
    return list(jobs.values())


def albums_of(
    grid: Grid, personal: PersonalSettings, grid_folder: Path, strict: bool = True
) -> dict[str, str]:
    """Return the folder of each person's album, by person; see `plan_personal`."""
    if personal.albums not in grid.sets:
        raise InputError(
            f"personal.albums names the set '{personal.albums}'. {suggest(personal.albums, grid.sets)}"
        )
    source = grid.sets[personal.albums]
    if source.synth is not None:
        folder = f"{OUT}/sets/{personal.albums}/images"
        names = [f"id{number:03d}" for number in range(source.synth.identities)]
    else:
        assert source.path is not None
        root = (grid_folder / source.path).resolve()
        if not root.is_dir() and not strict:
            return {person: f"{root}/{person}" for person in personal.people or ("PERSON",)}
        if not root.is_dir():
            raise InputError(
                f"{root} does not contain albums: the folder of the set '{personal.albums}' is missing."
            )
        folder = str(root)
        names = sorted(entry.name for entry in root.iterdir() if entry.is_dir() and entry.name[0] != ".")
    for person in personal.people or ():
        if person not in names:
            raise InputError(
                f"The folder {folder} does not contain the album '{person}'. {suggest(person, names)}"
            )
    return {person: f"{folder}/{person}" for person in personal.people or names}


def _all_personal(grid: Grid, cell: Cell, people: Mapping[str, str], grid_folder: Path) -> bool:
    return all(_personal_model(grid, cell, person, grid_folder) is not None for person in people)


def _personal_model(grid: Grid, cell: Cell, person: str, grid_folder: Path) -> Path | None:
    assert grid.personal is not None
    return existing(grid.personal.checkpoints, {**cell, "person": person}, grid_folder)


def _album_job(grid: Grid, cell: Cell, album: tuple[str, str], jobs: Mapping[str, Job]) -> Job:
    person, folder = album
    name = f"{person}-{cell['conditioner']}"
    words = ["buffers", folder, "--out", f"{OUT}/albums/{name}", "--source", cell["conditioner"]]
    words += ["--size", str(grid.buffers.size), "--mean-shape"]
    assert grid.personal is not None
    needs = [need for need in (f"set {grid.personal.albums}",) if need in jobs]
    return make_job(f"album {name}", words, needs, f"albums/{name}")


def _personal_job(grid: Grid, cell: Cell, person: str, grid_folder: Path, jobs: Mapping[str, Job]) -> Job:
    assert grid.personal is not None
    config, changes = grid.personal.config, grid.personal.changes
    config = str((grid_folder / config).resolve()) if config.endswith((".yaml", ".yml")) else config
    name, album = f"{model_name(cell)}-{person}", f"{person}-{cell['conditioner']}"
    words = [
        "train",
        "rig",
        f"data={OUT}/albums/{album}",
        f"init_from={checkpoint_of(grid, cell, grid_folder)}",
    ]
    words += [*changes, "--config", config, "--out", f"{OUT}/personal/{name}"]
    needs = [f"album {album}", *(need for need in (f"model {model_name(cell)}",) if need in jobs)]
    job = make_job(f"person {name}", words, needs, f"personal/{name}")
    return replace(job, content=json.dumps(read(config, changes), sort_keys=True))


def _transfer_job(
    grid: Grid,
    cell: Cell,
    album: tuple[str, str],
    paths: Mapping[str, str],
    grid_folder: Path,
    jobs: Mapping[str, Job],
) -> Job:
    person, folder = album
    found = _personal_model(grid, cell, person, grid_folder)
    model = f"{OUT}/personal/{model_name(cell)}-{person}" if found is None else str(found)
    words: list[Any] = ["transfer", "--checkpoint", model, "--source", folder]
    words += ["--target", paths[grid.transfer.target], "--pairs", ALL_PAIRS]
    words += transfer_options(grid.transfer, cell)
    place = f"transfers/{cell_name(cell)}/{person}"
    assert grid.personal is not None
    needs = [
        f"person {model_name(cell)}-{person}",
        f"set {grid.transfer.target}",
        f"set {grid.personal.albums}",
    ]
    needs = [need for need in dict.fromkeys(needs) if need in jobs]
    return make_job(f"transfer {cell_name(cell)} {person}", [*words, "--out", f"{OUT}/{place}"], needs, place)


def _manifest_job(grid: Grid, transfers: list[str]) -> Job:
    def field(factor: str) -> str:
        levels = "|".join(re.escape(str(level)) for level in grid.factors[factor])
        return f"{{{COLUMNS[factor]}:{levels}}}"

    seed = "-s{seed:[0-9]+}" if len(grid.train.seeds) > 1 else ""
    model = "-".join(field(factor) for factor in ("data", "conditioner", "resnet")) + seed
    pattern = f"{model}-to-{field('target')}-from-{field('source')}/{{person}}/manifest.csv"
    words = ["manifest", f"{OUT}/transfers", "--join", "--pattern", pattern, "--set", "identity={person}"]
    words += ["--out", f"{OUT}/joined/manifest.csv", "--root", f"transfers={OUT}/transfers"]
    return make_job("manifest", words, transfers, "joined")


def _evaluate_job(grid: Grid) -> Job:
    settings = grid.evaluate
    words = ["evaluate", f"{OUT}/joined/manifest.csv", "--root", f"transfers={OUT}/transfers"]
    words += ["--protocol", settings.protocol, "--suite", settings.suite, "--name", grid.grid]
    words += ["--max-rejected", str(settings.max_rejected), "--out", f"{OUT}/runs/all"]
    words += ["--metrics", ",".join(settings.metrics)] if settings.metrics else []
    words += ["--by", settings.by[0]] if settings.by else []
    return make_job("evaluate", words, ["manifest"], "runs/all")


def _factorial_job(grid: Grid) -> Job:
    factors = [COLUMNS[factor] for factor in FACTORS if len(grid.factors[factor]) > 1]
    words = ["factorial", f"{OUT}/runs/all", "--factors", ",".join(factors), "--out", f"{OUT}/study"]
    words += ["--metrics", ",".join(grid.compare)] if grid.compare else []
    return replace(make_job("factorial", words, ["evaluate"], "study"), repeats=True)
