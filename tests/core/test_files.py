"""Atomic replacement: old or new content, no temporary files left, no device replaced."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from facebench.core.errors import InputError
from facebench.core.files import atomic_path, atomic_write_text, check_regular, safe_file_name


def test_an_exception_keeps_the_old_content_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    target = tmp_path / "log.csv"
    target.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        atomic_write_text(target, "half, then a lone surrogate: \ud800")
    assert target.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["log.csv"]


def test_the_temporary_path_has_the_suffix_of_the_target(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "array.npz") as temporary:
        assert temporary.suffix == ".npz"
        temporary.write_bytes(b"x")


def test_the_temporary_file_of_a_killed_process_is_removed_by_the_next_write(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from facebench.core.files import atomic_path\n"
        "with atomic_path(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    target = tmp_path / "record.json"
    killed = subprocess.run([sys.executable, "-c", code, str(target)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 1
    atomic_write_text(target, "whole")
    assert [entry.name for entry in tmp_path.iterdir()] == ["record.json"]


def test_the_temporary_file_of_a_running_process_stays(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a.txt") as first:
        first.write_text("a")
        atomic_write_text(tmp_path / "b.txt", "b")
    assert (tmp_path / "a.txt").read_text() == "a"


@pytest.mark.skipif(os.name == "nt", reason="named pipes of POSIX")
def test_a_pipe_or_a_folder_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(InputError, match="not a regular file"):
            atomic_write_text(tmp_path / name, "text")


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to(tmp_path / "real.txt")
    atomic_write_text(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


@pytest.mark.parametrize(
    "text",
    ["../../escaped", "/etc/passwd", "a\\b", "..", "", "x" * 500, "é" * 300, "a\n\x1b[31m", "\ud800", "CON:"],
)
def test_a_safe_file_name_is_one_name_inside_its_folder(tmp_path: Path, text: str) -> None:
    name = safe_file_name(text)
    (tmp_path / name).write_text("x")
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_many_writes_to_one_folder_scan_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scans: list[object] = []
    scan = os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: scans.append(folder) or scan(folder))
    for number in range(20):
        atomic_write_text(tmp_path / f"{number}.txt", "x")
    assert len(scans) == 1


def test_a_pipe_is_not_read_because_reading_may_never_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="pipe is not a regular file and is not read"):
        check_regular(tmp_path / "pipe")
    check_regular(tmp_path)
    check_regular(tmp_path / "missing")


@pytest.mark.parametrize("words", [("grid",), ("networks", "add"), ("validate", "--against")])
def test_commands_refuse_a_pipe_without_a_writer(tmp_path: Path, words: tuple[str, ...]) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    command = [sys.executable, "-m", "facebench", *words, str(tmp_path / "pipe.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
