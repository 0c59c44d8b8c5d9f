"""The registry of training tasks: kinds, and settings that belong to another kind."""

from __future__ import annotations

from typing import Any

import pytest

from facebench.core.errors import InputError
from facebench.training.presets import preset_names, read
from facebench.training.tasks import registry
from facebench.training.tasks.compact_autoencoder import CompactAutoencoderTask
from facebench.training.tasks.diffae import DiffAETask, describes_compact
from tests.helpers.tiny_training import COMPACT_MODEL, MODEL, SYNTHFACE, prepare


@pytest.mark.parametrize("name", preset_names())
def test_presets_have_a_known_kind(name: str) -> None:
    assert registry.known(read(name)["train"])


def test_an_unknown_kind_is_refused_with_a_suggestion() -> None:
    with pytest.raises(InputError, match=r"'diffea' is not a kind of training\. Did you mean diffae"):
        registry.known("diffea")


def test_settings_of_another_kind_are_refused() -> None:
    with pytest.raises(InputError, match=r"holds settings of the kind 'ddim'\. Use: facebench train ddim"):
        registry.prepare("diffae", {"train": "ddim"}, "test")


def test_presets_of_the_compact_networks_are_accepted_under_their_former_kind() -> None:
    settings: dict[str, Any] = {"model": COMPACT_MODEL, "data": SYNTHFACE, "train": "compact-autoencoder"}
    assert isinstance(prepare("diffae", **settings).task, CompactAutoencoderTask)


def test_settings_of_diffae_in_older_versions_are_read() -> None:
    model = {**MODEL, "groups": 32, "encoder_norm": "group", "code_shift": False, "patch": 1, "positions": False,
             "predicts": "eps", "draft": False, "refines": False}  # fmt: skip
    top = {"encoder": None, "freeze_encoder": False, "weighting": "simple", "focus": 1.0, "shown": 3}
    task = prepare("diffae", model=model, data=SYNTHFACE, **top).task
    assert isinstance(task, DiffAETask)
    assert task.settings.preview_images == 3


@pytest.mark.parametrize(
    ("content", "compact"),
    [
        ({"model": MODEL}, False),
        ({"model": {**MODEL, "patch": 1}, "focus": 1.0}, False),
        ({"model": {**MODEL, "patch": 2}}, True),
        ({"model": MODEL, "focus": 4.0}, True),
        ({"model": MODEL, "encoder": "runs/encoder"}, True),
    ],
)
def test_former_settings_of_diffae_describe_a_compact_autoencoder_if_they_use_its_options(
    content: dict[str, Any], compact: bool
) -> None:
    assert describes_compact(content) is compact
