"""Data of the image browser: linked images, numbers, and what is embedded or written beside the page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from facebench.evaluation.record import Run
from facebench.report.galleries import browser
from facebench.report.galleries.browser import image_browser
from facebench.report.galleries.pairs import RunImages
from facebench.report.pages.texts import texts
from tests.helpers.run_folders import HOSTILE, make_report_run
from tests.helpers.transfer_runs import EXPRESSION, make_transfer_run

TEXT = texts("en")


def images(runs: list[Run]) -> dict[int, RunImages]:
    return {
        index: RunImages(run, run.per_image) for index, run in enumerate(runs) if run.per_image is not None
    }


def test_edits_stand_with_their_linked_images_and_the_change_of_affect(tmp_path: Path) -> None:
    run = make_transfer_run(tmp_path, "ours")
    found = image_browser([run], images([run]), TEXT)
    assert found is not None
    data = json.loads(found.json)
    entry = data["images"][0]
    assert [role for role, _, _ in entry["m"][0]["t"]] == ["source", "generated", "target"]
    assert len(entry["m"][0]["a"]) == 4
    assert data["columns"] == ["Person", "Expression"]
    assert EXPRESSION in {image["c"][1] for image in data["images"]}
    assert "Valence (MaxViT V/A)" in data["numbers"]
    assert (found.shown, found.total, found.in_folder) == (24, 24, False)


def test_runs_with_the_same_names_stand_side_by_side(tmp_path: Path) -> None:
    runs = [make_report_run(tmp_path, "a"), make_report_run(tmp_path, "b", seed=1)]
    found = image_browser(runs, images(runs), TEXT)
    assert found is not None
    assert {len(entry["m"]) for entry in found.data["images"]} == {2}
    assert len(found.data["images"]) == 40


def test_hostile_names_cannot_end_the_script(tmp_path: Path) -> None:
    run = make_report_run(tmp_path, "ours")
    found = image_browser([run], images([run]), TEXT)
    assert found is not None
    assert not set("<>&") & set(found.json)
    assert HOSTILE in {entry["n"] for entry in json.loads(found.json)["images"]}


def test_above_the_limit_thumbnails_are_files_or_a_sample_is_embedded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser, "SELF_CONTAINED", 10)
    run = make_report_run(tmp_path, "ours")
    inside = image_browser([run], images([run]), TEXT)
    assert inside is not None
    assert (inside.shown, inside.total) == (10, 40)
    beside = image_browser([run], images([run]), TEXT, tmp_path / "page")
    assert beside is not None
    assert (beside.shown, beside.in_folder) == (40, True)
    files = {f"thumbnails/{file.name}" for file in (tmp_path / "page" / "thumbnails").iterdir()}
    assert set(beside.data["thumbnails"]) == files


def test_without_any_image_at_hand_there_is_no_browser(tmp_path: Path) -> None:
    run = make_report_run(tmp_path, "ours")
    run.inputs["generated"].path = str(tmp_path / "gone")
    assert image_browser([run], images([run]), TEXT) is None
