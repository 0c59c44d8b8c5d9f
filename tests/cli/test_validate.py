"""`facebench validate`: the option of damages and its old name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Command


@pytest.mark.parametrize("option", ["--damages", "--kinds"])
def test_damages_are_selected_by_name(facebench: Command, tmp_path: Path, option: str) -> None:
    done = facebench("validate", option, "blurr", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "Did you mean blur" in done.stderr
    assert not (tmp_path / "out").exists()


def test_help_shows_only_the_new_name(facebench: Command) -> None:
    text = facebench("validate", "--help").stdout
    assert "--damages" in text
    assert "--kinds" not in text
