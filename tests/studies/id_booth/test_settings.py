"""Presets of the ID-Booth study."""

from __future__ import annotations

from pathlib import Path

import pytest

from facebench.core.errors import InputError
from facebench.studies.id_booth.settings import Defects, read_settings


def test_the_released_preset_repeats_the_script() -> None:
    settings = read_settings("id-booth-released")
    assert all(settings.defects.model_dump().values())
    draw = settings.draw
    assert (draw.scheduler, draw.steps, draw.guidance, draw.images) == ("ddpm", 30, 5.0, 21)
    assert (settings.size("sd"), settings.size("sdxl")) == (512, 1024)
    prior = settings.prior
    assert (prior.images, prior.scheduler, prior.steps, prior.guidance) == (200, "base", 50, 7.5)
    assert {"precision=fp16", "detector=mtcnn", "crop=box", "steps=6400"} <= set(settings.train.changes)
    assert settings.evaluate.protocol == "id-booth-released"


def test_defects_are_mended_one_by_one_or_all() -> None:
    mended = read_settings("id-booth-released", ["defects.trailing_comma=false"]).defects
    assert not mended.trailing_comma
    assert mended.last_embedding
    assert not any(read_settings("id-booth-released", released=False).defects.model_dump().values())
    assert read_settings("id-booth", released=True).defects == Defects(
        **dict.fromkeys(Defects.model_fields, True)
    )


@pytest.mark.parametrize(
    ("config", "changes", "message"),
    [
        ("idbooth", [], "'idbooth' is not a preset. Did you mean id-booth"),
        ("id-booth", ["draw.imags=3"], "'draw.imags' is not a key. Did you mean draw.images"),
        ("id-booth", ["draw.images=0"], "'draw.images' is 0"),
    ],
)
def test_wrong_settings_are_named(config: str, changes: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_settings(config, changes)


def test_a_file_extends_a_preset(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("extends: id-booth\npreset: mine\ndraw: {images: 5}\n")
    settings = read_settings(str(tmp_path / "my.yaml"))
    assert (settings.preset, settings.draw.images, settings.draw.steps) == ("mine", 5, 30)
