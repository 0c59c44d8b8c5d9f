"""Base of network configurations, which are part of settings files and of model headers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import AliasChoices, ConfigDict, model_validator

from facebench.training.engine.settings import Settings


class VersionedSettings(Settings):
    """Settings that read the keys of older versions.

    A renamed key lists its former names as `AliasChoices`. If a mapping holds several names of one key, the last one
    wins, because overrides follow the values that they override.
    """

    model_config = ConfigDict(populate_by_name=True)

    REMOVED: ClassVar[Mapping[str, Any]] = {}
    """Keys that this version removed, with the only value that still has a meaning; other values are errors."""

    @model_validator(mode="before")
    @classmethod
    def _read_former_keys(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        current = {former: name for name in cls.model_fields for former in cls.former_names(name)}
        renamed: dict[str, Any] = {}
        for key, value in values.items():
            if key in cls.REMOVED and value == cls.REMOVED[key]:
                continue
            name = current[key] if key in current else key  # noqa: SIM401 - mypy infers None from `get`
            renamed[name] = value
        return renamed

    @classmethod
    def uses_removed_keys(cls, values: Mapping[str, Any]) -> bool:
        """Whether a removed key has a value that this version cannot express."""
        return any(values.get(key, meaningful) != meaningful for key, meaningful in cls.REMOVED.items())

    @classmethod
    def former_names(cls, name: str) -> tuple[str, ...]:
        """Names that a key had in older versions."""
        alias = cls.model_fields[name].validation_alias
        if not isinstance(alias, AliasChoices):
            return ()
        return tuple(choice for choice in alias.choices if isinstance(choice, str) and choice != name)


class NetworkConfig(VersionedSettings):
    """Base of network configurations."""
