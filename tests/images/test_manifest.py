"""A manifest names images and what is known about them; it cannot lead out of its folder."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from facebench.core.errors import InputError
from facebench.images.image_set import ImageSet
from tests.helpers.image_files import encode, picture

PNG = encode(picture(), "PNG")


def manifest(folder: Path, text: str, *images: str) -> Path:
    for name in images:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(PNG)
    path = folder / "manifest.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_carry_every_column_and_are_sorted_by_name(tmp_path: Path) -> None:
    path = manifest(
        tmp_path,
        "expression, image ,identity,mood\nhappy,b.png,ann,\nsad,sub/a.png, bob ,low\n,a.png,ann,\n",
        "a.png",
        "b.png",
        "sub/a.png",
    )
    images = ImageSet.open(path)
    assert images.kind == "manifest"
    assert [item.name for item in images.items] == ["a.png", "b.png", "sub/a.png"]
    assert images.columns == ("expression", "identity", "mood")
    assert images.column("expression") == [None, "happy", "sad"]
    assert images.column("identity") == ["ann", "ann", "bob"]
    assert dict(images.items[0].columns) == {"identity": "ann"}


def test_a_folder_that_holds_a_manifest_is_opened_through_it(tmp_path: Path) -> None:
    path = manifest(tmp_path, "image,identity\nx/a.png,ann\n", "x/a.png", "x/b.png")
    assert ImageSet.open(tmp_path) == ImageSet.open(path)
    (tmp_path / "manifest.parquet").touch()
    with pytest.raises(InputError, match="Name the one to use"):
        ImageSet.open(tmp_path)


def test_parquet_and_csv_say_the_same(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "image": ["a.png", "b.png"],
            "identity": [7, 8],
            "valence": [0.5, None],
            "prompt": [None, "ein Gesicht, lächelnd"],
        }
    )
    for name in table["image"]:
        (tmp_path / name).write_bytes(PNG)
    table.to_csv(tmp_path / "a.csv", index=False)
    table.to_parquet(tmp_path / "a.parquet")
    images = ImageSet.open(tmp_path / "a.parquet")
    assert images == ImageSet.open(tmp_path / "a.csv")
    assert [dict(item.columns) for item in images.items] == [
        {"identity": "7", "valence": "0.5"},
        {"identity": "8", "prompt": "ein Gesicht, lächelnd"},
    ]


def test_the_identity_column_can_be_insisted_on_or_ignored(tmp_path: Path) -> None:
    path = manifest(tmp_path, "image,identity\na.png,ann\n", "a.png")
    assert ImageSet.open(path, identities=False).columns == ()
    assert ImageSet.open(path, identities=True).columns == ("identity",)
    manifest(tmp_path, "image\na.png\n")
    with pytest.raises(InputError, match="no column 'identity'"):
        ImageSet.open(path, identities=True)


def test_rows_that_lead_nowhere_or_outside_are_listed_with_their_line(tmp_path: Path) -> None:
    home = tmp_path / "set"
    (tmp_path / "beside.png").write_bytes(PNG)
    rows = ["a.png", "gone.png", "../beside.png", "../../etc/x.png", "/etc/hosts", '""', "empty.png", "sub"]
    text = "\n".join(["image", *rows, f"{home}/b.png"])
    (home / "sub").mkdir(parents=True)
    path = manifest(home, text, "a.png", "b.png")
    (home / "empty.png").touch()
    images = ImageSet.open(path)
    assert [item.name for item in images.items] == ["a.png", "b.png"]
    assert [(entry.name, entry.reason) for entry in images.rejected] == [
        ("gone.png", "missing"),
        ("../beside.png", "outside"),
        ("../../etc/x.png", "outside"),
        ("/etc/hosts", "outside"),
        ("manifest.csv line 7", "missing"),
        ("empty.png", "empty"),
        ("sub", "not_an_image"),
    ]
    assert images.rejected[0].detail.startswith("manifest.csv line 3:")
    assert all(entry.counts for entry in images.rejected)


def test_a_row_with_a_null_byte_is_missing_not_a_crash(tmp_path: Path) -> None:
    path = manifest(tmp_path, "image\na.png\n", "a.png")
    pd.DataFrame({"image": ["a.png", "b\0.png"]}).to_parquet(tmp_path / "m.parquet")
    images = ImageSet.open(tmp_path / "m.parquet")
    assert [entry.reason for entry in images.rejected] == ["missing"]
    assert images.items == ImageSet.open(path).items


def test_the_first_of_duplicated_rows_is_kept_and_a_contradiction_is_told(tmp_path: Path) -> None:
    path = manifest(tmp_path, "image,identity\na.png,ann\n./a.png,ann\na.png,bob\n", "a.png")
    images = ImageSet.open(path)
    assert images.column("identity") == ["ann"]
    assert [entry.reason for entry in images.rejected] == ["duplicate", "duplicate"]
    assert images.rejected[0].detail == "manifest.csv line 3: the same file as a.png in manifest.csv line 2"
    assert images.rejected[1].detail.endswith("there with identity 'ann', here 'bob'")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Image,identity\na.png,ann\n", "no column 'image'.*Rename 'Image' to 'image'"),
        ("imgae\na.png\n", "Rename 'imgae' to 'image'"),
        ("filename\na.png\n", "Rename 'filename' to 'image'"),
        ("identity\nann\n", r"\(its columns: 'identity'\)\. Add it"),
        ("", r"\(its columns: none\)"),
        ("image;identity\na.png;ann\n", "separated by semicolons"),
        ("image,image\na.png,b.png\n", "two columns named 'image'"),
        ("image\n", "no rows"),
        ("image,identity\na.png,ann\nb.png\n", "line 3: 1 cells under a header of 2"),
        ('image\n"a.png\n', "line 2: unexpected end of data"),
    ],
)
def test_a_broken_manifest_is_explained(tmp_path: Path, text: str, message: str) -> None:
    path = manifest(tmp_path, text, "a.png")
    with pytest.raises(InputError, match=message) as caught:
        ImageSet.open(path)
    assert "manifest.csv" in str(caught.value)


def test_bytes_that_are_not_utf8_are_named_by_line_and_place(tmp_path: Path) -> None:
    path = manifest(tmp_path, "", "a.png")
    path.write_bytes(b"image,identity\na.png,Ren\xe9e\n")
    with pytest.raises(InputError, match=r"line 2: byte 24 \(0xe9\) is not UTF-8"):
        ImageSet.open(path)


def test_a_byte_order_mark_is_fine(tmp_path: Path) -> None:
    path = manifest(tmp_path, "\ufeffimage\r\na.png\r\n", "a.png")
    assert len(ImageSet.open(path)) == 1


def test_a_file_that_is_not_parquet_is_explained(tmp_path: Path) -> None:
    (tmp_path / "m.parquet").write_bytes(b"image\na.png\n")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        ImageSet.open(tmp_path / "m.parquet")


def test_links_lead_to_the_unique_files_that_a_column_names(tmp_path: Path) -> None:
    home = tmp_path / "edits"
    (tmp_path / "photographs").mkdir()
    (tmp_path / "photographs" / "z.png").write_bytes(PNG)
    text = (
        "image,source,identity\n"
        "a.png,../photographs/z.png,ann\n"
        "b.png,s.png,ann\n"
        "c.png,./s.png,bob\n"
        "d.png,,bob\n"
        "e.png,a.png,bob\n"
        "f.png,../../outside.png,bob\n"
        "g.png,gone.png,bob\n"
    )
    images = ImageSet.open(manifest(home, text, *(f"{letter}.png" for letter in "abcdefgs")))
    sources, index = images.linked("source")
    assert [item.name for item in sources.items] == ["../photographs/z.png", "a.png", "s.png"]
    assert index == [0, 2, 2, None, 1, None, None]
    assert sources.column("identity") == [None, "ann", None]
    assert {entry.name: entry.reason for entry in sources.rejected} == {
        "../../outside.png": "outside",
        "gone.png": "missing",
    }
    assert all(item.path.is_file() for item in sources.items)


def test_a_column_that_nobody_has_cannot_be_followed(tmp_path: Path) -> None:
    images = ImageSet.open(manifest(tmp_path, "image,source\na.png,a.png\n", "a.png"))
    with pytest.raises(InputError, match="Did you mean 'source'"):
        images.linked("sorce")
