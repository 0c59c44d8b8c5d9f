"""People of the ID-Booth study: folders, notes, and two people with the same face."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from facebench.core.errors import InputError
from facebench.studies.id_booth.people import notes_on, people_with_one_face, read_people


def test_people_are_in_natural_order_with_the_gender_of_the_manifest(faces: Path, tmp_path: Path) -> None:
    for name in ("ID_10", "ID_2"):
        shutil.copytree(faces / "images" / "id000", tmp_path / name)
    assert [person.name for person in read_people(tmp_path)] == ["ID_2", "ID_10"]
    (tmp_path / "manifest.csv").write_text(
        "image,identity,gender\nID_2/00.png,ID_2,female\nID_10/00.png,ID_10,\n"
    )
    people = read_people(tmp_path)
    assert [person.gender for person in people] == ["female", None]
    notes = notes_on(people)
    assert "One photograph: ID_2, ID_10" in notes[0]
    assert "Gender of 1 of 2 people unknown" in notes[1]


def test_photographs_of_two_people_in_one_folder_are_refused(faces: Path, tmp_path: Path) -> None:
    shutil.copytree(faces / "images" / "id000", tmp_path / "all")
    (tmp_path / "manifest.csv").write_text("image,identity\nall/00.png,ann\nall/01.png,ben\n")
    with pytest.raises(InputError, match="'ben' do not have a folder of their own"):
        read_people(tmp_path)


def test_two_folders_of_one_person_are_noted(faces: Path, tmp_path: Path) -> None:
    for name, source in (("ann", "id000"), ("ben", "id001"), ("eve", "id002")):
        shutil.copytree(faces / "images" / source, tmp_path / name)
    assert people_with_one_face(tmp_path) == []
    (tmp_path / "kim").mkdir()
    for file in (tmp_path / "ann").iterdir():
        file.rename(tmp_path / "kim" / file.name) if file.name >= "03" else None
    (note,) = people_with_one_face(tmp_path)
    assert note.startswith("'ann' and 'kim' show the same face")
