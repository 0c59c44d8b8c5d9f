"""Commands that fit a folder: which protocols can measure its images, and what is missing for the others."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from facebench.core.errors import InputError
from facebench.evaluation.run_folders import run_folders, run_summary
from facebench.images.image_set import ImageSet

REAL = "REAL"
"""Placeholder of a folder of real faces."""
_REAL_NAMES = re.compile(
    r"real|ref(erence)?s?|photo(graph)?s?|ffhq.*|celeba.*|train(ing)?|originals?", re.IGNORECASE
)
_FEW_IMAGES = 50


@dataclass(frozen=True)
class FittingCommand:
    """A command with what it measures.

    Attributes:
        words: the command line.
        about: what it measures, and when it fits.
    """

    words: str
    about: str


@dataclass(frozen=True)
class Fitting:
    """What a folder holds, and the commands that fit it.

    Attributes:
        lines: sentences about the folder.
        commands: the commands, most general first.
        remarks: what must be replaced, and what is missing for further protocols.
    """

    lines: list[str]
    commands: list[FittingCommand]
    remarks: list[str]


def fitting_commands(path: Path) -> Fitting:
    """Look at a folder, a manifest or an archive and return the commands that fit it; no pixel is read.

    Raises:
        InputError: the path does not exist, or holds neither images nor run records.
    """
    if path.is_dir():
        if sets := _inner_sets(path):
            return _of_sets(path, sets)
        if runs := [run for run in run_folders([path]) if run_summary(run)["name"]]:
            return _of_runs(path, runs)
    return _of_images(path, ImageSet.open(path))


def _of_runs(path: Path, runs: list[Path]) -> Fitting:
    names = sorted({run_summary(run)["name"] for run in runs})
    folder = _quoted(path)
    commands = [
        FittingCommand(f"facebench runs --folder {folder}", "list the runs, newest first"),
        FittingCommand(f"facebench leaderboard {folder} --html board", "rank the models"),
    ]
    first = _quoted(runs[-1])
    commands.append(FittingCommand(f"facebench report {first} --html {first}/report", "page about one run"))
    if len(runs) > 1:
        pair = f"{_quoted(runs[0])} {first}"
        commands.append(FittingCommand(f"facebench runs --compare {pair}", "verdict on the second run"))
    return Fitting([f"{path} holds {len(runs)} run records of: {', '.join(names)}."], commands, [])


def _of_sets(path: Path, sets: list[Path]) -> Fitting:
    """Commands for a folder of image sets: each is evaluated against the one with a name like "real"."""
    real = next((each for each in sets if _REAL_NAMES.fullmatch(each.name)), None)
    models = [each for each in sets if each != real]
    commands = [command for model in models for command in _quality(model, real)]
    commands.append(FittingCommand("facebench leaderboard runs --html board", "rank them afterwards"))
    lines = [f"{path} holds {len(sets)} image sets: {', '.join(each.name for each in sets)}."]
    return Fitting(lines, commands, _remarks(real, len(models)))


def _of_images(path: Path, images: ImageSet) -> Fitting:
    people = len({name for name in images.column("identity") if name})
    columns = set(images.columns)
    real = _real_neighbour(path)
    lines = [_describe(path, images, people)]
    commands = [*_quality(path, real), *_about_people(path, people, real), *_about_edits(path, columns)]
    if {"valence", "arousal"} & columns and not {"source", "target"} & columns:
        commands.append(_command(path, "affect-accuracy", "agreement of emotion networks with the labels"))
    commands += [
        FittingCommand(f"{commands[0].words} --by {column}", f"the same for each {column}")
        for column in ("expression", "identity")
        if column in columns and len(set(images.column(column))) > 1
    ][:1]
    remarks = _remarks(real, len(images.items))
    if people < 2:
        remarks.append(
            "For identity metrics, put the images of each person into their own folder, or add a manifest with the "
            "column 'identity'."
        )
    if "source" not in columns:
        remarks.append("For edits, add a manifest with the column 'source' (and 'target'): docs/images.md.")
    return Fitting(lines, commands, remarks)


def _describe(path: Path, images: ImageSet, people: int) -> str:
    kinds = {
        "folder": "a folder of images",
        "identities": "a folder with one folder for each person",
        "manifest": "images with a manifest",
    }
    parts = [
        f"{path} is {kinds.get(images.kind, f'an archive ({images.kind})')}: {len(images.items):,} images"
    ]
    parts += [f"of {people:,} people"] if people else []
    further = [name for name in images.columns if name != "identity"]
    parts += [f"with the columns {', '.join(further)}"] if further else []
    lost = sum(rejected.counts for rejected in images.rejected)
    parts += [f"{lost} unusable files"] if lost else []
    return ", ".join(parts) + "."


def _quality(path: Path, real: Path | None) -> Iterator[FittingCommand]:
    reference = REAL if real is None else _quoted(real)
    yield FittingCommand(
        f"facebench evaluate {_quoted(path)} --reference {reference}",
        "image quality, fidelity and diversity against real faces",
    )


def _about_people(path: Path, people: int, real: Path | None) -> Iterator[FittingCommand]:
    reference = REAL if real is None else _quoted(real)
    if people > 1:
        yield _command(path, "identity", "whether each person stays the same person and differs from others")
        yield _command(path, "leakage", "copies of training faces", f" --reference {reference}")


def _about_edits(path: Path, columns: set[str]) -> Iterator[FittingCommand]:
    if {"source", "target"} <= columns:
        yield _command(path, "expression-transfer", "edits against their sources and targets")
    elif "source" in columns:
        yield _command(path, "edit", "change and kept identity of every edit")
    if "source" in columns and {"strength", "attribute", "expression"} & columns:
        yield _command(path, "edit-benchmark", "whether edits reach the wanted expression at each strength")


def _command(path: Path, protocol: str, about: str, options: str = "") -> FittingCommand:
    return FittingCommand(f"facebench evaluate {_quoted(path)} --protocol {protocol}{options}", about)


def _remarks(real: Path | None, images: int) -> list[str]:
    remarks = [] if real is not None else [f"Replace {REAL} by a folder of real faces, such as FFHQ."]
    if 1 < images < _FEW_IMAGES and real is None:
        remarks.append(f"{images} images are few: intervals will be wide (docs/small-sets.md).")
    return remarks


def _real_neighbour(path: Path) -> Path | None:
    """Return a folder beside the images whose name says that it holds real faces."""
    root = path.resolve()
    try:
        beside = sorted(each for each in root.parent.iterdir() if each.is_dir() and each != root)
    except OSError:
        return None
    found = next((each for each in beside if _REAL_NAMES.fullmatch(each.name) and _is_set(each)), None)
    return None if found is None else path.parent / found.name


def _inner_sets(path: Path) -> list[Path]:
    """Return the sub-folders if they are image sets rather than people: one is named like real faces."""
    inside = sorted(each for each in path.iterdir() if each.is_dir())
    if not any(_REAL_NAMES.fullmatch(each.name) for each in inside):
        return []
    sets = [each for each in inside if _is_set(each)]
    return sets if any(_REAL_NAMES.fullmatch(each.name) for each in sets) else []


def _is_set(folder: Path) -> bool:
    try:
        return len(ImageSet.open(folder)) > 0
    except InputError:
        return False


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
