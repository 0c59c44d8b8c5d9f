"""Reading FLAME's files, which are pickles of 2017, without ever running code from them."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from facebench.backbones.weights.cache import refuse_other_files
from facebench.core.errors import WeightsError
from facebench.training.rig.buffers.flame import EXPRESSIONS, PARENTS, SHAPES, Flame

VERTICES, TRIANGLES, JOINTS, ALL_SHAPES, ALL_DIRECTIONS = 5023, 9976, 5, 300, 400
SHAPE_OF = {
    "v_template": (VERTICES, 3),
    "f": (TRIANGLES, 3),
    "shapedirs": (VERTICES, 3, ALL_DIRECTIONS),
    "posedirs": (VERTICES, 3, 9 * (JOINTS - 1)),
    "J_regressor": (JOINTS, VERTICES),
    "weights": (VERTICES, JOINTS),
    "kintree_table": (2, JOINTS),
}
"""What the generic model of FLAME 2017, 2019 and 2020 holds: 300 shape directions, then 100 of expression."""
TEXTURES = 50
"""Texture directions that DECA uses, of the 200 in the file."""
DAMAGED = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    IndexError,
    OSError,
)


@dataclass(frozen=True)
class Texture:
    """FLAME's texture space.

    Attributes:
        mean: (256, 256, 3) RGB in about [0, 1], the first row at the top (v = 1).
        directions: (256, 256, 3, 50) change for one deviation of every code.
        corners: (f, 3, 2) u to the right and v upwards at the corners of every triangle, in [0, 1].
    """

    mean: NDArray[np.float32]
    directions: NDArray[np.float32]
    corners: NDArray[np.float64]

    def painted(self, codes: NDArray[np.floating]) -> NDArray[np.float32]:
        """The texture of a face, (256, 256, 3)."""
        painted: NDArray[np.float32] = self.mean + self.directions @ codes.astype(np.float32)
        return painted


def read_flame(path: Path) -> Flame:
    """Read `generic_model.pkl` as its authors publish it.

    The pickle may name NumPy arrays, SciPy's sparse matrices and the array class of Chumpy, and nothing else;
    the two classes are read as plain data. Neither Chumpy nor any function of the file runs.

    Raises:
        WeightsError: there is no such file, it is damaged, names other code, or is of another version or model.
    """
    refuse_other_files(path)
    content = _unpickled(path)
    if not isinstance(content, Mapping):
        raise WeightsError(
            f"{path} holds a {type(content).__name__}, not the arrays of FLAME's generic model."
        )
    arrays = {}
    for name, shape in SHAPE_OF.items():
        if name not in content:
            raise WeightsError(f"{path} lacks '{name}': it is not FLAME's generic model.")
        arrays[name] = _array(content[name], name, path)
        if arrays[name].shape != shape:
            raise WeightsError(
                f"{path}: '{name}' has shape {arrays[name].shape}; FLAME 2020's has {shape}. Other versions and "
                "other body models do not fit DECA's codes. Give generic_model.pkl of FLAME 2020."
            )
    _check_joints(arrays["kintree_table"], arrays["f"], path)
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
        WeightsError: it is damaged, or not this file.
    """
    refuse_other_files(path)
    shapes = {
        "mean": (512, 512, 3),
        "tex_dir": (512, 512, 3, None),
        "vt": (None, 2),
        "ft": (TRIANGLES, 3),
    }
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in shapes}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path} is not FLAME_texture.npz, or damaged ({error}).") from None
    for name, shape in shapes.items():
        found = arrays[name].shape
        if len(found) != len(shape) or any(b not in (None, a) for a, b in zip(found, shape, strict=True)):
            raise WeightsError(f"{path}: '{name}' has shape {found}; FLAME_texture.npz has {shape}.")
    if arrays["tex_dir"].shape[3] < TEXTURES:
        raise WeightsError(
            f"{path}: {arrays['tex_dir'].shape[3]} texture directions, at least {TEXTURES} are needed."
        )
    # The file counts blue first, from 0 to 255; DECA halves it by taking every second texel.
    mean, directions = (
        arrays["mean"][::2, ::2, ::-1] / 255,
        arrays["tex_dir"][::2, ::2, ::-1, :TEXTURES] / 255,
    )
    corners = np.asarray(arrays["vt"], np.float64)[arrays["ft"].astype(np.int64)]
    return Texture(mean.astype(np.float32), directions.astype(np.float32), corners)


class _Plain:
    """An object of a class that is not run: it keeps the state that the pickle gives it."""

    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _rebuilt(kind: type, base: type, state: Any) -> Any:
    """What old pickles call to make an object of a class; here the class is `_Plain`."""
    if kind is not _Plain:
        raise pickle.UnpicklingError("an object of another class than Chumpy's and SciPy's")
    return _Plain()


class _Restricted(pickle.Unpickler):
    """Knows arrays and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return _empty_array
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        if (module, name) == ("chumpy.ch", "Ch") or (
            module.startswith("scipy.sparse") and name == "csc_matrix"
        ):
            return _Plain
        if (module, name) in (("copy_reg", "_reconstructor"), ("copyreg", "_reconstructor")):
            return _rebuilt
        if (module, name) == ("_codecs", "encode"):
            return _latin
        if (module, name) in (("__builtin__", "object"), ("builtins", "object")):
            return object
        raise pickle.UnpicklingError(f"it would call {module}.{name} when loaded")


def _latin(text: str, encoding: str) -> bytes:
    """How newer Pythons write the bytes of an array into an old pickle."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in the encoding {encoding}")
    return text.encode("latin1")


def _empty_array(kind: type, shape: tuple[int, ...], code: bytes | str) -> NDArray[Any]:
    """What pickles of arrays begin with; the pickle then fills it."""
    if kind is not np.ndarray:
        raise pickle.UnpicklingError("an array of another class than NumPy's")
    return np.ndarray.__new__(np.ndarray, (0,), np.dtype("b"))


def _unpickled(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            return _load(file)
    except DAMAGED as error:
        raise WeightsError(
            f"{path} is refused: {error}. Give generic_model.pkl of FLAME 2020 as its authors publish it."
        ) from None


def _load(file: BinaryIO) -> Any:
    return _Restricted(file, encoding="latin1").load()


def _array(value: Any, name: str, path: Path) -> NDArray[Any]:
    """The numbers of an array, of a Chumpy array (its entry x), or of a sparse matrix."""
    state = value.state if isinstance(value, _Plain) else value
    if isinstance(state, Mapping) and "x" in state:
        state = state["x"]
    elif isinstance(state, Mapping) and {"data", "indices", "indptr"} <= state.keys():
        shape = state.get("_shape", state.get("shape"))
        try:
            parts = (state["data"], state["indices"], state["indptr"])
            state = scipy.sparse.csc_array(parts, shape=shape).toarray()
        except (ValueError, TypeError) as error:
            raise WeightsError(f"{path}: '{name}' is no sparse matrix ({error}).") from None
    if not isinstance(state, np.ndarray) or state.dtype.kind not in "fiu":
        raise WeightsError(f"{path}: '{name}' holds no numbers.")
    return state


def _check_joints(tree: NDArray[Any], faces: NDArray[Any], path: Path) -> None:
    parents = tuple(int(parent) for parent in tree[0][1:])
    if parents != PARENTS[1:]:
        raise WeightsError(
            f"{path}: its joints hang on {parents}, FLAME's on {PARENTS[1:]} (neck, jaw, two eyes)."
        )
    if int(faces.min()) < 0 or int(faces.max()) >= VERTICES:
        raise WeightsError(f"{path}: a triangle names a vertex that is not there.")
