"""The folder whose sub-folders are people: the parent, or one below."""

from __future__ import annotations

from pathlib import Path

import pytest

from facebench.core.errors import InputError
from facebench.images.image_set import ImageSet
from facebench.images.people_folders import folder_of_people


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_the_folder_of_people_is_found_above_and_below(tmp_path: Path) -> None:
    touch(tmp_path / "set", "models/a/eve/1.png", "models/a/bob/1.png")
    people = tmp_path / "set" / "models" / "a"
    assert folder_of_people(tmp_path / "set") == people
    assert folder_of_people(tmp_path / "set" / "models") == people
    assert folder_of_people(people / "eve") == people


def test_a_flat_folder_has_none(tmp_path: Path) -> None:
    touch(tmp_path, "set/1.png", "set/empty/notes.txt")
    assert folder_of_people(tmp_path / "set") is None


def test_a_level_too_high_names_the_folder(tmp_path: Path) -> None:
    touch(tmp_path, "set/a/eve/1.png", "set/a/bob/1.png")
    with pytest.raises(
        InputError, match=r"No image in .*one level down\. Evaluate .*set/a, which has one folder"
    ):
        ImageSet.open(tmp_path / "set")
