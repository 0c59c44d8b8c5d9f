"""The wheel is complete: it works without the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.helpers.paths import REPOSITORY

ROOT = REPOSITORY


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python with facebench from its wheel, and its dependencies from this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-q",
        "-w",
        str(folder),
        str(ROOT),
    ]
    subprocess.run(build, check=True, cwd=folder)
    venv.create(folder / "venv", with_pip=False)
    site = next((folder / "venv" / "lib").glob("python*")) / "site-packages"
    wheel = next(folder.glob("facebench-*.whl"))
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(wheel), str(site)], check=True)
    # On the path after the wheel; its .pth files, and so the editable install, are not processed.
    (site / "libraries.pth").write_text(sysconfig.get_paths()["purelib"])
    return folder / "venv" / "bin" / "python"


def run(python: Path, *arguments: object, cwd: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    command = [str(python), "-m", "facebench", *map(str, arguments)]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=cwd, env=environment
    ).stdout


def test_a_wheel_finds_cards_protocols_the_head_and_compact_weights(python: Path, tmp_path: Path) -> None:
    where = [str(python), "-c", "import facebench; print(facebench.__file__)"]
    assert (
        str(ROOT)
        not in subprocess.run(where, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    )
    run(python, "synth", "faces", "--identities", 2, "--images", 4, "--size", 96, cwd=tmp_path)
    printed = run(
        python, "evaluate", "faces", "--reference", "faces", "--suite", "compact", "--json", cwd=tmp_path
    )
    record = json.loads(printed)
    assert record["metrics"]["face_found"]["value"] == 1.0
    assert record["metrics"]["fd_lite0"]["value"] == pytest.approx(0, abs=1e-3)
    assert all(backbone["verified"] for backbone in record["backbones"].values())
