"""Readers of FLAME's model and texture files, without running code from them."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facebench.backbones.weights.contents import refuse_other_files
from facebench.core.errors import WeightsError
from facebench.training.rig.buffers.flame import EXPRESSIONS, PARENTS, SHAPES, Flame
from facebench.training.rig.buffers.flame_pickle import PickledArray, PlainObject, load_plain

VERTICES, TRIANGLES, JOINTS, ALL_SHAPES, ALL_DIRECTIONS = 5023, 9976, 5, 300, 400
MODEL_SHAPES = {
    "v_template": (VERTICES, 3),
    "f": (TRIANGLES, 3),
    "shapedirs": (VERTICES, 3, ALL_DIRECTIONS),
    "posedirs": (VERTICES, 3, 9 * (JOINTS - 1)),
    "J_regressor": (JOINTS, VERTICES),
    "weights": (VERTICES, JOINTS),
    "kintree_table": (2, JOINTS),
}
"""Arrays of the generic model of FLAME 2017, 2019 and 2020: 300 shape directions, then 100 expression directions."""
INTEGER_ARRAYS = ("f", "kintree_table")
TEXTURES, ALL_TEXTURES = 50, 200
"""Texture directions that DECA uses, and those in the file."""
_TEXTURE_SHAPES: dict[str, tuple[int | None, ...]] = {
    "mean": (512, 512, 3),
    "tex_dir": (512, 512, 3, None),
    "vt": (None, 2),
    "ft": (TRIANGLES, 3),
}
_MOST_SIDES = {"tex_dir": ALL_TEXTURES, "vt": 3 * TRIANGLES}
"""Largest value of the sides that may vary."""
_DAMAGED_ZIP = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError)
_LARGEST_NUMBER = 8
"""Bytes of the widest number."""


@dataclass(frozen=True)
class Texture:
    """FLAME's texture space.

    Attributes:
        mean: (256, 256, 3) mean RGB, about [0, 1]; the first row is the top (v = 1).
        directions: (256, 256, 3, 50) change of colour per standard deviation of each texture code.
        corners: (f, 3, 2) texture coordinates of the triangles' corners in [0, 1], u right, v up.
    """

    mean: NDArray[np.float32]
    directions: NDArray[np.float32]
    corners: NDArray[np.float64]

    def painted(self, codes: NDArray[np.floating]) -> NDArray[np.float32]:
        """Texture of a face, (256, 256, 3) = mean + directions · codes."""
        painted: NDArray[np.float32] = self.mean + self.directions @ codes.astype(np.float32)
        return painted


def read_flame(path: Path) -> Flame:
    """Read `generic_model.pkl` as its authors publish it.

    The pickle may hold NumPy arrays, SciPy sparse matrices and Chumpy arrays. All of them are read as plain data; see
    `flame_pickle` for the restrictions.

    Raises:
        WeightsError: the file is missing, damaged, refers to code, or holds another version or body model.
    """
    refuse_other_files(path)
    content = load_plain(path)
    if not isinstance(content, Mapping):
        raise WeightsError(
            f"{path} holds a {type(content).__name__}, not the arrays of FLAME's generic model."
        )
    arrays = {}
    for name, shape in MODEL_SHAPES.items():
        if name not in content:
            raise WeightsError(f"{path} lacks '{name}': it is not FLAME's generic model.")
        arrays[name] = _numbers(content[name], name, path)
        if arrays[name].shape != shape:
            raise WeightsError(
                f"{path}: '{name}' has shape {arrays[name].shape}; FLAME 2020's has {shape}. Other versions and "
                "other body models do not fit DECA's codes. Give generic_model.pkl of FLAME 2020."
            )
    _check_values(arrays, path)
    directions = arrays["shapedirs"].astype(np.float64)
    return Flame(
        arrays["v_template"].astype(np.float64),
        arrays["f"].astype(np.int64),
        directions[:, :, :SHAPES],
        directions[:, :, ALL_SHAPES : ALL_SHAPES + EXPRESSIONS],
        arrays["posedirs"].astype(np.float64),
        arrays["J_regressor"].astype(np.float64),
        arrays["weights"].astype(np.float64),
    )


def read_texture(path: Path) -> Texture:
    """Read `FLAME_texture.npz`.

    Raises:
        WeightsError: the file is damaged or holds something else.
    """
    refuse_other_files(path)
    try:
        with zipfile.ZipFile(path) as archive:
            for name in _TEXTURE_SHAPES:
                _check_header(archive, name, path)
            arrays = {name: _read_array(archive, name) for name in _TEXTURE_SHAPES}
    except (*_DAMAGED_ZIP, OSError, ValueError, KeyError, EOFError) as error:
        raise WeightsError(f"{path} is not FLAME_texture.npz, or damaged ({error}).") from None
    # The file stores BGR from 0 to 255. DECA halves the resolution by taking every second texel.
    mean, directions = (
        arrays["mean"][::2, ::2, ::-1] / 255,
        arrays["tex_dir"][::2, ::2, ::-1, :TEXTURES] / 255,
    )
    vertices, triangles = np.asarray(arrays["vt"], np.float64), arrays["ft"].astype(np.int64)
    if int(triangles.min()) < 0 or int(triangles.max()) >= len(vertices):
        raise WeightsError(f"{path}: a triangle refers to a texture vertex that does not exist.")
    return Texture(mean.astype(np.float32), directions.astype(np.float32), vertices[triangles])


def _check_header(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    """Check type and shape of an array before any of its data is decompressed."""
    with archive.open(f"{name}.npy") as member:
        version = np.lib.format.read_magic(member)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, _, dtype = read(member)
    expected = _TEXTURE_SHAPES[name]
    fits = len(shape) == len(expected) and all(
        side == wanted or (wanted is None and side <= _MOST_SIDES[name])
        for side, wanted in zip(shape, expected, strict=True)
    )
    if not fits:
        raise WeightsError(f"{path}: '{name}' has shape {shape}; FLAME_texture.npz has {expected}.")
    if dtype.kind not in "fiu" or dtype.itemsize > _LARGEST_NUMBER:
        raise WeightsError(f"{path}: '{name}' holds no numbers.")
    if name == "tex_dir" and shape[3] < TEXTURES:
        raise WeightsError(f"{path}: {shape[3]} texture directions, at least {TEXTURES} are needed.")


def _read_array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    with archive.open(f"{name}.npy") as member:
        array: NDArray[Any] = np.lib.format.read_array(member, allow_pickle=False)
        return array


def _numbers(value: Any, name: str, path: Path) -> NDArray[Any]:
    """Convert an array, a Chumpy array (its entry x) or a sparse matrix."""
    state = value.state if isinstance(value, PlainObject) else value
    try:
        if isinstance(state, Mapping) and "x" in state:
            state = state["x"]
        elif isinstance(state, Mapping) and {"data", "indices", "indptr"} <= state.keys():
            return _dense(state)
        if isinstance(state, PickledArray):
            return state.numbers()
    except (ValueError, TypeError) as error:
        raise WeightsError(f"{path}: '{name}' is damaged ({error}).") from None
    raise WeightsError(f"{path}: '{name}' holds no numbers.")


def _dense(state: Mapping[str, Any]) -> NDArray[Any]:
    """Convert FLAME's joint regressor from compressed sparse columns, with every index checked.

    SciPy's conversion does not check row indices and would write outside the array.
    """
    shape = state.get("_shape", state.get("shape"))
    if shape != MODEL_SHAPES["J_regressor"]:
        raise ValueError("a sparse matrix of another shape")
    parts = [state[name] for name in ("data", "indices", "indptr")]
    if not all(isinstance(part, PickledArray) for part in parts):
        raise TypeError("a sparse matrix without arrays")
    data, rows, starts = (part.numbers() for part in parts)
    columns = shape[1]
    if rows.dtype.kind not in "iu" or starts.dtype.kind not in "iu" or starts.shape != (columns + 1,):
        raise ValueError("a sparse matrix without integer indices")
    rows, starts = rows.astype(np.int64), starts.astype(np.int64)
    consistent = data.ndim == 1 and data.shape == rows.shape and starts[0] == 0 and starts[-1] == len(data)
    if not consistent or (np.diff(starts) < 0).any() or (rows < 0).any() or (rows >= shape[0]).any():
        raise ValueError("a sparse matrix with an index out of range")
    dense = np.zeros(shape, data.dtype)
    np.add.at(dense, (rows, np.repeat(np.arange(columns), np.diff(starts))), data)
    return dense


def _check_values(arrays: Mapping[str, NDArray[Any]], path: Path) -> None:
    for name, array in arrays.items():
        if name in INTEGER_ARRAYS and array.dtype.kind not in "iu":
            raise WeightsError(f"{path}: '{name}' holds no whole numbers.")
        if not np.isfinite(array).all():
            raise WeightsError(f"{path}: '{name}' holds a number that is not finite.")
    parents = tuple(int(parent) for parent in arrays["kintree_table"][0][1:])
    if parents != PARENTS[1:]:
        raise WeightsError(
            f"{path}: its joints have the parents {parents}, FLAME's have {PARENTS[1:]} (neck, jaw, two eyes)."
        )
    if int(arrays["f"].min()) < 0 or int(arrays["f"].max()) >= VERTICES:
        raise WeightsError(f"{path}: a triangle refers to a vertex that does not exist.")
