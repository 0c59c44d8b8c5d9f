"""Named roots: files outside the folder of a manifest, which the user names."""

from __future__ import annotations

from pathlib import Path

import pytest

from facebench.core.errors import InputError
from facebench.images.image_set import ImageSet
from facebench.images.named_roots import cell_of, parse_roots
from tests.helpers.image_files import encode, picture

PNG = encode(picture(), "PNG")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("study/x/y", "far/albums/ann", "far/albums/bob"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "far/albums/ann/1.png").write_bytes(PNG)
    (tmp_path / "far/albums/bob/1.png").write_bytes(PNG)
    (tmp_path / "far/secret.png").write_bytes(PNG)
    return tmp_path


def write(place: Path, text: str) -> Path:
    path = place / "study" / "x" / "y" / "manifest.csv"
    path.write_text(text)
    return path


def test_images_and_links_may_lie_in_a_named_root(place: Path) -> None:
    path = write(
        place, "image,source\n@albums/ann/1.png,@albums/bob/1.png\n@albums/bob/1.png,@albums/./bob/1.png\n"
    )
    roots = {"albums": place / "far" / "albums"}
    images = ImageSet.open(path, roots=roots)
    assert [item.name for item in images.items] == ["@albums/ann/1.png", "@albums/bob/1.png"]
    assert images.items[0].path == roots["albums"] / "ann" / "1.png"
    sources, places = images.linked("source")
    assert [item.name for item in sources.items] == ["@albums/bob/1.png"]
    assert places == [0, 0]


@pytest.mark.parametrize(
    ("cell", "detail"),
    [
        ("@albums/../secret.png", "the path leaves the root 'albums'"),
        ("@album/ann/1.png", "the root 'album' is not named. Did you mean albums?"),
        ("@albums/eve/1.png", "the file does not exist"),
    ],
)
def test_a_path_cannot_leave_its_root(place: Path, cell: str, detail: str) -> None:
    path = write(place, f"image\n@albums/ann/1.png\n{cell}\n")
    (rejected,) = ImageSet.open(path, roots={"albums": place / "far" / "albums"}).rejected
    assert detail in rejected.detail


def test_without_its_name_a_root_is_not_read(place: Path) -> None:
    path = write(place, "image\n@albums/ann/1.png\n")
    with pytest.raises(InputError, match="give its folder: --root albums=DIR"):
        ImageSet.open(path)


def test_the_deepest_root_names_a_file(tmp_path: Path) -> None:
    roots = {"all": tmp_path, "ann": tmp_path / "ann"}
    assert cell_of(tmp_path / "ann" / "1.png", roots) == "@ann/1.png"
    assert cell_of(tmp_path / "bob" / "1.png", roots) == "@all/bob/1.png"
    assert cell_of(Path("/elsewhere/1.png"), roots) is None


@pytest.mark.parametrize("options", [["albums"], ["=x"], ["a=/no/such/folder"], ["a=.", "a=."]])
def test_bad_roots_are_refused(options: list[str]) -> None:
    with pytest.raises(InputError, match="root"):
        parse_roots(options)
