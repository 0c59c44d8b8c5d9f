"""Tests that the documentation names exist."""

from __future__ import annotations

import re

from tests.helpers.paths import REPOSITORY

ROOT = REPOSITORY


def test_tests_that_the_documentation_names_exist() -> None:
    named = [
        match
        for page in sorted((ROOT / "docs").glob("*.md"))
        for match in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page.read_text(encoding="utf-8"))
    ]
    assert len(named) >= 20
    for file, test in named:
        assert re.search(rf"^def {test}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), test
