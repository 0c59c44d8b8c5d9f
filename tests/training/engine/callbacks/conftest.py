"""Small rendered faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.helpers.image_archives import pixels_of


@pytest.fixture(scope="module")
def pixels(faces: Path) -> np.ndarray:
    """Forty faces of a quarter of their size."""
    return np.ascontiguousarray(pixels_of(faces)[:40, ::4, ::4])
