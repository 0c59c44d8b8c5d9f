"""Restricted unpickling: no code, no state of NumPy's types, no unbounded memory."""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
import types
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facebench.core.errors import WeightsError
from facebench.training.rig.buffers.flame_pickle import PickledArray, PlainObject, load_plain


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def group(*parts: bytes) -> bytes:
    """A tuple."""
    return b"(" + b"".join(parts) + b"t"


def dtype(code: str, order: str = "<") -> bytes:
    """A NumPy type with its state, as NumPy pickles it."""
    state = group(number(3), text(order), b"N", b"N", b"N", number(-1), number(-1), number(0))
    return b"cnumpy\ndtype\n" + group(text(code), number(0), number(1)) + b"R" + state + b"b"


def array(shape: tuple[int, ...], kind: bytes, raw: bytes) -> bytes:
    """A NumPy array, as Python 2 pickled it."""
    start = group(b"cnumpy\nndarray\n", group(number(0)), text("b"))
    data = b"T" + struct.pack("<i", len(raw)) + raw
    state = group(number(1), group(*map(number, shape)), kind, b"\x89", data)
    return b"cnumpy.core.multiarray\n_reconstruct\n" + start + b"R" + state + b"b"


def load(path: Path, body: bytes) -> Any:
    path.write_bytes(b"\x80\x02" + body + b".")
    return load_plain(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "generic_model.pkl"


class Attack:
    """Object whose unpickling creates a folder."""

    def __init__(self, target: Path) -> None:
        self.target = str(target)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.target,)


@pytest.mark.parametrize("protocol", range(6))
def test_code_is_refused_and_does_not_run(path: Path, protocol: int) -> None:
    target = path.parent / "created"
    path.write_bytes(pickle.dumps({"v_template": Attack(target)}, protocol=protocol))
    with pytest.raises(WeightsError, match=r"it would call (posix|nt)\.mkdir when loaded"):
        load_plain(path)
    assert not target.exists()


def test_a_forged_type_cannot_turn_bytes_into_pointers(path: Path) -> None:
    """Objects of type O8 whose state denies it: NumPy would release the object at 0x4141414141414141."""
    forged = array((1,), dtype("O8", "|"), struct.pack("<Q", 0x4141414141414141))
    path.write_bytes(b"\x80\x02}" + text("v_template") + forged + number(0) + number(1) + b"ss.")
    # A separate process, because the failure is a segmentation fault.
    code = (
        "import sys, pathlib\n"
        "from facebench.core.errors import WeightsError\n"
        "from facebench.training.rig.buffers.flame_files import read_flame\n"
        "try: read_flame(pathlib.Path(sys.argv[1]))\n"
        "except WeightsError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "an array of type 'O8', which is not numeric" in done.stdout


@pytest.mark.parametrize("code", ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"])
def test_numeric_arrays_keep_their_values(path: Path, code: str) -> None:
    values = np.arange(6, dtype=code).reshape(2, 3)
    loaded = load(path, array((2, 3), dtype(code, values.dtype.str[0]), values.tobytes()))
    assert isinstance(loaded, PickledArray)
    assert loaded.numbers().dtype == values.dtype
    assert np.array_equal(loaded.numbers(), values)


@pytest.mark.parametrize("code", ["O", "O8", "V8", "S8", "U2", "M8", "c16", "f16", "f4,O", "b1"])
def test_other_types_are_refused(path: Path, code: str) -> None:
    with pytest.raises(WeightsError, match="which is not numeric"):
        load(path, array((1,), dtype(code), b"\0" * 8))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (array((2,), dtype("f8"), b"\0" * 8), "bytes do not fit its shape"),
        (array((-1,), dtype("f8"), b""), "a shape that FLAME does not have"),
        (array((1, 1, 1, 1), dtype("u1"), b"\0"), "a shape that FLAME does not have"),
        (array((2**31 - 1, 0), dtype("u1"), b""), "a shape that FLAME does not have"),
        (array((1,), dtype("f8", ">"), b"\0" * 8), "not little-endian"),
        (array((1,), number(3), b"\0" * 8), "a type that is not numeric"),
        (array((1,), dtype("u1"), b"\0") + number(0) + number(1) + b"s", "does not support item assignment"),
    ],
)
def test_malformed_arrays_are_refused(path: Path, body: bytes, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        load(path, body)


@pytest.mark.parametrize(
    "name", ["numpy\nndarray", "numpy\ndtype", "_codecs\nencode", "copy_reg\n_reconstructor", "chumpy.ch\nCh"]
)
def test_a_pickle_cannot_change_the_stand_ins(path: Path, name: str) -> None:
    state = b"}" + text("__doc__") + text("changed") + b"s"
    with pytest.raises(WeightsError, match="is refused"):
        load(path, b"c" + name.encode() + b"\n" + state + b"b")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(b"]" * 200_000, "more than 100000 instructions", id="lists"),
        pytest.param(b"]" + b"\x85" * 200_000, "more than 100000 instructions", id="nested tuples"),
        pytest.param(b"]r\xff\xff\xff\x7f", "a memo index of 2147483647", id="memo"),
        pytest.param(b"\x8e" + struct.pack("<Q", 2**40) + b"x", "is refused", id="bytes of one terabyte"),
        pytest.param(b"\x95" + struct.pack("<Q", 2**40) + b"]", "is refused", id="frame of one terabyte"),
        pytest.param(b"\x82\x01", "is refused", id="extension"),
        pytest.param(text("x") + b"Q", "is refused", id="persistent object"),
    ],
)
def test_memory_and_other_ways_to_objects_are_bounded(path: Path, body: bytes, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        load(path, body)


def test_sets_of_chumpy_objects_are_ignored(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chumpy keeps names of variables in sets, which protocol 2 pickles as a call of `set`."""
    module, kind = types.ModuleType("chumpy.ch"), type("Ch", (), {"__module__": "chumpy.ch"})
    module.Ch = kind  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "chumpy", types.ModuleType("chumpy"))
    monkeypatch.setitem(sys.modules, "chumpy.ch", module)
    chumpy: Any = kind()
    chumpy.x, chumpy._dirty_vars = np.arange(3.0), {"x"}
    path.write_bytes(pickle.dumps(chumpy, protocol=2))
    loaded = load_plain(path)
    assert isinstance(loaded, PlainObject)
    assert np.array_equal(loaded.state["x"].numbers(), chumpy.x)


def test_random_changes_of_bytes_give_data_or_a_weights_error(path: Path) -> None:
    rng = np.random.default_rng(0)
    valid = b"\x80\x02}" + text("f") + array((2, 3), dtype("f8"), b"\0" * 48) + b"s."
    for _ in range(500):
        data = bytearray(valid)
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            data[place] = rng.integers(256)
        path.write_bytes(bytes(data))
        with suppress(WeightsError):
            load_plain(path)
