"""The C library keeps freed memory, so that networks do not wait for new pages."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import torch
from facebench.features.engine.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
for _ in range(20):
    torch.ones(13_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a setting of glibc")
def test_most_arrays_use_the_pages_of_freed_ones() -> None:
    kept, returned = (
        int(
            subprocess.run(
                [sys.executable, "-c", SCRIPT, mode], check=True, capture_output=True, text=True
            ).stdout
        )
        for mode in ("keep", "plain")
    )
    pages = 20 * 52_000_000 // resource.getpagesize()
    assert returned - kept > pages / 2
