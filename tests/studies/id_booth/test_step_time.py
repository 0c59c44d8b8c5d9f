"""Time of one step of a base model."""

from __future__ import annotations

from pathlib import Path

import pytest

from facebench.studies.id_booth import step_time as module
from facebench.studies.id_booth.bases import BaseModel, read_bases
from facebench.studies.id_booth.step_time import step_time
from tests.helpers.diffusion_bases import base_model


@pytest.mark.parametrize("kind", ["sd", "sdxl"])
def test_a_step_is_measured_once(kind: str, tmp_path: Path) -> None:
    (base,) = read_bases([str(base_model(tmp_path / kind, kind))])
    cache_file = tmp_path / "times" / "times.json"
    first = step_time(base, 64, cache_file)
    assert first.source == "measured"
    assert 0 < first.unet < 10
    assert min(first.training, first.decoder) > 0
    assert step_time(base, 64, cache_file) == first
    assert step_time(base, 128, cache_file) != first


def test_an_absent_base_model_and_a_long_measurement_are_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = step_time(BaseModel("nowhere", "sd", "SD-2.1", "not here"), 512, tmp_path / "times.json")
    assert absent.source == "computed: the base model is not on this machine"
    assert absent.training == pytest.approx(3 * absent.unet)
    (base,) = read_bases([str(base_model(tmp_path / "sd", "sd"))])
    monkeypatch.setattr(module, "LONGEST", 0.0)
    assert step_time(base, 64, tmp_path / "times.json").source.startswith(
        "computed: a measurement would take"
    )
