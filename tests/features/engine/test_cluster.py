"""A cluster of two workers gives the results of one process, also if one worker is killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from facebench.core.errors import InputError
from facebench.features.engine.cluster import open_cluster
from tests.helpers.paths import GOLDENS_FOLDER, REPOSITORY

GOLDEN = GOLDENS_FOLDER / "images" / "a"


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, object], Path]:
    """Run a local extraction and a cluster of two workers on the same folder."""
    pytest.importorskip("ray")
    folder, work = tmp_path_factory.mktemp("faces"), tmp_path_factory.mktemp("work")
    for file in GOLDEN.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    first = sorted(GOLDEN.iterdir())[0]
    (folder / "copy.png").write_bytes(first.read_bytes())
    (folder / "cut.png").write_bytes(first.read_bytes()[:3000])
    Pillow.new("RGB", (90, 70), (30, 90, 30)).save(folder / "meadow.png")
    command = [sys.executable, "-m", "tests.helpers.ray_cluster", folder, work]
    root = REPOSITORY
    result = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=200, cwd=root)
    return json.loads(result.stdout.splitlines()[-1]), work


def content(path: Path) -> dict[str, object]:
    with np.load(path) as file:
        arrays = {name: file[name].tobytes() for name in file.files}
    return arrays | json.loads(path.with_suffix(".json").read_text())  # type: ignore[no-any-return]


def test_two_workers_give_the_results_of_one_process_bit_for_bit(
    outcomes: tuple[dict[str, object], Path],
) -> None:
    report, work = outcomes
    local = content(work / "local.npz")
    assert report["workers"] == 2
    assert report["warnings"] == []
    assert [one[1] for one in local["rejected"]] == ["truncated", "no_face"]  # type: ignore[attr-defined]
    assert content(work / "cluster.npz") == local


def test_a_killed_worker_does_not_change_the_results(outcomes: tuple[dict[str, object], Path]) -> None:
    report, work = outcomes
    assert report["killed"] == 1
    assert report["warnings_after_loss"] == [
        "A worker of the Ray cluster was lost; its images were computed again."
    ]
    assert content(work / "lost.npz") == content(work / "local.npz")


def test_results_of_a_cluster_are_stored(outcomes: tuple[dict[str, object], Path]) -> None:
    report, work = outcomes
    assert report["computed_when_warm"] == []
    assert content(work / "warm.npz") == content(work / "local.npz")


def test_without_ray_the_error_names_the_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install facebench\[ray\]"):
        open_cluster("ray", [], "cpu", None)


def test_an_address_without_a_cluster_is_named() -> None:
    pytest.importorskip("ray")
    with pytest.raises(InputError, match=r"No Ray cluster answers at 'auto'.*ray start --head"):
        open_cluster("ray", [], "cpu", "auto")


@pytest.mark.parametrize(
    ("engine", "address", "words"), [("dask", None, "local, ray"), ("local", "auto", "Add --engine ray")]
)
def test_an_unknown_engine_is_rejected(engine: str, address: str | None, words: str) -> None:
    with pytest.raises(InputError, match=words):
        open_cluster(engine, [], "cpu", address)
