"""Faces to validate with: a generated set, the real faces that it is compared with, and damaged copies of it."""

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
class Stage:
    """A folder with an undamaged generated set, and with real faces of the same people.

    Image k of person i has as its source the neutral real face of that person, and as its target the real face of
    the next person with the same expression.
    """

    folder: Path
    images: tuple[str, ...]
    """Names of the generated images; the real faces have the same names under `real`."""
    seed: int

    @property
    def manifest(self) -> Path:
        """The undamaged generated set."""
        return self.folder / "undamaged" / "manifest.csv"

    @property
    def reference(self) -> Path:
        """The real faces, one folder for each person."""
        return self.folder / "undamaged" / "real" / "images"

    @contextmanager
    def damaged(self, kind: Damage, strength: float) -> Iterator[Path]:
        """The manifest of a damaged copy, which is there only inside the `with` block."""
        copy = self.folder / "damaged"
        try:
            if kind == "copying":
                self._copy_training_faces(copy, strength)
            else:
                degrade(copy, self.manifest.parent, kind, strength, seed=self.seed)
                shutil.copytree(self.manifest.parent / "real", copy / "real")
            yield copy / "manifest.csv"
        finally:
            shutil.rmtree(copy, ignore_errors=True)

    def _copy_training_faces(self, copy: Path, strength: float) -> None:
        """A share of the generated images becomes the real image of another place, byte for byte."""
        shutil.copytree(self.manifest.parent, copy)
        n = len(self.images)
        rng = np.random.default_rng([self.seed, n])
        order, copied = rng.permutation(n), rng.permutation(n)
        for place in order[: round(strength * n)]:
            shutil.copyfile(copy / "real" / self.images[copied[place]], copy / self.images[place])


def build(
    folder: Path, *, identities: int, images: int, size: int, seed: int, progress: Progress = no_progress
) -> Stage:
    """Render the generated set and the real faces into a folder.

    Args:
        folder: an empty folder.
        identities: people, at least two.
        images: of each person in each of the two sets; with 8 every expression is there once.
        size: side in pixels.
        seed: which people, poses and lights.
        progress: called with "faces", the number of rendered images, and the total.

    Raises:
        InputError: fewer than two people, or a size that cannot be rendered.
    """
    if identities < 2 or images < 1:
        raise InputError(
            f"Validation needs at least 2 identities and 1 image each, not {identities} and {images}."
        )
    # Expressions take turns, so that images a whole number of turns apart show the same one.
    turn = math.ceil(images / len(expressions.names())) * len(expressions.names())
    everyone = draw(identities * 2 * turn, seed, images=2 * turn)
    places: npt.NDArray[np.int64] = np.arange(len(everyone)).reshape(identities, 2 * turn)
    names = tuple(f"images/id{i // images:03d}/{i % images:02d}.png" for i in range(identities * images))
    parts = {"": places[:, :images].ravel(), "real": places[:, turn : turn + images].ravel()}
    for done, (part, chosen) in enumerate(parts.items()):
        target = folder / "undamaged" / part

        def count(stage: str, rendered: int, total: int | None, before: int = done * len(names)) -> None:
            progress("faces", before + rendered, 2 * len(names))

        render_to(target, everyone.take(chosen), names, size, RenderOptions(progress=count))
    generated = everyone.take(parts[""])
    save_parameters(folder / "undamaged" / "parameters.npz", generated)
    _write_manifest(folder / "undamaged" / "manifest.csv", generated, names, images)
    return Stage(folder, names, seed)


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
