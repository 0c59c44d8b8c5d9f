"""A manifest names images and their attributes; its paths cannot leave its folder."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from facebench.core.errors import InputError
from facebench.images.image_set import ImageSet
from facebench.images.manifest import read_manifest
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


def test_a_folder_with_a_manifest_is_read_through_it(tmp_path: Path) -> None:
    path = manifest(tmp_path, "image,identity\nx/a.png,ann\n", "x/a.png", "x/b.png")
    assert ImageSet.open(tmp_path) == ImageSet.open(path)
    (tmp_path / "manifest.parquet").touch()
    with pytest.raises(InputError, match="Name the one to use"):
        ImageSet.open(tmp_path)


def test_parquet_and_csv_give_the_same_set(tmp_path: Path) -> None:
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


def test_the_identity_column_can_be_required_or_ignored(tmp_path: Path) -> None:
    path = manifest(tmp_path, "image,identity\na.png,ann\n", "a.png")
    assert ImageSet.open(path, identities=False).columns == ()
    assert ImageSet.open(path, identities=True).columns == ("identity",)
    manifest(tmp_path, "image\na.png\n")
    with pytest.raises(InputError, match="no column 'identity'"):
        ImageSet.open(path, identities=True)


def test_rows_without_a_usable_file_are_rejected_with_their_line(tmp_path: Path) -> None:
    home = tmp_path / "set"
    (tmp_path / "beside.png").write_bytes(PNG)
    rows = ["a.png", "gone.png", "../beside.png", "../../etc/x.png", "/etc/hosts", "empty.png", "sub"]
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
        ("empty.png", "empty"),
        ("sub", "not_an_image"),
    ]
    assert images.rejected[0].detail.startswith("manifest.csv line 3:")
    assert all(entry.counts for entry in images.rejected)


def test_a_row_with_a_null_character_is_missing(tmp_path: Path) -> None:
    path = manifest(tmp_path, "image\na.png\n", "a.png")
    pd.DataFrame({"image": ["a.png", "b\0.png"]}).to_parquet(tmp_path / "m.parquet")
    images = ImageSet.open(tmp_path / "m.parquet")
    assert [entry.reason for entry in images.rejected] == ["missing"]
    assert images.items == ImageSet.open(path).items


def test_the_first_of_duplicate_rows_is_kept_and_contradictions_are_reported(tmp_path: Path) -> None:
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
        ("image,,\na.png,,x\n", "line 2: the cell 'x' is in a column without a name"),
        ("image,image\na.png,b.png\n", "two columns named 'image'"),
        ("image\n", "no rows"),
        ("image,identity\na.png,ann\nb.png\n", "line 3: 1 cells under a header of 2"),
        ('image\n"a.png\n', "line 2: unexpected end of data"),
    ],
)
def test_an_invalid_manifest_is_explained(tmp_path: Path, text: str, message: str) -> None:
    path = manifest(tmp_path, text, "a.png")
    with pytest.raises(InputError, match=message) as caught:
        ImageSet.open(path)
    assert "manifest.csv" in str(caught.value)


def test_bytes_that_are_not_utf8_are_located(tmp_path: Path) -> None:
    path = manifest(tmp_path, "", "a.png")
    path.write_bytes(b"image,identity\na.png,Ren\xe9e\n")
    with pytest.raises(InputError, match=r"line 2: byte 24 \(0xe9\) is not UTF-8"):
        ImageSet.open(path)


def test_a_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    path = manifest(tmp_path, "", "a.png")
    for encoding in ("utf-8-sig", "utf-16"):
        path.write_bytes("image\tidentity\r\na.png\tZo\u00e9\r\n".encode(encoding))
        assert ImageSet.open(path).column("identity") == ["Zo\u00e9"]


def test_a_file_that_is_not_parquet_is_explained(tmp_path: Path) -> None:
    (tmp_path / "m.parquet").write_bytes(b"image\na.png\n")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        ImageSet.open(tmp_path / "m.parquet")


def test_linked_returns_the_unique_files_of_a_column(tmp_path: Path) -> None:
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


def test_an_unknown_column_is_explained(tmp_path: Path) -> None:
    images = ImageSet.open(manifest(tmp_path, "image,source\na.png,a.png\n", "a.png"))
    with pytest.raises(InputError, match="Did you mean source"):
        images.linked("sorce")


@pytest.mark.parametrize(
    "text",
    [
        "image;expression\na.png;happy\nb.png;sad\n",
        "image\texpression\na.png\thappy\nb.png\tsad\n",
        "sep=,\nimage,expression\na.png,happy\nb.png,sad\n",
        "sep=;\r\nimage;expression\r\na.png;happy\r\nb.png;sad\r\n",
        "image,expression,,\na.png,happy,,\nb.png,sad,,\n",
        "image,expression\na.png,happy,,\nb.png,sad,\n",
        "image,expression\na.png,happy\n,\n\n,\nb.png,sad\n,\n,\n",
    ],
    ids=["semicolons", "tabs", "sep", "sep semicolon", "unnamed columns", "extra cells", "blank rows"],
)
def test_the_dialects_of_spreadsheets_are_read(tmp_path: Path, text: str) -> None:
    images = ImageSet.open(manifest(tmp_path, text, "a.png", "b.png"))
    assert [dict(item.columns) for item in images.items] == [{"expression": "happy"}, {"expression": "sad"}]
    assert images.rejected == ()


def test_lines_are_counted_with_the_separator_line(tmp_path: Path) -> None:
    path = manifest(tmp_path, "sep=,\nimage\na.png\ngone.png\n", "a.png")
    assert ImageSet.open(path).rejected[0].detail.startswith("manifest.csv line 4:")


def test_decimal_commas_are_read_where_no_comma_separates_cells(tmp_path: Path) -> None:
    text = "image;valence;prompt\na.png;0,5;one, two\nb.png;-1;1,5\n"
    images = ImageSet.open(manifest(tmp_path, text, "a.png", "b.png"))
    assert images.column("valence") == ["0.5", "-1"]
    assert images.column("prompt") == ["one, two", "1,5"]


def test_paths_are_found_with_backslashes_and_in_other_unicode_forms(tmp_path: Path) -> None:
    text = "image,source\nsub\\Zoe\u0301.png,..\\set\\sub\\Zoe\u0301.png\n"
    path = manifest(tmp_path / "set", text, "sub/Zo\u00e9.png")
    images = ImageSet.open(path)
    assert [item.name for item in images.items] == ["sub/Zo\u00e9.png"]
    assert images.linked("source")[1] == [0]


def test_a_name_in_another_case_is_missing_with_a_hint(tmp_path: Path) -> None:
    images = ImageSet.open(manifest(tmp_path, "image\na.png\nB.PNG\n", "a.png", "b.png"))
    (rejected,) = images.rejected
    assert (rejected.name, rejected.reason) == ("B.PNG", "missing")
    assert rejected.detail.endswith("the folder holds 'b.png'")


def test_a_name_that_is_too_long_is_missing(tmp_path: Path) -> None:
    images = ImageSet.open(manifest(tmp_path, f"image\na.png\n{'x' * 300}.png\n", "a.png"))
    assert [entry.reason for entry in images.rejected] == ["missing"]


def test_identities_are_integers_if_a_spreadsheet_wrote_them_as_decimals(tmp_path: Path) -> None:
    for cells, expected in (
        (("1.0", "2"), ["1", "2"]),
        (("1.0", "anna"), ["1.0", "anna"]),
        (("1.5", "2.0"), ["1.5", "2.0"]),
    ):
        text = f"image,identity\na.png,{cells[0]}\nb.png,{cells[1]}\n"
        assert ImageSet.open(manifest(tmp_path, text, "a.png", "b.png")).column("identity") == expected


@pytest.mark.parametrize("cell", ["inf", "-inf", "nan", "-2", "-2.0"])
def test_affect_without_a_value_is_left_out_with_a_warning(tmp_path: Path, cell: str) -> None:
    text = f"image,valence,arousal\na.png,0.1,0.2\nb.png,{cell},0.3\n"
    images = ImageSet.open(manifest(tmp_path, text, "a.png", "b.png"))
    assert images.column("valence") == ["0.1", None]
    assert images.column("arousal") == ["0.2", "0.3"]
    (warning,) = images.warnings
    assert warning.startswith("manifest.csv: valence is left out")
    assert "line 3" in warning


def test_affect_that_is_text_is_kept(tmp_path: Path) -> None:
    images = ImageSet.open(manifest(tmp_path, "image,valence\na.png,high\n", "a.png"))
    assert images.column("valence") == ["high"]
    assert images.warnings == ()


def test_affect_of_another_scale_is_rejected(tmp_path: Path) -> None:
    path = manifest(tmp_path, "image,arousal\na.png,1\nb.png,9\n", "a.png", "b.png")
    with pytest.raises(InputError, match=r"arousal ranges from 1 to 9 \(line 3\).*-1 to 1"):
        ImageSet.open(path)


def test_affect_slightly_outside_its_range_is_kept_with_a_warning(tmp_path: Path) -> None:
    images = ImageSet.open(manifest(tmp_path, "image,valence\na.png,1.02\nb.png,0\n", "a.png", "b.png"))
    assert images.column("valence") == ["1.02", "0"]
    assert images.warnings == ("manifest.csv: valence is outside the range -1 to 1 in line 2.",)


def test_identities_of_a_manifest_that_look_alike_are_rejected(tmp_path: Path) -> None:
    path = manifest(tmp_path, "image,identity\na.png,Anna\nb.png,anna\n", "a.png", "b.png")
    with pytest.raises(InputError, match="'Anna' and 'anna'"):
        ImageSet.open(path)


def test_lines_may_end_in_carriage_returns_only(tmp_path: Path) -> None:
    path = tmp_path / "manifest.csv"
    path.write_bytes(b"image;identity\ra.png;A\rb.png;B\r")
    assert [row.columns for row in read_manifest(path)] == [
        {"image": "a.png", "identity": "A"},
        {"image": "b.png", "identity": "B"},
    ]
