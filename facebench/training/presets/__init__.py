"""Presets of training settings, YAML files, and `key=value` overrides, merged by OmegaConf."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from facebench.core.errors import InputError
from facebench.core.suggest import suggest
from facebench.core.yaml_text import parse_yaml
from facebench.training.tasks.registry import KINDS, current_kind, settings_class

KEYS_BY_KIND = ("data", "prior_data", "validation", "held_out")
"""Settings whose other keys depend on their key `kind`."""


def preset_names() -> list[str]:
    """List the presets that ship with facebench."""
    entries = resources.files("facebench.training.presets").iterdir()
    return sorted(entry.name.removesuffix(".yaml") for entry in entries if entry.name.endswith(".yaml"))


def read(config: str | Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Read a preset or a YAML file and apply overrides.

    Args:
        config: name of a preset, or path of a YAML file. A file may name the preset it extends as `preset`.
        overrides: such as "steps=100" or "optimizer.learning_rate=3e-4"; values are YAML.

    Returns:
        Plain values under the current keys; keys of older versions are replaced.

    Raises:
        InputError: the preset or file does not exist, or its text or an override is not valid.

    Example:
        >>> read("diffae-64-synthface", ["steps=10"])["steps"]
        10
    """
    merged: dict[str, Any] = {}
    for layer in [*_layers(str(config)), _parsed(overrides)]:
        kind = layer.get("train", merged.get("train"))
        if isinstance(kind, str) and kind in KINDS:
            layer["train"] = kind = current_kind(kind, layer)
        merged = _merged(merged, settings_class(kind).with_current_keys(layer))
    return merged


def _layers(config: str, extending: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Read a preset or file after the presets that it extends."""
    if config in extending:
        raise InputError(f"{config}: extends itself.")
    content = _content(config)
    base = content.pop("preset", None)
    return [*(_layers(str(base), (*extending, config)) if base is not None else []), content]


def _content(config: str) -> dict[str, Any]:
    path = Path(config)
    if path.suffix in (".yaml", ".yml") or path.is_file():  # a folder may have the name of a preset
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read ({error}).") from None
    else:
        names = preset_names()
        if str(config) not in names:
            raise InputError(f"'{config}' is not a preset. {suggest(str(config), names)}")
        text = resources.files("facebench.training.presets").joinpath(f"{config}.yaml").read_text("utf-8")
    try:
        if not isinstance(parse_yaml(text), dict):
            raise InputError(f"{config}: settings are a mapping of keys to values.")
        return _plain(OmegaConf.create(text))
    except (ValueError, OmegaConfBaseException) as error:
        raise InputError(f"{config}: is not YAML ({str(error).splitlines()[0]}).") from None


def _parsed(overrides: Sequence[str]) -> dict[str, Any]:
    for override in overrides:
        key, equals, _ = override.partition("=")
        if not equals or not key:
            raise InputError(f"'{override}' is not an override. Write key=value, such as steps=100.")
        try:
            OmegaConf.from_dotlist([override])
        except (yaml.YAMLError, OmegaConfBaseException):
            raise InputError(f"'{override}': the value is not YAML.") from None
    return _plain(OmegaConf.from_dotlist(list(overrides)))


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge nested mappings; data of another kind replaces the data of the base instead."""
    kept = {key: value for key, value in base.items() if not _is_replaced(key, value, over.get(key))}
    merged = OmegaConf.merge(OmegaConf.create(kept), OmegaConf.create(dict(over)))
    return _plain(merged)


def _is_replaced(key: str, base: Any, over: Any) -> bool:
    kinds = [value.get("kind") if isinstance(value, Mapping) else None for value in (base, over)]
    return key in KEYS_BY_KIND and None not in kinds and kinds[0] != kinds[1]


def _plain(config: Any) -> dict[str, Any]:
    container: Any = OmegaConf.to_container(config)
    return dict(container)
