"""`facebench train`: check the settings, train, and show progress."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from facebench.cli.choices import Device
from facebench.cli.messages import Console, print_line
from facebench.cli.progress import Stages, TrainingProgress
from facebench.cli.terminal_tables import print_table
from facebench.core.errors import InputError
from facebench.core.extras import requires_extra
from facebench.core.language import message
from facebench.core.tables import Cell, Column, Table


def train(
    kind: Annotated[
        str, typer.Argument(help="Training task: diffae, ddim, latent-dpm, recognition, rig, ...")
    ],
    changes: Annotated[
        list[str] | None,
        typer.Argument(
            help="Folder of faces, and changed settings such as steps=1000 or batch_size=16.",
        ),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(help="Preset or YAML file; the preset of the task on synthetic faces by default."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the run; a run that it holds is resumed.")] = Path(
        "runs/train"
    ),
    device: Annotated[Device, typer.Option(help="Device of the training.")] = Device.auto,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="Resume a run although its settings have changed.")
    ] = False,
) -> None:
    """Train a model; the same command resumes a stopped run."""
    with requires_extra("train"):
        from facebench.training import presets
        from facebench.training.engine import loop
        from facebench.training.tasks import registry

    name = config or _default_preset(registry.known(kind), presets.preset_names())
    folders = [word for word in changes or [] if "=" not in word]
    content = presets.read(name, [word for word in changes or [] if "=" in word])
    if folders:
        content["data"] = {"kind": "folder", "path": _only_folder(folders)}
    if kind == registry.CLASSIFIER:
        _find_directions(content, name, out, device.value)
        return
    prepared = registry.prepare(kind, content, name)
    run = prepared.settings
    # Only the first process of a distributed run prints.
    messages = Console(stderr=True, quiet=os.environ.get("RANK", "0") != "0")
    messages.print(f"training {kind} ({name}): {run.steps} steps of {run.batch_size} images into {out}")
    with TrainingProgress(messages, run.batch_size) as progress:
        model = loop.fit(
            prepared.task,
            run,
            out,
            device=device.value,
            accept_changes=accept_changes,
            on_step=progress.update,
            on_message=lambda text: messages.print(text, markup=False, soft_wrap=True),
        )
    if not messages.quiet:
        print_line(f"wrote {model}")


def _default_preset(kind: str, presets: list[str]) -> str:
    from facebench.training.presets import read

    names = [name for name in presets if name.endswith("synthface")]
    matching = [name for name in names if name.startswith(kind)]
    matching += [name for name in names if read(name).get("train") == kind]
    if not matching:
        raise InputError(f"Name the settings with --config: a YAML file, or one of {', '.join(presets)}.")
    return matching[0]


def _only_folder(words: list[str]) -> str:
    if len(words) > 1 or not Path(words[0]).exists():
        raise InputError(
            f"'{words[-1]}' is neither a changed setting (key=value) nor a folder or manifest of faces."
        )
    return words[0]


def _find_directions(content: dict[str, Any], name: str, out: Path, device: str) -> None:
    """Train the directions of attributes and print their scores."""
    from facebench.training.engine.settings import check
    from facebench.training.tasks import classifier

    content.pop("train", None)
    settings = check(classifier.ClassifierSettings, content, name)
    with Stages() as stages:
        path, scores = classifier.find(settings, out, device=device, progress=stages.update)
    columns = [Column("attribute", message("Attribute"), numeric=False), Column("score", "Held-out score")]
    rows = [[Cell(attribute), Cell(f"{score:.3f}", score)] for attribute, score in scores.items()]
    note = (
        "Area under the ROC curve of a class, correlation of valence and arousal, on identities "
        "that were not trained on."
    )
    print_table(Console(), Table(columns, rows, f"directions by {settings.method}", [note]))
    print_line(f"wrote {path}")
