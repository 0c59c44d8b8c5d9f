from __future__ import annotations

from pathlib import Path

import pytest

import facebench
from facebench import synthface
from facebench.evaluation.leave_out import COLUMNS
from facebench.evaluation.record import Run
from facebench.evaluation.record_reading import load_run


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("units") / "people"
    synthface.write(folder, identities=6, images=5, size=64, seed=3)
    return folder


def measure(folder: Path, **options: object) -> Run:
    return facebench.evaluate(
        folder, protocol="quality", suite="compact", metrics=("face_quality_sface",), **options
    )


def test_images_of_people_are_resampled_by_person(people: Path) -> None:
    result = measure(people).metrics["face_quality_sface"]
    assert (result.resampled, result.generalises_to, result.units) == ("identity", "new people", 6)
    assert "6 identities, below 50" in result.note


def test_the_unit_can_be_chosen(people: Path) -> None:
    result = measure(people, unit="image").metrics["face_quality_sface"]
    assert (result.resampled, result.units) == ("image", 30)
    assert result.generalises_to == "new images of the same 6 people"


def test_leave_out_values_are_kept_beside_the_record(people: Path, tmp_path: Path) -> None:
    run = measure(people)
    run.save(tmp_path)
    table = load_run(tmp_path).leave_out
    assert table is not None
    assert list(table.columns) == list(COLUMNS)
    rows = table[table["metric"] == "face_quality_sface"]
    assert len(rows) == 6
    assert rows["value"].mean() == pytest.approx(run.metrics["face_quality_sface"].value, rel=1e-9)
