"""Commands that fit a folder: each names a protocol that its images allow."""

from __future__ import annotations

from pathlib import Path

import pytest

from facebench.core.errors import InputError
from facebench.evaluation.fitting_commands import fitting_commands
from tests.helpers.records import make_run

PNG = b"\x89PNG\r\n\x1a\n"
"""Beginning of a PNG file: listing reads no pixels."""


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(PNG + name.encode())


def words(path: Path) -> str:
    return "\n".join(command.words for command in fitting_commands(path).commands)


def test_a_flat_folder_gets_the_quality_protocol_and_the_real_faces_beside_it(tmp_path: Path) -> None:
    write(tmp_path, "samples/0.png", "samples/1.png", "real/0.png")
    fitting = fitting_commands(tmp_path / "samples")
    assert [command.words for command in fitting.commands] == [
        f"facebench evaluate {tmp_path}/samples --reference {tmp_path}/real"
    ]
    assert any("identity metrics" in remark for remark in fitting.remarks)


def test_folders_of_people_get_identity_and_leakage(tmp_path: Path) -> None:
    write(tmp_path, "samples/ann/0.png", "samples/ben/0.png")
    found = words(tmp_path / "samples")
    assert "--protocol identity" in found
    assert "--protocol leakage --reference REAL" in found


def test_a_manifest_with_sources_and_targets_gets_expression_transfer(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "s.png", "t.png")
    manifest = "image,source,target,strength,expression\na.png,s.png,t.png,0.5,happy\n"
    (tmp_path / "manifest.csv").write_text(manifest, encoding="utf-8")
    found = words(tmp_path)
    assert "--protocol expression-transfer" in found
    assert "--protocol edit-benchmark" in found
    assert "affect-accuracy" not in found


def test_a_folder_of_sets_is_evaluated_set_by_set(tmp_path: Path) -> None:
    write(tmp_path, "ours/0.png", "old/0.png", "ffhq/0.png")
    found = words(tmp_path)
    assert f"facebench evaluate {tmp_path}/old --reference {tmp_path}/ffhq" in found
    assert f"facebench evaluate {tmp_path}/ours --reference {tmp_path}/ffhq" in found


def test_a_folder_of_runs_gets_the_commands_about_runs(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_run(name, fd_lite0=1.0).save(tmp_path / name)
    found = words(tmp_path)
    assert f"facebench leaderboard {tmp_path}" in found
    assert f"facebench runs --compare {tmp_path}/a {tmp_path}/b" in found


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        fitting_commands(tmp_path)
