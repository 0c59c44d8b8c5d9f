"""One version: of the package, its citation and the changelog."""

from __future__ import annotations

import re

from facebench.core.version import __version__
from tests.helpers.paths import REPOSITORY


def test_the_citation_has_the_version_of_the_package() -> None:
    citation = (REPOSITORY / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {__version__}\n" in citation


def test_the_newest_section_of_the_changelog_is_of_this_version() -> None:
    changelog = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\S+) ?(.*)$", changelog, re.MULTILINE)
    assert newest is not None
    assert newest[1] == __version__.removesuffix(".dev0")
    assert ("unreleased" in newest[2]) == __version__.endswith(".dev0")
