"""`facebench pick` on a saved run."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Command
from tests.compare.test_pick import COLUMN, run_of


def test_pick_writes_a_manifest_and_names_the_next_command(facebench: Command, tmp_path: Path) -> None:
    run_of(tmp_path / "data").save(tmp_path / "run")
    done = facebench(
        "pick", tmp_path / "run", tmp_path / "out", "--by", COLUMN, "--group", "identity", "--highest"
    )
    assert done.returncode == 0, done.stderr
    assert "2 images of 2 groups" in done.stdout
    assert "facebench evaluate" in done.stdout
    assert (tmp_path / "out" / "manifest.csv").is_file()


def test_pick_reports_bad_options_in_one_line(facebench: Command, tmp_path: Path) -> None:
    run_of(tmp_path / "data").save(tmp_path / "run")
    both = facebench("pick", tmp_path / "run", tmp_path / "out", "--by", COLUMN, "--highest", "--lowest")
    assert both.returncode == 2
    assert "exclude each other" in both.stderr
    unknown = facebench("pick", tmp_path / "run", tmp_path / "out", "--by", "nothing")
    assert unknown.returncode == 2
    assert "no metric or per-image column 'nothing'" in unknown.stderr
