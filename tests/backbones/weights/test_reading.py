"""A damaged or forged file of weights is refused with its name, whatever exception its reader raises."""

from __future__ import annotations

import io
import pickle
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from facebench.backbones.onnx_network import OnnxNetwork
from facebench.backbones.torchscript import is_torchscript, tensors_of
from facebench.backbones.weights import WeightsSource
from facebench.backbones.weights.load import load_checkpoint, select_state, tensors_in
from facebench.backbones.weights.reading import check_pickle, reading
from facebench.backbones.weights.torch_archive import check_storages
from facebench.core.errors import InputError, WeightsError
from tests.helpers.onnx_files import one_pixel_times

pytestmark = pytest.mark.filterwarnings("ignore")
MUTATIONS = 60
STATE = {"weight": torch.arange(12.0).reshape(3, 4), "half": torch.ones(5).half(), "count": torch.tensor(3)}
Use = Callable[[Path], Any]


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 4)
        self.register_buffer("count", torch.tensor(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


def read_checkpoint(path: Path) -> None:
    source = WeightsSource.of("lite0", path)
    source.state_dict(entry="state_dict")
    source.used()
    tensors_in(load_checkpoint(path))


def read_torchscript(path: Path) -> None:
    is_torchscript(path)
    tensors_of(path)


def run_onnx(path: Path) -> None:
    OnnxNetwork(path, 112, 8)(np.zeros((2, 3, 112, 112), np.float32))


def save_zip(path: Path) -> None:
    torch.save({"state_dict": STATE, "epoch": 3, "other": [1.5, "a", None, (1, 2)]}, path)


def save_legacy(path: Path) -> None:
    torch.save({"state_dict": STATE, "epoch": 3}, path, _use_new_zipfile_serialization=False)


def save_safetensors(path: Path) -> None:
    save_file(STATE, path)


def save_torchscript(path: Path) -> None:
    torch.jit.save(torch.jit.script(Net()), path)


def save_onnx(path: Path) -> None:
    one_pixel_times(path, np.ones((3, 8), np.float32), 112)


FORMATS: dict[str, tuple[Callable[[Path], None], Use]] = {
    "zip.pth": (save_zip, read_checkpoint),
    "legacy.pth": (save_legacy, read_checkpoint),
    "file.safetensors": (save_safetensors, read_checkpoint),
    "program.pt": (save_torchscript, read_torchscript),
    "network.onnx": (save_onnx, run_onnx),
}


def mutated(content: bytes, rng: random.Random) -> bytes:
    """The content after random changes of bits and bytes, insertions, deletions or truncation."""
    data, kind = bytearray(content), rng.randrange(6)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        i = rng.randrange(len(data))
        if kind == 0:
            data[i] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[i] = rng.randrange(256)
        elif kind == 2:
            del data[i : i + rng.randrange(1, 20)]
        elif kind == 3:
            data[i:i] = rng.randbytes(rng.randrange(1, 9))
        elif kind == 4:
            data[i : i + 4] = rng.choice([b"\xff" * 4, bytes(4), b"\xff\xff\xff\x7f", b"\0\0\0\x80"])
        else:
            return bytes(data[:i])
        data = data or bytearray(1)
    return bytes(data)


def mutated_objects(content: bytes, rng: random.Random) -> bytes:
    """The archive with mutated pickled objects, so that its checksums are right."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            member = old.read(name)
            new.writestr(name, mutated(member, rng) if name.endswith("data.pkl") else member)
    return out.getvalue()


def loads_or_is_refused(path: Path, use: Use) -> None:
    try:
        use(path)
    except WeightsError as error:
        assert str(path) in str(error)  # noqa: PT017


@pytest.mark.parametrize("name", FORMATS)
def test_a_damaged_file_loads_or_is_refused_with_its_name(tmp_path: Path, name: str) -> None:
    save, use = FORMATS[name]
    path, rng = tmp_path / name, random.Random(name)
    save(path)
    use(path)
    content = path.read_bytes()
    for _ in range(MUTATIONS):
        path.write_bytes(mutated(content, rng))
        loads_or_is_refused(path, use)
    if zipfile.is_zipfile(io.BytesIO(content)):
        for _ in range(MUTATIONS):
            path.write_bytes(mutated_objects(content, rng))
            loads_or_is_refused(path, use)


@pytest.mark.parametrize("use", [read_checkpoint, read_torchscript, run_onnx])
@pytest.mark.parametrize("name", FORMATS)
def test_a_file_of_another_format_is_refused_with_its_name(tmp_path: Path, name: str, use: Use) -> None:
    save, _ = FORMATS[name]
    save(tmp_path / "weights.bin")
    loads_or_is_refused(tmp_path / "weights.bin", use)


def test_only_errors_of_a_reader_are_converted(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    expected = r"net\.pth cannot be read as a network: index 3\. Compare"
    with pytest.raises(WeightsError, match=expected) as error, reading(path, "a network"):
        raise IndexError("index 3\nand more")
    assert isinstance(error.value.__cause__, IndexError)
    for unchanged in (InputError("as it is"), KeyboardInterrupt()):
        with pytest.raises(type(unchanged)) as raised, reading(path, "a network"):
            raise unchanged
        assert raised.value is unchanged


@pytest.mark.parametrize("use", [read_checkpoint, read_torchscript])
def test_an_archive_that_unpacks_to_many_times_its_size_is_refused(tmp_path: Path, use: Use) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/constants.pkl", b"")
        archive.writestr("net/data.pkl", bytes(50_000_000))
    with pytest.raises(WeightsError, match=r"bomb\.pt is refused: its [\d,]+ bytes unpack to 50,000,000"):
        use(tmp_path / "bomb.pt")


def test_a_storage_that_is_declared_longer_than_it_is_stored_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.arange(4.0)}, tmp_path / "net.pth")
    check_storages(tmp_path / "net.pth")
    with zipfile.ZipFile(tmp_path / "net.pth") as old, zipfile.ZipFile(tmp_path / "forged.pth", "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b"K\x04", b"J\x00\x00\x00\x40"))
    with pytest.raises(WeightsError, match=r"forged\.pth is damaged: tensor storage 0 has 16 bytes"):
        load_checkpoint(tmp_path / "forged.pth")


def test_checking_storages_runs_no_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (tmp_path / "ran").touch, ()

    torch.save({"x": Evil()}, tmp_path / "evil.pth")
    check_storages(tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()


def test_a_forged_memo_index_is_refused() -> None:
    check_pickle(pickle.dumps({"a": [1, (2, "b")]}, protocol=2))
    with pytest.raises(pickle.UnpicklingError, match="memo index"):
        check_pickle(b"\x80\x02]r" + struct.pack("<I", 2**31) + b".")


def test_a_checkpoint_that_contains_itself_is_refused(tmp_path: Path) -> None:
    content: dict[str, Any] = {}
    content["again"] = content
    torch.save(content, tmp_path / "circle.pth")
    with pytest.raises(WeightsError, match="contains itself"):
        tensors_in(load_checkpoint(tmp_path / "circle.pth"))


def test_a_checkpoint_that_expands_exponentially_is_refused() -> None:
    content: dict[str, Any] = {"weight": torch.ones(1)}
    for _ in range(40):
        content = {"left": content, "right": content}
    with pytest.raises(WeightsError, match="nested too deeply"):
        tensors_in(content)


@pytest.mark.parametrize(
    ("state", "problem"),
    [
        ({7: torch.ones(1)}, "the name 7 is a int, not a text"),
        ({"a": torch.eye(3).to_sparse()}, "'a' is a sparse"),
        ({"a": torch.ones(1, device="meta")}, "'a' is a sparse, quantised or empty tensor"),
        ([torch.ones(1)], "holds a list, not a state dict"),
    ],
)
def test_a_state_dict_has_names_and_plain_tensors(state: Any, problem: str) -> None:
    with pytest.raises(WeightsError, match=rf"net\.pth.*{problem}"):
        select_state(state, "net.pth")


def test_the_tensors_of_a_torchscript_archive_share_one_copy_of_a_storage(tmp_path: Path) -> None:
    network = Net()
    network.alias = network.layer.weight
    torch.jit.save(torch.jit.script(network), tmp_path / "net.pt")
    tensors = tensors_of(tmp_path / "net.pt")
    assert tensors["alias"].data_ptr() == tensors["layer.weight"].data_ptr()
