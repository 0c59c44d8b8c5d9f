"""tools/study_grid.py on a grid of two untrained models: complete output, and no repeated work."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from facebench.cli.entry_point import run_command
from facebench.studies.grid import Machines, run_grid
from facebench.training.engine import loop
from tests.studies.grid.test_run import FACES, GRID, STUDIES
from tests.training.tasks.test_rig import SMALL

SIZES = {"model": SMALL["model"] | {"predicts": "change"}}
SETS = {
    "a": {"synth": FACES},
    "b": {"synth": {**FACES, "seed": 1}},
    "held-out": {"synth": {**FACES, "seed": 2}},
}


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The tool with a finished grid."""
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SMALL | SIZES))
    path = tmp_path / "grid.yaml"
    who = {"source": "held-out", "target": "held-out", "pairs": 12, "steps": 1}
    path.write_text(yaml.safe_dump(GRID | {"sets": SETS, "transfer": who, "compare": ["face_found"]}))
    run_grid(path, tmp_path / "grid", Machines(runner=run_command))
    monkeypatch.syspath_prepend(str(STUDIES.parent / "tools"))
    words = ["--file", path, "--grid", tmp_path / "grid", "--out", tmp_path / "out", "--model", "a-synthface-18",
             "--rows", 0, 1, "--changes", "steps=1"]  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["study_grid", *map(str, words)])
    return importlib.import_module("study_grid")


def test_the_page_of_a_grid_can_be_made_again(
    study: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study.main()
    printed = capsys.readouterr().out
    for words in (
        "| the renderer |",
        "| the rendered buffer |",
        "data: b − a",
        "identity=id000",
        "own album − other album",
    ):
        assert words in printed
    assert (tmp_path / "out" / "expression-transfer-grid.png").stat().st_size > 0
    for place in ("study_grid.facebench.evaluate", "study_grid.write_faces", "study_grid.write_buffers"):
        monkeypatch.setattr(place, None)
    monkeypatch.setattr(loop, "fit", None)
    study.main()
    assert printed in capsys.readouterr().out
