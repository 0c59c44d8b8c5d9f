"""Opening of the page: the same random images on every call, and for all runs."""

from __future__ import annotations

from pathlib import Path

from facebench.report.galleries.opening import SHOWN, opening_strips
from tests.helpers.records import make_run
from tests.helpers.run_folders import make_report_run
from tests.helpers.transfer_runs import make_transfer_run


def test_every_run_shows_the_same_random_images(tmp_path: Path) -> None:
    runs = [make_report_run(tmp_path, "a"), make_report_run(tmp_path, "b", seed=1)]
    strips = opening_strips(runs)
    assert [(strip.role, strip.run) for strip in strips] == [("generated", 0), ("generated", 1)]
    names = [[image.name for image in strip.images] for strip in strips]
    assert names[0] == names[1]
    assert len(names[0]) == SHOWN
    assert opening_strips(runs) == strips


def test_edits_are_shown_in_the_order_of_the_edit(tmp_path: Path) -> None:
    runs = [make_transfer_run(tmp_path, "a"), make_transfer_run(tmp_path, "b", seed=1)]
    strips = opening_strips(runs)
    assert [strip.role for strip in strips] == ["source", "generated", "generated", "target"]
    assert {len(strip.images) for strip in strips} == {SHOWN}


def test_a_record_alone_has_no_strip() -> None:
    assert opening_strips([make_run("ours", fd_lite0=1.0)]) == []
