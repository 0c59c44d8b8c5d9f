"""`facebench leaderboard`: boards of records in four formats."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Command
from tests.helpers.records import make_run


def test_leaderboard_writes_four_formats(facebench: Command, tmp_path: Path) -> None:
    for name, value in (("good", 1.0), ("bad", 5.0)):
        make_run(name, fd_lite0=value).save(tmp_path / name)
    files = {kind: tmp_path / f"board.{kind}" for kind in ("csv", "html", "latex", "markdown")}
    options = [part for kind, file in files.items() for part in (f"--{kind}", file)]
    done = facebench("leaderboard", tmp_path / "good", tmp_path / "bad" / "record.json", *options)
    assert done.returncode == 0, done.stderr
    assert all(file.stat().st_size > 100 for file in files.values())
    assert r"\textbf{1.00}" in files["latex"].read_text(encoding="utf-8")
