"""Members of ZIP archives that state a false size."""

from __future__ import annotations

import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from facebench.images.errors import ImageError
from facebench.images.sources.zip import ZipMember

BOMB = 48 * 2**20


def test_a_member_that_states_a_small_size_is_not_decompressed_in_full(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.png", b"\0" * BOMB)
    path.write_bytes(path.read_bytes().replace(struct.pack("<I", BOMB), struct.pack("<I", 1000)))
    tracemalloc.start()
    with pytest.raises(ImageError, match="truncated"):
        ZipMember(path, "bomb.png").read("bomb.png", 2**29)
    assert tracemalloc.get_traced_memory()[1] < BOMB / 8
    tracemalloc.stop()
