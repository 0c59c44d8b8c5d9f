"""Presets, YAML files and overrides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from facebench.core.errors import InputError
from facebench.training.engine.settings import Settings, check
from facebench.training.presets import preset_names, read
from facebench.training.tasks.registry import settings_class

FORMER = """
preset: diffae-64-synthface
batch: 4
accumulate: 2
average: 0.5
average_warm: false
keep: 7
optimiser: {clip: null, learning_rate: 1e-4}
data: {remember: false}
"""


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_valid_and_uses_current_keys(name: str) -> None:
    content = read(name)
    schema = settings_class(content.pop("train"))
    assert schema.with_current_keys(content) == content
    check(schema, _with_required_paths(content, schema), name)


def _with_required_paths(content: dict[str, Any], schema: type[Settings]) -> dict[str, Any]:
    for key in ("data", "checkpoint"):
        if key in schema.model_fields and schema.model_fields[key].is_required():
            content.setdefault(key, "given")
    for value in content.values():
        if isinstance(value, dict) and value.get("kind") in ("folder", "benchmark"):
            value.setdefault("path", "given")
    return content


def test_a_file_of_an_older_version_changes_the_preset_that_it_extends(tmp_path: Path) -> None:
    path = tmp_path / "old.yaml"
    path.write_text(FORMER)
    content, preset = read(path), read("diffae-64-synthface")
    expected = {
        "batch_size": 4,
        "gradient_accumulation": 2,
        "ema_decay": 0.5,
        "ema_warmup": False,
        "keep_checkpoints": 7,
        "optimizer": {**preset["optimizer"], "max_grad_norm": None, "learning_rate": 1e-4},
        "data": {**preset["data"], "cache_renders": False},
    }
    assert content == {**preset, **expected}


def test_a_compact_network_of_an_older_version_keeps_its_kind(tmp_path: Path) -> None:
    path = tmp_path / "old.yaml"
    path.write_text("train: rig\nmodel: {size: 64, patch: 2, predicts: change}\n")
    content = read(path, ["model.encoder=resnet18"])
    assert content["train"] == "compact-rig"
    assert content["model"] == {"size": 64, "patch": 2, "prediction_type": "change", "encoder": "resnet18"}


def test_overrides_may_use_former_keys() -> None:
    content = read(
        "diffae-64-synthface", ["batch_size=3", "optimizer.max_grad_norm=2.5", "data.cache_renders=false"]
    )
    assert content["batch_size"] == 3
    assert content["optimizer"]["max_grad_norm"] == 2.5
    assert content["data"]["cache_renders"] is False
    assert not {"batch", "optimiser"} & content.keys()


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-4", 1e-4), ("-3", -3), ("null", None), ("true", True), ("[8, 16]", [8, 16]), ("a=b", "a=b")],
)
def test_override_values_are_yaml(text: str, value: Any) -> None:
    content = read("diffae-64-synthface", [f"new.key={text}"])
    assert content["new"] == {"key": value}


def test_data_of_another_kind_replaces_the_keys_of_the_preset() -> None:
    expected = {"kind": "folder", "path": "faces"}
    assert read("diffae-64-synthface", ["data.kind=folder", "data.path=faces"])["data"] == expected
    assert read("diffae-64-synthface", ["data.path=faces", "data.kind=folder"])["data"] == expected
    assert read("diffae-64-synthface", ["data.identities=3"])["data"]["images"] == 12
    merged = read("diffae-64-synthface", ["optimizer.kind=adamw"])["optimizer"]
    assert merged["learning_rate"] == read("diffae-64-synthface")["optimizer"]["learning_rate"]


def test_the_personal_preset_fine_tunes_adapters_of_the_compact_autoencoder() -> None:
    personal, base = read("diffae-64-personal"), read("diffae-64-synthface")
    assert personal["model"] == base["model"]
    assert personal["init_from"] == "diffae-64-synthface"
    assert personal["data"] == {"kind": "folder", "path": "person"}
    assert personal["lora"]["rank"] == 8
    assert personal["encoder"] is None


def test_a_folder_with_the_name_of_a_preset_does_not_hide_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "diffae-64-synthface").mkdir()
    monkeypatch.chdir(tmp_path)
    assert read("diffae-64-synthface") == read("diffae-64-synthface", [])


@pytest.mark.parametrize(
    ("override", "message"),
    [("steps", "Write key=value"), ("=3", "Write key=value"), ("steps=[", "the value is not YAML")],
)
def test_overrides_that_cannot_be_parsed_are_refused(override: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read("diffae-64-synthface", [override])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "is not YAML"),
        ("steps: 1\nsteps: 2", "is not YAML"),
        ("- a", "settings are a mapping"),
        ("text\n", "settings are a mapping"),
        ("", "settings are a mapping"),
        ("preset: diffae-64-synthfase", "Did you mean diffae-64-synthface"),
    ],
)
def test_files_that_are_not_settings_are_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        read(tmp_path / "settings.yaml")


def test_an_unknown_preset_is_refused_with_a_suggestion() -> None:
    with pytest.raises(
        InputError, match=r"'difae-64-synthface' is not a preset. Did you mean .*diffae-64-synthface"
    ):
        read("difae-64-synthface")


def test_a_file_may_extend_a_preset_that_extends_another(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("preset: decoder-64-synthface\nsteps: 5\n")
    assert read(path) == {**read("decoder-64-synthface"), "steps": 5}


def test_a_file_that_extends_itself_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(f"preset: {path}\n")
    with pytest.raises(InputError, match="extends itself"):
        read(path)
