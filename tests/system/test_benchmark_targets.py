"""benchmarks/targets.py: verdicts of the table, and a small run of three groups."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import targets


def test_a_target_is_a_least_ratio_or_a_most_time() -> None:
    assert targets.Row("speed", 3.0, "times", 2.8).met
    assert not targets.Row("speed", 2.0, "times", 2.8).met
    assert targets.Row("time", 2.0, "s", 2.5, least=False).met
    assert targets.Row("cost", 2.0, "s").met is None


def test_results_of_groups_that_are_not_measured_again_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "targets.json"
    monkeypatch.setenv("COLUMNS", "200")
    for group in ("resize", "precision-recall", "networks"):
        words = ["targets.py", "--only", group, "--scale", "0.01", "--out", str(out)]
        monkeypatch.setattr(sys, "argv", words)
        targets.main()
    content = json.loads(out.read_text(encoding="utf-8"))
    assert list(content["groups"]) == ["resize", "precision-recall", "networks"]
    assert content["machine"]["cores"] >= 1
    assert "resize and scaling of clean-fid" in capsys.readouterr().out
