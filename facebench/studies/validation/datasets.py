"""Rendered faces of a validation: a generated set, real faces of the same people, and damaged copies."""

from __future__ import annotations

import csv
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facebench.core.errors import InputError
from facebench.core.progress import Progress, no_progress
from facebench.evaluation.cards import Damage
from facebench.synthface import expressions
from facebench.synthface.dataset import RenderOptions, render_to, save_parameters
from facebench.synthface.degradations import degrade
from facebench.synthface.parameters import Parameters
from facebench.synthface.sampling import draw

_COLUMNS = ("image", "identity", "expression", "valence", "arousal", "source", "target")


@dataclass(frozen=True)
class ValidationFaces:
    """A folder with an undamaged generated set, real faces of the same people, and held-out faces of them.

    The source of image k of person i is the neutral real face of that person. Its target is the real face of the next
    person with the same expression.

    Attributes:
        folder: the folder.
        images: names of the generated images; the real faces have the same names under `real`.
        seed: seed of the damages.
    """

    folder: Path
    images: tuple[str, ...]
    seed: int

    @property
    def manifest(self) -> Path:
        """Manifest of the undamaged generated set."""
        return self.folder / "undamaged" / "manifest.csv"

    @property
    def reference(self) -> Path:
        """Folder of the real faces, with one folder for each person."""
        return self.folder / "undamaged" / "real" / "images"

    @property
    def held_out(self) -> Path:
        """Folder of further faces of the same people, which no generated set copies."""
        return self.folder / "held-out" / "images"

    @contextmanager
    def damaged(self, damage: Damage, strength: float) -> Iterator[Path]:
        """Yield the manifest of a damaged copy; the copy is removed at the end of the `with` block."""
        copy = self.folder / "damaged"
        try:
            if damage == "copying":
                self._copy_training_faces(copy, strength)
            else:
                degrade(copy, self.manifest.parent, damage, strength, seed=self.seed)
                shutil.copytree(self.manifest.parent / "real", copy / "real")
            yield copy / "manifest.csv"
        finally:
            shutil.rmtree(copy, ignore_errors=True)

    def _copy_training_faces(self, copy: Path, strength: float) -> None:
        """Replace a share of the generated images by real images of other rows, byte for byte."""
        shutil.copytree(self.manifest.parent, copy)
        n = len(self.images)
        rng = np.random.default_rng([self.seed, n])
        order, copied = rng.permutation(n), rng.permutation(n)
        for place in order[: round(strength * n)]:
            shutil.copyfile(copy / "real" / self.images[copied[place]], copy / self.images[place])


def render_faces(
    folder: Path, *, identities: int, images: int, size: int, seed: int, progress: Progress = no_progress
) -> ValidationFaces:
    """Render the generated set, the real faces and the held-out faces into a folder.

    Args:
        folder: an empty folder.
        identities: number of people, at least two.
        images: images of each person in each of the three sets; 8 images show every expression once.
        size: width and height in pixels.
        seed: seed of people, poses and lights.
        progress: callback invoked with "faces", the number of rendered images, and the total.

    Raises:
        InputError: fewer than two people, or a size that cannot be rendered.
    """
    if identities < 2 or images < 1:
        raise InputError(
            f"Validation needs at least 2 identities and 1 image each, not {identities} and {images}."
        )
    # Expressions repeat with a fixed period, so images that are whole periods apart show the same expression.
    period = math.ceil(images / len(expressions.names())) * len(expressions.names())
    parameters = draw(identities * 3 * period, seed, images=3 * period)
    places: npt.NDArray[np.int64] = np.arange(len(parameters)).reshape(identities, 3 * period)
    names = tuple(f"images/id{i // images:03d}/{i % images:02d}.png" for i in range(identities * images))
    parts = {
        "undamaged": places[:, :images].ravel(),
        "undamaged/real": places[:, period : period + images].ravel(),
        "held-out": places[:, 2 * period : 2 * period + images].ravel(),
    }
    for done, (part, chosen) in enumerate(parts.items()):
        target = folder / part

        def count(stage: str, rendered: int, total: int | None, before: int = done * len(names)) -> None:
            progress("faces", before + rendered, len(parts) * len(names))

        render_to(target, parameters.take(chosen), names, size, RenderOptions(progress=count))
    generated = parameters.take(parts["undamaged"])
    save_parameters(folder / "undamaged" / "parameters.npz", generated)
    _write_manifest(folder / "undamaged" / "manifest.csv", generated, names, images)
    return ValidationFaces(folder, names, seed)


def _write_manifest(path: Path, generated: Parameters, names: tuple[str, ...], images: int) -> None:
    people = len(names) // images
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(_COLUMNS)
        for place, name in enumerate(names):
            person, image = divmod(place, images)
            valence, arousal = (f"{float(number):.4f}" for number in generated.affect[place])
            expression = expressions.names()[generated.expression[place]]
            source = f"real/{names[person * images]}"
            target = f"real/{names[(person + 1) % people * images + image]}"
            table.writerow([name, Path(name).parent.name, expression, valence, arousal, source, target])
