"""Progress without a terminal: one line a minute with the time left."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from facebench.cli import progress
from facebench.cli.progress import Stages


def test_a_batch_job_prints_the_time_left_once_a_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    with Stages(Console(file=io.StringIO())) as stages:
        for second in range(121):
            now = float(second)
            stages.update("generated", second * 10, 100_000)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["generated: 610 of 100,000, 166 min left, 10.0 per second"]


def test_short_stages_print_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Stages(Console(file=io.StringIO())) as stages:
        stages.update("generated", 0, 10)
        stages.update("generated", 10, 10)
    assert capsys.readouterr().err == ""
