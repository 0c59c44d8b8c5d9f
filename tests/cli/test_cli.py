"""The command line as people use it: real folders, real output, exit codes that mean something."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from facebench import __version__, cli
from tests.helpers.records import make_run


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Done]


@pytest.fixture
def facebench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command line from its arguments to its exit code."""

    def run(*arguments: object, cwd: Path | None = None) -> Done:
        monkeypatch.setattr(sys, "argv", ["facebench", *map(str, arguments)])
        if cwd is not None:
            monkeypatch.chdir(cwd)
        capsys.readouterr()
        try:
            cli.main()
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        printed = capsys.readouterr()
        return Done(code, printed.out, printed.err)

    return run


def test_help_names_every_command_and_loads_no_heavy_library() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "facebench", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for name in (
        "evaluate",
        "leaderboard",
        "metrics",
        "protocols",
        "doctor",
        "synth",
        "degrade",
        "weights",
        "store",
    ):
        assert name in done.stdout
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert loaded.isdisjoint({"torch", "numpy", "pandas", "cv2", "scipy", "matplotlib", "onnxruntime"})


def test_version(facebench: Command) -> None:
    assert facebench("--version").stdout.strip() == f"facebench {__version__}"


def test_evaluate_prints_a_table_and_writes_a_record(
    facebench: Command, faces: Path, other_faces: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    done = facebench(
        "evaluate", faces, "--reference", other_faces, "--metrics", "fd_lite0,face_found", "--out", out
    )
    assert done.returncode == 0, done.stderr
    assert "fd_lite0" in done.stdout
    assert "60 / 60" in done.stdout
    record = json.loads((out / "record.json").read_text(encoding="utf-8"))
    assert record["metrics"]["face_found"]["value"] == 1.0
    assert (out / "per_image.parquet").is_file()


def test_json_is_the_record_and_nothing_else(facebench: Command, faces: Path, tmp_path: Path) -> None:
    done = facebench("evaluate", faces, "--metrics", "vendi_lite0", "--json", "--out", tmp_path / "run")
    assert json.loads(done.stdout) == json.loads(
        (tmp_path / "run" / "record.json").read_text(encoding="utf-8")
    )


def test_the_record_lands_in_runs_by_default(facebench: Command, faces: Path, tmp_path: Path) -> None:
    done = facebench("evaluate", faces, "--metrics", "vendi_lite0", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "faces-quality" / "record.json").is_file()


def test_auto_says_which_suite_it_took_and_how_to_get_the_other(
    facebench: Command, faces: Path, tmp_path: Path
) -> None:
    done = facebench("evaluate", faces, "--protocol", "edit", "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "suite compact" in said
    assert "facebench weights fetch --suite paper" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "no/such/folder"], "no/such/folder"),
        (["evaluate", ".", "--protocol", "qualty"], "Did you mean quality"),
        (["evaluate", ".", "--metrics", "fid_klean"], "Did you mean fid_clean"),
        (["evaluate", "."], "No image in"),
        (["evaluate", ".", "--device", "tpu"], "tpu"),
        (["leaderboard", "nothing"], "nothing"),
        (["metrics", "fd_lite"], "fd_lite0"),
        (["protocols", "qualty"], "quality"),
        (["synth", "."], "empty"),
        (["degrade", "nowhere", "out", "--kind", "blur"], "nowhere"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    facebench: Command, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "notes.txt").write_text("not an image")
    done = facebench(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_device_that_is_not_there_says_so(facebench: Command, faces: Path, tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    done = facebench("evaluate", faces, "--metrics", "vendi_lite0", "--device", "cuda", "--out", tmp_path)
    assert done.returncode == 2
    assert "cuda" in done.stderr
    assert "Traceback" not in done.stderr


def test_leaderboard_writes_four_formats(facebench: Command, tmp_path: Path) -> None:
    for name, value in (("good", 1.0), ("bad", 5.0)):
        make_run(name, fd_lite0=value).save(tmp_path / name)
    files = {kind: tmp_path / f"board.{kind}" for kind in ("csv", "html", "latex", "markdown")}
    options = [part for kind, file in files.items() for part in (f"--{kind}", file)]
    done = facebench("leaderboard", tmp_path / "good", tmp_path / "bad" / "record.json", *options)
    assert done.returncode == 0, done.stderr
    assert all(file.stat().st_size > 100 for file in files.values())
    assert r"\textbf{1.00}" in files["latex"].read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "command", [["metrics"], ["metrics", "fid_clean"], ["protocols"], ["protocols", "identity"], ["doctor"]]
)
def test_what_there_is_can_be_listed(facebench: Command, command: list[str]) -> None:
    done = facebench(*command)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) > 200


def test_synth_gives_the_same_bytes_for_the_same_seed(facebench: Command, tmp_path: Path) -> None:
    for name in ("one", "two"):
        done = facebench(
            "synth", tmp_path / name, "--identities", 2, "--images", 2, "--size", 64, "--seed", 7
        )
        assert done.returncode == 0, done.stderr
    first, second = (
        {p.name: p.read_bytes() for p in (tmp_path / n / "images" / "id001").iterdir()}
        for n in ("one", "two")
    )
    assert first == second
