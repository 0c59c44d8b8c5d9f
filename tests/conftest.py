"""Shared fixtures: rendered faces and a temporary cache; and the marker of each folder."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from facebench import synthface
from facebench.synthface.degradations import degrade
from tests.helpers.paths import REPOSITORY

if TYPE_CHECKING:
    from playwright.sync_api import Browser

MARKERS = {
    "tests/training/tasks": "slow",
    "tests/training/engine": "slow",
    "tests/training/editing": "slow",
    "tests/training/losses/test_identity_losses.py": "slow",
    "tests/training/models/test_lora.py": "slow",
    "tests/training/models/test_official.py": "slow",
    "tests/training/rig": "slow",
    "tests/studies": "slow",
    "tests/cli/test_train": "slow",
    "tests/cli/test_edit": "slow",
    "tests/cli/test_evaluate_weights.py": "slow",
    "tests/evaluation/test_inputs_sources.py": "slow",
    "tests/evaluation/test_statistics.py": "slow",
    "tests/evaluation/test_reference_files.py": "slow",
    "tests/evaluation/test_clips.py": "slow",
    "tests/evaluation/test_torch_metric.py": "slow",
    "tests/evaluation/test_evaluator.py": "slow",
    "tests/evaluation/test_domain.py": "slow",
    "tests/compare/test_leaderboard_id_booth.py": "slow",
    "tests/training/diffusion/test_samplers.py": "slow",
    "tests/metrics/intervals/test_estimate.py": "slow",
    "tests/backbones/test_inception.py": "slow",
    "tests/backbones/test_vgg16.py": "slow",
    "tests/backbones/test_clip.py": "large",
    "tests/backbones/test_clip_text.py": "large",
    "tests/features/test_texts.py": "large",
    "tests/backbones/test_dinov2.py": "large",
    "tests/system": "system",
    "tests/system/test_paper_suite_large.py": "large",
    "tests/report/test_report_browser.py": "system",
    "tests/studies/test_ratings_page_browser.py": "system",
    "tests/features/engine/test_cluster.py": "system",
    "tests/backbones/weights/test_fetch.py": "system",
    "tests/cli/test_evaluate_interrupted.py": "system",
}
"""Beginning of a path to the marker of its tests."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests by their folder, so that `make test-fast` excludes slow, large and system tests."""
    for item in items:
        path = item.path.relative_to(config.rootpath).as_posix()
        for beginning, marker in MARKERS.items():
            if path.startswith(beginning):
                item.add_marker(marker)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Use a temporary cache in place of the feature store and the weights of the user, and write English."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACEBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("FACEBENCH_OFFLINE", "1")
        patch.setenv("FACEBENCH_LANG", "en")
        yield


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty rendered faces: twelve people, five expressions each."""
    out = tmp_path_factory.mktemp("synth") / "faces"
    synthface.write(out, identities=12, images=5, size=112, seed=0)
    return out


@pytest.fixture(scope="session")
def other_faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty faces of twelve other people."""
    out = tmp_path_factory.mktemp("synth") / "others"
    synthface.write(out, identities=12, images=5, size=112, seed=1)
    return out


@pytest.fixture(scope="session")
def blurred_faces(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sixty faces, blurred."""
    out = tmp_path_factory.mktemp("synth") / "blurred"
    degrade(out, faces, "blur", 0.6)
    return out


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, found by `tools/browser.sh`, which installs Debian's where it may.

    Without any browser its tests are skipped on a user's machine and fail where the environment variable CI is set.
    """
    found = subprocess.run(
        ["bash", str(REPOSITORY / "tools" / "browser.sh")],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if found.returncode == 3 and not os.environ.get("CI"):
        pytest.skip(found.stderr.strip())
    assert found.returncode == 0, found.stderr
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Chromium's sandbox does not work for root, the user of containers.
        browser = playwright.chromium.launch(
            executable_path=found.stdout.strip(), args=["--no-sandbox"] if os.getuid() == 0 else []
        )
        yield browser
        browser.close()
