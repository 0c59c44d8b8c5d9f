"""Text files with paths, and lists of paths in Python, are image sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from facebench.core.errors import InputError
from facebench.images.image_set import ImageSet
from tests.helpers.paths import GOLDENS_FOLDER

FACES = GOLDENS_FOLDER / "images"


def test_a_text_file_names_images_anywhere(tmp_path: Path) -> None:
    files = sorted((FACES / "a").iterdir())[:2]
    (tmp_path / "one.png").write_bytes(files[0].read_bytes())
    (tmp_path / "list.txt").write_text(f"one.png\n\n  {files[1]}  \nmissing.png\none.png\n")
    images = ImageSet.open(tmp_path / "list.txt")
    assert images.kind == "list"
    assert sorted(item.path.resolve() for item in images.items) == sorted(
        [(tmp_path / "one.png").resolve(), files[1].resolve()]
    )
    assert [entry.reason for entry in images.rejected] == ["missing", "duplicate"]
    assert all((images.root / item.name).resolve() == item.path.resolve() for item in images.items)


def test_a_list_of_a_whole_folder_has_the_names_of_the_folder() -> None:
    folder = ImageSet.open(FACES, identities=False)
    images = ImageSet.of_paths([str(item.path) for item in reversed(folder.items)])
    assert [item.name for item in images.items] == [item.name for item in folder.items]
    assert images.columns == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"a.png\nb.png", "can be used"),
        (b"a\0b", "can be used"),
    ],
)
def test_bad_lists_are_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        ImageSet.open(tmp_path / "list.txt")
    assert "\n" not in str(caught.value)


def test_an_empty_list_is_one_line() -> None:
    with pytest.raises(InputError, match="list of paths is empty"):
        ImageSet.of_paths([])
