"""Write sets of synthetic faces to disk: images, manifest, parameters and optional physical buffers."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facebench.core.errors import InputError
from facebench.core.files import atomic_path, atomic_write_text
from facebench.core.progress import Progress, no_progress
from facebench.synthface import expressions as named_expressions
from facebench.synthface.model import Buffers, FaceModel
from facebench.synthface.parameters import Parameters
from facebench.synthface.sampling import draw

COLUMNS = (
    "image", "identity", "expression", "intensity", "valence", "arousal", "yaw", "pitch", "roll",
    "light_x", "light_y", "light_z", "age", "gender", "skin",
)  # fmt: skip


@dataclass(frozen=True)
class RenderOptions:
    """Output and execution of a rendering.

    Attributes:
        buffers: also write normal, albedo, shading, rendered and mask of every image.
        workers: rendering threads; None means one per processor.
        progress: called with "rendering", the number of finished images, and the total.
    """

    buffers: bool = False
    workers: int | None = None
    progress: Progress = no_progress


def write(
    out: str | os.PathLike[str],
    identities: int = 50,
    images: int = 8,
    size: int = 128,
    seed: int = 0,
    expressions: Sequence[str] | None = None,
    options: RenderOptions | None = None,
) -> Path:
    """Render a set of faces into a new folder. Equal arguments give identical files.

    Image k of each person shows expression k modulo the number of expressions, at one of three random intensities.

    Args:
        out: new or empty folder.
        identities: number of people.
        images: images per person.
        size: pixels per side.
        seed: seed of people, poses, lights and backgrounds.
        expressions: names from `facebench.synthface.expressions`, all by default.
        options: buffers, threads and progress.

    Returns:
        Path of the manifest, `out`/manifest.csv. The folder also holds parameters.npz (see `Parameters`),
        images/idNNN/KK.png and, if requested, buffers/idNNN/KK.npz.

    Raises:
        InputError: the folder is not empty, or an argument is out of range.
    """
    if identities < 1 or images < 1:
        raise InputError(f"Need at least one identity and one image each, not {identities} and {images}.")
    parameters = draw(
        identities * images, seed, images=images, names=None if expressions is None else tuple(expressions)
    )
    names = [f"images/id{i // images:03d}/{i % images:02d}.png" for i in range(len(parameters))]
    folder = new_folder(out)
    render_to(folder, parameters, names, size, options)
    save_parameters(folder / "parameters.npz", parameters)
    return _write_manifest(folder / "manifest.csv", parameters, names)


def load_parameters(path: str | os.PathLike[str]) -> Parameters:
    """Load the file parameters.npz of a set.

    Raises:
        InputError: the file does not exist or does not hold exactly the arrays of `Parameters`.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return Parameters(**{name: file[name] for name in file.files})
    except FileNotFoundError:
        raise InputError(f"{path} does not exist. Give a folder written by `facebench synth`.") from None
    except (TypeError, ValueError, OSError) as error:
        raise InputError(
            f"{path} does not hold parameters of synthetic faces ({error}). Write the set again."
        ) from None


def save_parameters(path: Path, parameters: Parameters) -> None:
    """Write parameters as a compressed npz file. Equal parameters give identical files."""
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **parameters.arrays())  # type: ignore[arg-type]


def new_folder(out: str | os.PathLike[str]) -> Path:
    """Create a folder, or accept an empty one.

    Raises:
        InputError: the path is a file, or the folder is not empty.
    """
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file. Name a new folder.")
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty. Name a new folder or empty this one.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def render_to(
    folder: Path,
    parameters: Parameters,
    names: Sequence[str],
    size: int,
    options: RenderOptions | None = None,
) -> None:
    """Render face i to `folder`/names[i] in parallel.

    Raises:
        InputError: the size is out of range.
    """
    options = options or RenderOptions()
    model = FaceModel()
    # Validate the size and load the head before the threads start.
    model.render(parameters.take([0]), size)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)

    def render_one(i: int) -> None:
        face = parameters.take([i])
        if not options.buffers:
            _save_png(folder / names[i], model.render(face, size)[0])
            return
        buffers = model.buffers(face, size)
        _save_png(folder / names[i], buffers.image[0])
        path = folder / Path("buffers", *Path(names[i]).parts[1:]).with_suffix(".npz")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **quantise(buffers))  # type: ignore[arg-type]

    with ThreadPoolExecutor(options.workers or os.cpu_count() or 1) as pool:
        for done, _ in enumerate(pool.map(render_one, range(len(names))), start=1):
            options.progress("rendering", done, len(names))


def quantise(buffers: Buffers) -> dict[str, NDArray[np.uint8]]:
    """Convert the buffers of one face to 8 bits.

    Normals are stored as (n + 1) / 2, albedo, rendered and mask from 0 to 1, and shading from 0 to 2.
    """
    scaled = {
        "normal": buffers.normal[0] * 0.5 + 0.5,
        "albedo": buffers.albedo[0],
        "shading": buffers.shading[0] * 0.5,
        "rendered": buffers.rendered[0],
        "mask": buffers.mask[0],
    }
    return {name: np.round(np.clip(values, 0, 1) * 255).astype(np.uint8) for name, values in scaled.items()}


def _save_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    Image.fromarray(pixels).save(path, compress_level=4)


def _write_manifest(path: Path, parameters: Parameters, names: Sequence[str]) -> Path:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(_rows(parameters, names))
    atomic_write_text(path, text.getvalue())
    return path


def _rows(parameters: Parameters, names: Sequence[str]) -> Iterator[list[str]]:
    """Yield the rows of the manifest."""
    lightness = np.sqrt(parameters.albedo[:, 0] @ np.array([0.2126, 0.7152, 0.0722], np.float32))
    for i, name in enumerate(names):
        expression = named_expressions.names()[parameters.expression[i]]
        numbers = [parameters.intensity[i], *parameters.affect[i], *parameters.pose[i], *parameters.light[i]]
        numbers += [parameters.age[i], parameters.gender[i], lightness[i]]
        yield [name, Path(name).parent.name, expression, *(f"{float(x):.4f}" for x in numbers)]
