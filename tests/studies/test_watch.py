"""`facebench watch` evaluates checkpoints that appear, and keeps the best."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from facebench.cli import run_command
from facebench.core.errors import InputError
from facebench.evaluation.record_reading import load_run
from facebench.studies.watch import Watch, watch

SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from PIL import Image
checkpoint, faces, out = map(Path, sys.argv[1:4])
noise = float(checkpoint.read_text())
rng = np.random.default_rng(0)
for path in sorted(faces.rglob("*.png"))[:24]:
    pixels = np.asarray(Image.open(path).convert("RGB").resize((64, 64)), float) + noise * rng.normal(size=(64, 64, 3))
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(out / f"{path.parent.name}-{path.name}")
"""


def checkpoint(folder: Path, name: str, text: str, age: float = 60) -> None:
    (folder / name).write_text(text)
    changed = time.time() - age
    os.utime(folder / name, (changed, changed))


@pytest.fixture
def settings(tmp_path: Path, faces: Path) -> Watch:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "sample.py").write_text(SCRIPT)
    command = f"'{sys.executable}' '{tmp_path / 'sample.py'}' {{checkpoint}} '{faces}' {{out}}"
    options: dict[str, Any] = {"reference": faces, "metrics": "fd_lite0,face_found"}
    return Watch(tmp_path / "checkpoints", command, tmp_path / "runs", options, "*.pt")


def test_checkpoints_are_evaluated_once_and_the_best_is_kept(settings: Watch) -> None:
    checkpoint(settings.checkpoints, "1.pt", "80")
    checkpoint(settings.checkpoints, "2.pt", "broken")
    checkpoint(settings.checkpoints, "notes.md", "1")
    lines: list[str] = []
    (first,) = watch(settings, once=True, on_message=lines.append)
    assert (first.checkpoint.name, first.judged.is_new) == ("1.pt", True)
    assert lines == [f"2.pt is left out: the command ended with code 1: {lines[0].partition('code 1: ')[2]}"]
    checkpoint(settings.checkpoints, "2.pt", "3")
    checkpoint(settings.checkpoints, "3.pt", "0", age=-3600)  # still being written
    (second,) = watch(settings, once=True)
    assert (second.checkpoint.name, second.judged.is_new) == ("2.pt", True)
    assert json.loads((settings.out / "best.json").read_text())["run"] == "2.pt"
    assert load_run(settings.out / "2.pt").name == "2.pt"
    assert list(watch(settings, once=True)) == []


def test_the_command_line_prints_one_line_for_each(
    settings: Watch, faces: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint(settings.checkpoints, "1.pt", "9")
    words = ["watch", str(settings.checkpoints), "--sample", settings.command, "--out", str(settings.out)]
    words += ["--reference", str(faces), "--metrics", "fd_lite0", "--pattern", "*.pt", "--once"]
    assert run_command(words) == 0
    printed = capsys.readouterr().out
    assert "1.pt: best, the first run with a value" in printed
    assert "evaluated 1 checkpoints" in printed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"command": "python sample.py {checkpoint}"}, "lacks {out}"),
        ({"command": "python 'sample.py {checkpoint} {out}"}, "cannot be read"),
        ({"checkpoints": Path("missing")}, "does not exist"),
        ({"options": {"suit": "compact"}}, "'suit' is not an option"),
    ],
)
def test_wrong_options_are_one_line(settings: Watch, change: dict[str, Any], message: str) -> None:
    given = {name: getattr(settings, name) for name in Watch.__dataclass_fields__}
    with pytest.raises(InputError, match=message) as caught:
        Watch(**{**given, **change})
    assert "\n" not in str(caught.value)
