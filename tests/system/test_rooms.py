"""The package has twelve rooms, and the tests mirror it."""

from __future__ import annotations

import importlib
import re

import pytest

from tests.helpers.paths import REPOSITORY

PACKAGE = REPOSITORY / "facebench"
TESTS = REPOSITORY / "tests"
ROOMS = {
    "core", "metrics", "images", "synthface", "backbones", "features", "evaluation", "compare", "training", "report",
    "studies", "cli",
}  # fmt: skip
DATA = {"shipped"}
WITHOUT_A_ROOM = {"helpers", "goldens", "system"}


def entries(folder: str) -> set[str]:
    found = (PACKAGE / folder).iterdir()
    return {entry.name for entry in found if entry.name not in ("__pycache__", "__init__.py")}


def test_the_package_holds_twelve_rooms_and_data() -> None:
    assert entries(".") == ROOMS | DATA | {"__main__.py", "py.typed"}


def test_modules_that_are_imported_by_name_lie_in_the_same_room() -> None:
    """import-linter does not see these imports; only the package itself may reach all rooms."""
    pattern = re.compile(r'import_module\(f?"facebench\.(\w+)')
    named = {
        (file.relative_to(PACKAGE).parts[0], room)
        for file in PACKAGE.glob("*/**/*.py")
        for room in pattern.findall(file.read_text(encoding="utf-8"))
    }
    assert len(named) >= 3
    assert all(room == own for own, room in named), named


def test_training_has_at_most_ten_entries() -> None:
    assert len(entries("training")) <= 10


def test_shipped_holds_data_only() -> None:
    assert not list((PACKAGE / "shipped").rglob("*.py"))


def test_every_test_file_has_the_place_and_the_beginning_of_the_name_of_a_module() -> None:
    astray = []
    for test in TESTS.rglob("test_*.py"):
        folder = test.parent.relative_to(TESTS)
        if folder.parts[0] in WITHOUT_A_ROOM:
            continue
        modules = {path.stem for path in (PACKAGE / folder).iterdir() if path.name != "__pycache__"}
        modules |= {folder.name}
        name = test.stem.removeprefix("test_")
        if not any(name == module or name.startswith(f"{module}_") for module in modules):
            astray.append(str(test.relative_to(TESTS)))
    assert not astray


def test_the_picture_of_the_rooms_is_drawn_from_the_imports_of_today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(REPOSITORY / "tools")
    draw_rooms = importlib.import_module("draw_rooms")
    drawn = (REPOSITORY / "docs" / "rooms.svg").read_text(encoding="utf-8")
    assert drawn == draw_rooms.draw(draw_rooms.imports()), "run: make rooms"
