"""LMDB databases of DiffusionRig-Emo: faces, codes, mean shape, and pickles that hold something else."""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path

import lmdb
import numpy as np
import pytest
import torch

from facebench.core.errors import InputError
from facebench.training.rig.buffers import BufferSet, LmdbBuffers, open_buffers
from facebench.training.rig.buffers.lmdb_buffers import read_mean_shape
from facebench.training.rig.buffers.tensor_pickle import read_tensor
from facebench.training.rig.files import to_conditions
from tests.helpers.lab_database import put, write_database


def change(folder: Path, key: str, content: object) -> None:
    with lmdb.open(str(folder), map_size=2**24) as database, database.begin(write=True) as transaction:
        put(transaction, key, content)


def test_faces_have_their_buffers_and_codes_as_stored(tmp_path: Path) -> None:
    folder = write_database(tmp_path / "album", album=True)
    buffers = open_buffers(folder, "emoca")
    assert isinstance(buffers, LmdbBuffers)
    assert (len(buffers), buffers.about.size, buffers.about.source) == (3, 16, "emoca")
    assert buffers.about.mean_shape
    face = buffers.read(1)
    assert face.image.shape == (16, 16, 3)
    assert (face.fields["shape"].shape, face.fields["identity"].shape) == ((100,), (150,))
    stored = [buffers._get(f"{name}_000001") for name in ("rendered", "normal", "albedo")]
    planes = torch.cat([pickle.loads(data) for data in stored if data is not None])
    conditions = torch.from_numpy(face.fields["conditions"])[None]
    assert torch.equal(to_conditions(conditions, 2.0)[0], planes)
    assert np.array_equal(read_mean_shape(folder / "mean_shape.pkl"), np.full((1, 100), 0.5, np.float32))


def test_version_1_has_no_codes(tmp_path: Path) -> None:
    buffers = LmdbBuffers(write_database(tmp_path / "ffhq", codes=False))
    assert set(buffers.read(0).fields) == {"conditions"}
    assert not buffers.about.mean_shape
    with pytest.raises(InputError, match="does not contain buffers"):
        BufferSet(tmp_path / "ffhq")


class Evil:
    """Runs a command when it is unpickled by a plain unpickler."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch /tmp/facebench-evil",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (Evil(), r"albedo_000001 is not a pickled tensor \(it would call posix.system\)"),
        ({"a": 1}, "holds a dict, not a tensor"),
        (np.zeros(3), r"it would call numpy"),
        (torch.zeros(3, 8, 8), r"has shape \(3, 8, 8\), \(3, 16, 16\) is needed"),
    ],
)
def test_other_pickles_are_refused_and_do_not_run(tmp_path: Path, content: object, message: str) -> None:
    folder = write_database(tmp_path / "set")
    change(folder, "albedo_000001", content)
    with pytest.raises(InputError, match=message):
        LmdbBuffers(folder).read(1)
    assert not Path("/tmp/facebench-evil").exists()


def test_a_tensor_that_leaves_its_storage_is_refused() -> None:
    stream = io.BytesIO()
    torch.save(torch.zeros(4).storage(), stream, _use_new_zipfile_serialization=False)

    class Large:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            storage = torch.storage._load_from_bytes(stream.getvalue())
            return torch._utils._rebuild_tensor_v2, (storage, 0, (2**40,), (1,), False, {})

    with pytest.raises(InputError, match="does not fit its storage"):
        read_tensor(pickle.dumps(Large()), "x")


@pytest.mark.parametrize("data", [b"", b"\x80\x04.", pickle.dumps(torch.zeros(3))[:60]])
def test_damaged_pickles_are_named(data: bytes) -> None:
    with pytest.raises(InputError, match=r"mean_shape\.pkl is not a pickled tensor"):
        read_tensor(data, "mean_shape.pkl")


def test_missing_keys_and_other_databases_are_named(tmp_path: Path) -> None:
    folder = write_database(tmp_path / "set")
    with lmdb.open(str(folder), map_size=2**24) as database, database.begin(write=True) as transaction:
        transaction.delete(b"normal_000002")
    with pytest.raises(InputError, match="the key 'normal_000002' is missing"):
        LmdbBuffers(folder).read(2)
    with lmdb.open(str(tmp_path / "other"), map_size=2**20):
        pass
    with pytest.raises(InputError, match="lacks the key 'length'"):
        LmdbBuffers(tmp_path / "other")
    (tmp_path / "wide.pkl").write_bytes(pickle.dumps(torch.zeros(1, 300)))
    with pytest.raises(InputError, match="holds 300 values, a shape code has 100"):
        read_mean_shape(tmp_path / "wide.pkl")
