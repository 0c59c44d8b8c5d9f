"""Images of several runs that belong together."""

from __future__ import annotations

from pathlib import Path

from facebench.report.galleries.matching import matching_keys
from facebench.report.galleries.pairs import RunImages
from tests.helpers.transfer_runs import make_transfer_run


def test_edits_with_other_names_are_matched_by_source_and_target(tmp_path: Path) -> None:
    runs = [make_transfer_run(tmp_path, name) for name in ("a", "b")]
    tables = [run.per_image for run in runs]
    assert tables[0] is not None
    assert tables[1] is not None
    renamed = tables[1].assign(
        image=[
            f"x/{name}" if role == "generated" else name
            for name, role in zip(tables[1]["image"], tables[1]["role"], strict=True)
        ]
    )
    keys = matching_keys({0: RunImages(runs[0], tables[0]), 1: RunImages(runs[1], renamed)})
    assert set(keys[0]) == set(keys[1])
    assert all(keys[1][key] == f"x/{name}" for key, name in keys[0].items())


def test_the_same_names_match(tmp_path: Path) -> None:
    runs = [make_transfer_run(tmp_path, name) for name in ("a", "b")]
    keys = matching_keys({index: RunImages(run, run.per_image) for index, run in enumerate(runs)})  # type: ignore[arg-type]
    assert keys[0] == keys[1]
    assert all(key == name for key, name in keys[0].items())
