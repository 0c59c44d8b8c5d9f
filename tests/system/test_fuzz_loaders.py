"""Damaged weights, models and checkpoints: a value or one line that names the file. No code runs."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from facebench.backbones.onnx_network import open_session
from facebench.backbones.torchscript import tensors_of
from facebench.backbones.weights.load import load_checkpoint, select_state, tensors_in
from facebench.core.errors import FacebenchError
from facebench.training.engine import model_file
from facebench.training.engine.checkpoints import Checkpoint
from facebench.training.engine.model_file import ModelFile
from facebench.training.models import CompactAutoencoder, CompactAutoencoderConfig
from facebench.training.models.load import open_autoencoder
from facebench.training.recognition.bin_format import read_bin, write_bin
from facebench.training.rig.buffers.flame_files import read_flame, read_texture
from tests.helpers import flame_like
from tests.helpers.mutator import cases, mutate, mutate_json, within
from tests.helpers.onnx_files import one_pixel_times
from tests.helpers.tiny_training import SIZES

Make = Callable[[Path], Path]
Read = Callable[[Path], Any]


def state() -> dict[str, Any]:
    torch.manual_seed(0)
    return {"state_dict": {"a.weight": torch.randn(8, 4), "a.bias": torch.zeros(8)}, "epoch": 3}


def torch_zip(folder: Path) -> Path:
    torch.save(state(), folder / "a.pth")
    return folder / "a.pth"


def torch_legacy(folder: Path) -> Path:
    torch.save(state(), folder / "b.pth", _use_new_zipfile_serialization=False)
    return folder / "b.pth"


def safetensors(folder: Path) -> Path:
    save_file(state()["state_dict"], folder / "c.safetensors")
    return folder / "c.safetensors"


def torchscript(folder: Path) -> Path:
    torch.jit.save(torch.jit.script(nn.Linear(4, 4)), folder / "d.pt")
    return folder / "d.pt"


def onnx(folder: Path) -> Path:
    return one_pixel_times(folder / "e.onnx", np.ones((3, 4), np.float32), 112)


def benchmark(folder: Path) -> Path:
    write_bin(folder / "f.bin", [b"one" * 50, b"two" * 50, b"three", b"four"], [True, False])
    return folder / "f.bin"


def flame(folder: Path) -> Path:
    small = {"v_template": np.zeros((20, 3)), "f": np.zeros((4, 3), np.uint32), "weights": np.zeros((20, 5))}
    return flame_like.save(folder / "g.pkl", small)


def texture(folder: Path) -> Path:
    names = {"mean": (4, 4, 3), "tex_dir": (4, 4, 3, 2), "vt": (5, 2), "ft": (4, 3)}
    np.savez(folder / "h.npz", **{name: np.zeros(shape) for name, shape in names.items()})
    return folder / "h.npz"


def model(folder: Path) -> Path:
    network = CompactAutoencoder(CompactAutoencoderConfig(**SIZES))
    held = ModelFile("compact-autoencoder", network.state_dict(), network.config.model_dump(mode="json"))
    model_file.write(folder / "i.safetensors", held)
    return folder / "i.safetensors"


def read_state(path: Path) -> Any:
    content = load_checkpoint(path)
    tensors_in(content)
    return select_state(content, str(path), entry="state_dict")


LOADERS: list[tuple[Make, Read]] = [
    (torch_zip, read_state),
    (torch_legacy, read_state),
    (safetensors, read_state),
    (torchscript, tensors_of),
    (onnx, open_session),
    (benchmark, read_bin),
    (flame, read_flame),
    (texture, read_texture),
    (model, open_autoencoder),
    (torch_zip, open_autoencoder),
]


def read_or_refuse(read: Read, path: Path) -> None:
    try:
        with within(60):
            read(path)
    except FacebenchError as error:
        assert path.name in str(error) or path.parent.name in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("make", "read"), LOADERS, ids=[f"{make.__name__}-{read.__name__}" for make, read in LOADERS]
)
def test_damaged_weights_are_read_or_refused_by_name(make: Make, read: Read, tmp_path: Path) -> None:
    path = make(tmp_path)
    data = path.read_bytes()
    for seed in cases(80):
        path.write_bytes(mutate(data, seed))
        read_or_refuse(read, path)


def test_a_damaged_model_header_is_refused_by_name(tmp_path: Path) -> None:
    network = nn.Linear(2, 2)
    header = {"kind": "compact-autoencoder", "architecture": {**SIZES}, "provenance": {"steps": 3}}
    path = tmp_path / "model.safetensors"
    for seed in cases(150):
        save_file(network.state_dict(), path, metadata={model_file.HEADER: mutate_json(header, seed)})
        read_or_refuse(open_autoencoder, path)


def test_a_damaged_checkpoint_is_refused_by_name(tmp_path: Path) -> None:
    content = {
        "step": 3,
        "settings": {"steps": 5, "optimizer": {"kind": "adam"}},
        "progress": {"best": {}, "skipped": 0},
    }
    folder = Checkpoint(3, {"model": nn.Linear(2, 2).state_dict()}, content["settings"], {}).save(tmp_path, 2)
    for seed in cases(100):
        (folder / "state.json").write_text(mutate_json(content, seed), encoding="utf-8")
        read_or_refuse(Checkpoint.load, folder)


class _Evil:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return (Path.touch, (self.target,))


@pytest.mark.parametrize("read", [read_state, read_bin, read_flame, tensors_of, open_autoencoder])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_code_in_a_pickle_never_runs(read: Read, protocol: int, tmp_path: Path) -> None:
    mark, path = tmp_path / "mark", tmp_path / "evil.ckpt"
    data = pickle.dumps({"v_template": _Evil(mark), "state_dict": _Evil(mark)}, protocol)
    for seed in cases(10):
        path.write_bytes(data if seed == 0 else mutate(data, seed))
        read_or_refuse(read, path)
    assert not mark.exists()
