"""Tools of the studies with small networks: complete tables, and no repeated work."""

from __future__ import annotations

import csv
import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from facebench.training.editing import fit_directions
from facebench.training.editing.directions import METHODS
from facebench.training.engine import loop, model_file
from facebench.training.recognition.recogniser import NetworkSettings, build_backbone
from facebench.training.tasks import registry
from tests.helpers.paths import REPOSITORY

TOOLS = REPOSITORY / "tools"
DIFFAE = {
    "model": {
        "size": 32, "channels": 8, "multipliers": [1, 2], "encoder_multipliers": [1, 2, 2], "code_channels": 16,
        "time_channels": 16, "blocks": 1, "attention": [], "dropout": 0.0, "encoder_norm": "batch",
    },
    "data": {"kind": "synthface", "identities": 4, "images": 2, "render": 32, "cache_renders": True},
    "steps": 2, "batch_size": 4, "workers": 0, "ema_decay": None, "preview_images": 2,
}  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    prepared = registry.prepare("diffae", DIFFAE, "test")
    out = tmp_path_factory.mktemp("diffae")
    return loop.fit(prepared.task, prepared.settings, out, device="cpu", on_message=lambda text: None)


@pytest.fixture(scope="module")
def recogniser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained recogniser."""
    path = tmp_path_factory.mktemp("recogniser") / "model.safetensors"
    sizes = NetworkSettings(name="iresnet18", width=8, size=28, embedding=16).model_dump(mode="json")
    torch.manual_seed(0)
    model_file.write(path, model_file.ModelFile("recognition", build_backbone(sizes).state_dict(), sizes))
    return path


def study(name: str, monkeypatch: pytest.MonkeyPatch, *words: object) -> Any:
    """Run a study with command line arguments."""
    monkeypatch.syspath_prepend(str(TOOLS))
    monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
    module = importlib.import_module(name)
    module.main()
    return module


def again(name: str, monkeypatch: pytest.MonkeyPatch, *words: object) -> None:
    """Run a study again; training, encoding, editing and evaluation raise an error."""

    def forbidden(*_: Any, **__: Any) -> None:
        raise AssertionError("a finished part is computed again")

    for place in (
        "study.write_edits",
        "study.render_to",
        "facebench.evaluate",
        "study.encode_faces",
        f"{name}.fit",
    ):
        monkeypatch.setattr(place, forbidden)
    monkeypatch.setattr(loop, "fit", forbidden)
    study(name, monkeypatch, *words)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_study_of_directions_compares_every_method_and_goes_on_where_it_stopped(
    autoencoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--out", tmp_path, "--checkpoint", autoencoder, "--people", 2, "--training-people", 8, "--avoid", 2,
             "--strengths", 0.3, "--steps", 2]  # fmt: skip
    monkeypatch.setattr(fit_directions, "OFFICIAL_SAMPLES", 320)
    study("study_directions", monkeypatch, *words)
    table = capsys.readouterr().out
    wanted = {name for method in METHODS for name in (method, f"{method}-avoid-2")}
    found = rows(tmp_path / "results.csv")
    assert {row["directions"] for row in found} == wanted
    assert {row["aim"] for row in found} == {"happy", "angry"}
    assert all(f"| {name} |" in table for name in wanted)
    assert (tmp_path / "trade-off.png").stat().st_size > 0
    again("study_directions", monkeypatch, *words)
    assert rows(tmp_path / "results.csv") == found


def test_the_study_of_losses_compares_every_sum_and_goes_on_where_it_stopped(
    autoencoder: Path,
    recogniser: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--out", tmp_path, "--checkpoint", autoencoder, "--recogniser", recogniser, "--people", 2, "--seeds", 1,
             "--training-people", 8, "--steps", 2, "--batch", 4, "--prior-images", 2, "--render-steps", 2,
             "--strengths", 0.5, 1, "--triplet", "other-other", "--probe-people", 6]  # fmt: skip
    module = study("study_identity_losses", monkeypatch, *words)
    table = capsys.readouterr().out
    wanted = {module.START, *module.VARIANTS}
    found = rows(tmp_path / "results.csv")
    assert {row["variant"] for row in found} == wanted
    assert {row["metric"] for row in found} == set(module.METRICS)
    assert all(table.count(f"| {name} |") == 2 for name in wanted)
    assert "| rendered truth |" in table
    assert {row["strength"] for row in found} == {"0.5", "1.0"}
    assert (tmp_path / "identity-losses.png").stat().st_size > 0
    assert (tmp_path / "trade-off.png").stat().st_size > 0
    with Image.open(tmp_path / "edits.jpg") as sheet:
        assert sheet.height == 96 * (2 + len(wanted))
    again("study_identity_losses", monkeypatch, *words)
    assert rows(tmp_path / "results.csv") == found


def test_the_variants_of_the_losses_differ_in_nothing_else(
    autoencoder: Path, recogniser: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(TOOLS))
    module = importlib.import_module("study_identity_losses")
    monkeypatch.setattr(sys, "argv", ["study", "--checkpoint", str(autoencoder), "--out", str(tmp_path)])
    options = module._options()
    contents = [module.content(variant, 0, recogniser, options) for variant in module.VARIANTS]
    assert len({str(content.pop("loss")) for content in contents}) == len(contents)
    assert all(content == contents[0] for content in contents)
    assert not contents[0]["freeze_encoder"]
