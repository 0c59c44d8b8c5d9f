"""Every preset holds settings of its kind, and changes do to it what people mean."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from facebench.training.engine.settings import check, preset_names, read
from facebench.training.tasks import registry

FILES = {**registry.KINDS, registry.CLASSIFIER: "classifier"}


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_parses(name: str) -> None:
    content = read(name)
    kind = content.pop("train")
    module = importlib.import_module(f"facebench.training.tasks.{FILES[kind]}")
    settings = module.SETTINGS if kind in registry.KINDS else module.ClassifierSettings
    with_what_people_give(content, settings)
    check(settings, content, name)


def with_what_people_give(content: dict[str, Any], settings: Any) -> None:
    for key in ("data", "checkpoint"):
        if key in settings.model_fields and settings.model_fields[key].is_required():
            content.setdefault(key, "given")
    for value in content.values():
        if isinstance(value, dict) and value.get("kind") in ("folder", "benchmark"):
            value.setdefault("path", "given")


def test_data_of_another_kind_leaves_no_keys_of_the_one_before() -> None:
    wanted = {"kind": "folder", "path": "faces"}
    assert read("diffae-64-synthface", ["data.kind=folder", "data.path=faces"])["data"] == wanted
    assert read("diffae-64-synthface", ["data.path=faces", "data.kind=folder"])["data"] == wanted
    assert read("diffae-64-synthface", ["data.identities=3"])["data"]["images"] == 12
    kept = read("diffae-64-synthface", ["optimiser.kind=adamw"])["optimiser"]
    assert kept["learning_rate"] == read("diffae-64-synthface")["optimiser"]["learning_rate"]


def test_the_personal_preset_is_the_small_autoencoder_with_adapters() -> None:
    personal, base = read("diffae-64-personal"), read("diffae-64-synthface")
    assert personal["model"] == base["model"]
    assert personal["init_from"] == "diffae-64-synthface"
    assert personal["data"] == {"kind": "folder", "path": "person"}
    assert personal["lora"]["rank"] == 8
    # What the long training needs, a short one from its result does not.
    assert personal["encoder"] is None


def test_a_folder_that_is_called_like_a_preset_does_not_hide_it(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "diffae-64-synthface").mkdir()
    monkeypatch.chdir(tmp_path)
    assert read("diffae-64-synthface")["train"] == "compact-autoencoder"
