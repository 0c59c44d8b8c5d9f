from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from facebench.backbones.torchscript import is_torchscript, tensors_of
from facebench.core.errors import WeightsError

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


class Tower(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4)).half()
        self.scale = nn.Parameter(torch.rand(3, 5).T)
        self.register_buffer("resolution", torch.tensor(336))
        self.sizes = [1, 2]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.block(x)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    torch.jit.save(torch.jit.script(Tower()), tmp_path / "tower.pt")
    return tmp_path / "tower.pt"


def with_objects(archive: Path, content: bytes) -> Path:
    """The archive with another object list."""
    changed = archive.with_name("changed.pt")
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            new.writestr(name, content if name.endswith("/data.pkl") else old.read(name))
    return changed


def test_tensors_equal_those_of_torch_jit(archive: Path) -> None:
    expected = torch.jit.load(archive).state_dict()
    actual = tensors_of(archive)
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        assert actual[name].dtype == value.dtype
        assert torch.equal(actual[name], value)


def test_a_state_dict_is_not_torchscript(archive: Path, tmp_path: Path) -> None:
    torch.save(Tower().state_dict(), tmp_path / "state.pt")
    assert is_torchscript(archive)
    assert not is_torchscript(tmp_path / "state.pt")


def test_code_in_the_object_list_is_refused_and_does_not_run(archive: Path, tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "harmed",)  # type: ignore[return-value]

    evil = with_objects(archive, pickle.dumps(Attack(), protocol=2))
    with pytest.raises(WeightsError, match="refused"):
        tensors_of(evil)
    assert not (tmp_path / "harmed").exists()


def test_the_error_names_a_damaged_archive(archive: Path) -> None:
    with pytest.raises(WeightsError, match=r"changed\.pt"):
        tensors_of(with_objects(archive, b"<html>"))
