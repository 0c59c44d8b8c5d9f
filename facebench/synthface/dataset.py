"""Write a set of synthetic faces to disk: images, manifest, parameters and, on request, physical buffers."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facebench.core.errors import InputError
from facebench.synthface import expressions as named
from facebench.synthface.model import Buffers, FaceModel
from facebench.synthface.parameters import Parameters
from facebench.synthface.sampling import draw

Progress = Callable[[int, int], None]
COLUMNS = (
    "image", "identity", "expression", "intensity", "valence", "arousal", "yaw", "pitch", "roll",
    "light_x", "light_y", "light_z", "age", "gender", "skin",
)  # fmt: skip


def write(
    out: str | os.PathLike[str],
    identities: int = 50,
    images: int = 8,
    size: int = 128,
    seed: int = 0,
    expressions: Sequence[str] | None = None,
    buffers: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Render a set of faces into a new folder; the same arguments give the same bytes.

    Image k of every person shows expression k modulo the number of expressions, at a random one of three
    intensities.

    Args:
        out: folder to make; it may exist if it is empty.
        identities: how many people.
        images: images per person.
        size: pixels per side.
        seed: which people, poses, lights and backgrounds.
        expressions: names of `facebench.synthface.expressions`, all by default.
        buffers: also write normal, albedo, shading, rendered and mask of every image.
        workers: rendering threads, by default one per processor.
        progress: called with (images done, images in all).

    Returns:
        The manifest's path: `out`/manifest.csv. Beside it lie parameters.npz (see `Parameters`),
        images/idNNN/KK.png and, on
        request, buffers/idNNN/KK.npz.

    Raises:
        InputError: the folder holds something already, or an argument is out of range.
    """
    if identities < 1 or images < 1:
        raise InputError(f"Need at least one identity and one image each, not {identities} and {images}.")
    chosen = tuple(expressions) if expressions is not None else None
    parameters = draw(identities * images, seed, images=images, names=chosen)
    names = [f"images/id{i // images:03d}/{i % images:02d}.png" for i in range(len(parameters))]
    folder = new_folder(out)
    render_to(folder, parameters, names, size, buffers=buffers, workers=workers, progress=progress)
    save_parameters(folder / "parameters.npz", parameters)
    manifest = folder / "manifest.csv"
    with manifest.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows(_rows(parameters, names))
    return manifest


def load_parameters(path: str | os.PathLike[str]) -> Parameters:
    """Read parameters.npz as `write` left it.

    Raises:
        InputError: no such file, or a file that does not hold exactly the arrays of `Parameters`.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return Parameters(**{name: file[name] for name in file.files})
    except FileNotFoundError:
        raise InputError(f"There is no {path}: give a folder that `facebench synth` wrote.") from None
    except (TypeError, ValueError, OSError) as error:
        raise InputError(f"{path} does not hold the parameters of synthetic faces ({error}).") from None


def save_parameters(path: Path, parameters: Parameters) -> None:
    """Write the parameters as a compressed npz whose bytes depend on them alone."""
    np.savez_compressed(path, allow_pickle=False, **parameters.arrays())


def new_folder(out: str | os.PathLike[str]) -> Path:
    """Make the folder, or accept it when it is empty.

    Raises:
        InputError: it is a file, or it holds something.
    """
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; name a new folder.")
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty; name a new folder or empty this one.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def render_to(
    folder: Path,
    parameters: Parameters,
    names: Sequence[str],
    size: int,
    *,
    buffers: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Render face i to `folder`/names[i], several at a time."""
    model = FaceModel()
    model.render(
        parameters.take([0]), size
    )  # Refuses a bad size, and loads the head before the threads start.
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)

    def one(i: int) -> None:
        face = parameters.take([i])
        if not buffers:
            Image.fromarray(model.render(face, size)[0]).save(folder / names[i], compress_level=4)
            return
        known = model.buffers(face, size)
        Image.fromarray(known.image[0]).save(folder / names[i], compress_level=4)
        path = folder / Path("buffers", *Path(names[i]).parts[1:]).with_suffix(".npz")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, allow_pickle=False, **packed(known))

    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        for done, _ in enumerate(pool.map(one, range(len(names))), start=1):
            if progress is not None:
                progress(done, len(names))


def packed(known: Buffers) -> dict[str, NDArray[np.uint8]]:
    """Buffers of one face in eight bits.

    Normals as (n + 1) / 2; albedo, rendered and mask from 0 to 1; shading from 0 to 2.
    """
    scaled = {
        "normal": known.normal[0] * 0.5 + 0.5,
        "albedo": known.albedo[0],
        "shading": known.shading[0] * 0.5,
        "rendered": known.rendered[0],
        "mask": known.mask[0],
    }
    return {name: np.round(np.clip(values, 0, 1) * 255).astype(np.uint8) for name, values in scaled.items()}


def _rows(parameters: Parameters, names: Sequence[str]) -> Iterator[list[str]]:
    lightness = np.sqrt(parameters.albedo[:, 0] @ np.array([0.2126, 0.7152, 0.0722], np.float32))
    for i, name in enumerate(names):
        expression = named.names()[parameters.expression[i]]
        numbers = [parameters.intensity[i], *parameters.affect[i], *parameters.pose[i], *parameters.light[i]]
        numbers += [parameters.age[i], parameters.gender[i], lightness[i]]
        yield [name, Path(name).parent.name, expression, *(f"{float(x):.4f}" for x in numbers)]
