"""A head with FLAME's structure, as pickled arrays and as a model."""

from __future__ import annotations

from typing import Any

import pytest

from facebench.training.rig.buffers.flame import Flame
from facebench.training.rig.buffers.flame_files import read_flame
from tests.helpers import flame_like


@pytest.fixture(scope="session")
def content() -> dict[str, Any]:
    return flame_like.arrays()


@pytest.fixture(scope="session")
def flame(content: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Flame:
    return read_flame(flame_like.save(tmp_path_factory.mktemp("flame") / "generic_model.pkl", content))
