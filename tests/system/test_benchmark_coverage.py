"""A small run of benchmarks/coverage.py: intervals hold where people have several images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.coverage import Coverage, designs, run, table


@pytest.mark.parametrize("design", ["mean, 20 people × 21, ICC 0.3", "mean, 20 sources × 20 targets"])
def test_intervals_hold_for_new_people_and_new_targets(design: str, tmp_path: Path) -> None:
    results = run(60, design, tmp_path / "coverage.json")
    assert [each.design for each in results] == [design]
    assert 0.85 <= results[0].coverage <= 1.0
    assert results[0].marked == 1.0, "fewer than 50 people are marked"


def test_a_finished_design_is_not_simulated_again(tmp_path: Path) -> None:
    file = tmp_path / "coverage.json"
    kept = Coverage(next(designs()).name, "mean", 0.0, 0.5, 0.1, 1.0, 0.0, 300)
    file.write_text(json.dumps([kept.__dict__]))
    assert run(300, kept.design, file) == [kept]
    assert table([kept]).row_count == 1
