"""Rendered faces that many tests measure, and a cache of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from facebench import synthface
from facebench.synthface.degradations import degrade


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests neither read nor fill the user's feature store and weights."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACEBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("FACEBENCH_OFFLINE", "1")
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
