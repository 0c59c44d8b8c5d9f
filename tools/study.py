"""Shared code of the editing studies: faces with ground truth, cached encoding, evaluation, tables.

Every cell of a study is a run record in its own folder, so a stopped study continues with the missing cells.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from torch import Tensor

import facebench
from facebench.core.errors import InputError
from facebench.evaluation.record import Run
from facebench.evaluation.record_reading import load_run
from facebench.synthface import FaceModel, Parameters, expressions
from facebench.synthface.dataset import render_to
from facebench.training.data.align_images import Template, align_images
from facebench.training.data.sources import SynthfaceData, open_faces
from facebench.training.editing.autoencoder import Autoencoder, Images, Latents, Progress, Steps
from facebench.training.editing.directions import Directions
from facebench.training.editing.edit_images import (
    Editor,
    Sources,
    read_sources,
    write_edits,
    write_manifest,
)
from facebench.training.editing.fit_directions import Labels
from facebench.training.editing.labels import labels_of
from facebench.training.editing.latents import encode_faces
from facebench.training.models import DiffusionAutoencoder

RENDERED = 128
"""Pixels per side of renderings before alignment."""


@dataclass(frozen=True)
class Aim:
    """Goal of an edit.

    Attributes:
        expression: expression that the edited faces should show.
        attribute: attribute of the direction.
        sign: sign of the strength.
    """

    expression: str
    attribute: str
    sign: int = 1


def write_truth(
    folder: Path, wanted: Sequence[str], people: int, *, seed: int, image: int, size: int
) -> None:
    """Render the same faces, neutral and with each expression at full intensity, into one aligned set each.

    Args:
        folder: folder of the sets, by expression; existing sets are kept.
        wanted: names of expressions.
        people: number of people, with one face each.
        seed: seed of the people.
        image: number of the image of each person; training sets use lower numbers.
        size: pixels per side, after alignment.
    """
    images = image + 1
    drawn = FaceModel().sample(people * images, seed, images=images, expressions=("neutral",))
    neutral = drawn.take(slice(image, None, images))
    for name in ("neutral", *wanted):
        if not (folder / name / "manifest.csv").exists():
            rendered = folder / "rendered" / name
            shutil.rmtree(rendered, ignore_errors=True)
            _write_set(rendered, neutral if name == "neutral" else _showing(neutral, name), RENDERED)
            write_aligned(rendered, folder / name, size)


def codes_of_strangers(network: DiffusionAutoencoder, people: int) -> tuple[Tensor, Labels]:
    """Encode twelve faces of each of some people; return z_sem and labels, for fitting directions."""
    data = SynthfaceData(kind="synthface", identities=people, images=12, seed=1, render=RENDERED, align=True)
    faces = open_faces(data, network.config.size)
    encoded = encode_faces(network, faces)
    return encoded.z_sem, labels_of(faces, encoded)


def write_aligned(images: Path, out: Path, size: int) -> None:
    """Align faces for the shipped autoencoder.

    Raises:
        InputError: no face is detected in an image.
    """
    shutil.rmtree(out, ignore_errors=True)
    _, skipped = align_images(images, out, Template("ffhq", size))
    if skipped:
        raise InputError(f"{len(skipped)} faces of {images} were not detected; the first: {skipped[0]}.")


class Once(Autoencoder):
    """Autoencoder of one set of faces that caches its codes and its reconstructions; all faces are one batch."""

    def __init__(self, network: DiffusionAutoencoder, steps: Steps, faces: Sources) -> None:
        super().__init__(network, steps, len(faces.images))
        self.faces = faces

    @cached_property
    def codes(self) -> Latents:
        """Codes of the faces."""
        return super().encode(self.faces.images)

    @cached_property
    def unedited(self) -> Images:
        """Reconstructions of the faces."""
        return super().render(self.codes)

    def encode(self, images: Images, progress: Progress | None = None) -> Latents:
        """Return the codes of the faces."""
        return self.codes

    def render(self, latents: Latents, progress: Progress | None = None) -> Images:
        """Decode latents; reconstructions are decoded once."""
        return self.unedited if latents is self.codes else super().render(latents, progress)


@dataclass(frozen=True)
class Bench:
    """Inputs and metrics that all cells of a study share.

    Attributes:
        faces: folder written by `write_truth`.
        metrics: ids of the metrics.
        reference: images of the same people, for metrics with a reference set.
    """

    faces: Path
    metrics: Sequence[str]
    reference: Path | None = None

    def edit(
        self, cell: Path, autoencoder: Autoencoder, directions: Directions, aim: Aim, strength: float
    ) -> None:
        """Edit the neutral faces into `cell/edits`, or keep finished edits."""
        edits = cell / "edits"
        if not (edits / "manifest.csv").is_file():
            shutil.rmtree(cell, ignore_errors=True)
            sources = read_sources(self.faces / "neutral", autoencoder.size)
            targets = read_sources(self.faces / aim.expression, autoencoder.size)
            editor = Editor(autoencoder, directions, aim.attribute)
            write_edits(sources, editor, [aim.sign * strength], edits, targets=targets)

    def judge(
        self,
        cell: Path,
        autoencoder: Autoencoder,
        directions: Directions,
        aim: Aim,
        strength: float,
        tags: dict[str, str],
    ) -> Run:
        """Edit the neutral faces and compare them with the truth, or read the record of a finished cell."""
        self.edit(cell, autoencoder, directions, aim, strength)
        return self.evaluate(cell, tags)

    def evaluate(self, cell: Path, tags: dict[str, str]) -> Run:
        """Compare the edits of a cell with the truth, or read the record of a finished cell."""
        if (cell / "record.json").is_file():
            return load_run(cell)
        run = facebench.evaluate(
            cell / "edits",
            self.reference,
            protocol="expression-transfer",
            suite="compact",
            metrics=self.metrics,
            name=cell.name,
            tags=tags,
            max_rejected=1.0,
        )
        run.save(cell)
        return run


def write_rows(path: Path, runs: Iterable[Run]) -> None:
    """Write all metrics of all runs with intervals as one long table."""
    rows = [
        {
            **run.tags,
            "metric": name,
            "value": _number(found.value),
            "low": _number(found.low),
            "high": _number(found.high),
        }
        for run in runs
        for name, found in run.metrics.items()
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def shown(run: Run, metric: str) -> str:
    """Format a metric with its interval for a Markdown table."""
    found = run.metrics[metric]
    if found.value is None:
        return "–"
    text = f"{found.value:.3f}"
    return text if found.low is None else f"{text} [{found.low:.3f}, {found.high:.3f}]"


def _showing(faces: Parameters, name: str) -> Parameters:
    count = len(faces)
    return faces.replace(
        psi=np.clip(faces.psi + expressions.psi(name), 0, 1),
        expression=np.full(count, expressions.names().index(name), np.int64),
        intensity=np.ones(count, np.float32),
    )


def _write_set(folder: Path, faces: Parameters, size: int) -> None:
    names = [f"images/id{number:03d}.png" for number in range(len(faces))]
    folder.mkdir(parents=True)
    render_to(folder, faces, names, size)
    rows = [
        {
            "image": name,
            "identity": Path(name).stem,
            "expression": expressions.names()[faces.expression[number]],
            "valence": f"{faces.affect[number, 0]:.4f}",
            "arousal": f"{faces.affect[number, 1]:.4f}",
        }
        for number, name in enumerate(names)
    ]
    write_manifest(folder / "manifest.csv", rows)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
