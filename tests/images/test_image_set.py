"""A folder or a manifest becomes an ordered image set, and every unused file is reported."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from facebench.core.errors import InputError
from facebench.images.image_set import ImageError, ImageSet, Limits, Rejected, decode, read
from tests.helpers.image_files import bad_files, encode, picture

PNG = encode(picture(), "PNG")


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PNG)
    return folder


def names(images: ImageSet) -> list[str]:
    return [item.name for item in images.items]


def reasons(images: ImageSet) -> dict[str, str]:
    return {entry.name: entry.reason for entry in images.rejected}


def test_a_flat_folder_is_sorted_by_name_and_accepts_image_suffixes_in_any_case(tmp_path: Path) -> None:
    wanted = [
        "B.PNG",
        "a.jpeg",
        "b.Jpg",
        "c.webp",
        "d.bmp",
        "e.TIF",
        "f.tiff",
        "g.pgm",
        "h.PPM",
        "i.jfif",
        "j.JPE",
    ]
    images = ImageSet.open(fill(tmp_path, *reversed(wanted)))
    assert names(images) == wanted
    assert images.kind == "folder"
    assert images.rejected == ()
    assert images.columns == ()
    assert [item.path for item in images.items] == [tmp_path / name for name in wanted]
    assert (decode(read(images.items[0])) == picture()).all()


def test_hidden_and_system_files_are_skipped(tmp_path: Path) -> None:
    hidden = [".b.png", "._a.png", ".cache/c.png", "Thumbs.db", "desktop.ini"]
    system = ["@eaDir/a.png", "__MACOSX/a.png", "#recycle/a.png", "$RECYCLE.BIN/a.png"]
    fill(tmp_path / "flat", "a.png", *hidden, *system)
    fill(tmp_path / "people", "ann/a.png", "ann/@eaDir/thumbnail.png", *hidden, *system)
    for folder, expected in (("flat", ["a.png"]), ("people", ["ann/a.png"])):
        images = ImageSet.open(tmp_path / folder)
        assert names(images) == expected
        assert images.rejected == ()


def test_unusable_files_are_rejected_with_a_reason(tmp_path: Path) -> None:
    fill(tmp_path, "a.png", "sub/b.png")
    (tmp_path / "zero.png").touch()
    (tmp_path / "notes.txt").write_text("seed 3")
    (tmp_path / "moving.gif").write_bytes(encode(picture(), "GIF"))
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "nowhere.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "myself.png").symlink_to(tmp_path / "myself.png")
    os.mkfifo(tmp_path / "pipe.png")
    images = ImageSet.open(tmp_path)
    assert names(images) == ["a.png"]
    assert reasons(images) == {
        "zero.png": "empty",
        "notes.txt": "other_file",
        "moving.gif": "unsupported",
        "folder.png/": "other_file",
        "sub/": "other_file",
        "nowhere.png": "missing",
        "myself.png": "missing",
        "pipe.png": "not_an_image",
    }
    assert {entry.name for entry in images.rejected if not entry.counts} == {
        "notes.txt",
        "sub/",
        "folder.png/",
    }


def test_damaged_files_are_items_because_listing_reads_no_pixels(tmp_path: Path) -> None:
    bad = bad_files()
    for name, (data, _) in bad.items():
        (tmp_path / name).write_bytes(data)
    images = ImageSet.open(tmp_path)
    assert reasons(images) == {"nothing.png": "empty"}
    for item in images.items:
        with pytest.raises(ImageError) as caught:
            decode(read(item), item.name)
        assert caught.value.reason == bad[item.name][1]


def test_a_second_link_to_a_file_is_a_duplicate(tmp_path: Path) -> None:
    fill(tmp_path / "set", "b.png")
    fill(tmp_path / "elsewhere", "far.png")
    (tmp_path / "set" / "a.png").symlink_to(tmp_path / "set" / "b.png")
    (tmp_path / "set" / "c.png").symlink_to(tmp_path / "elsewhere" / "far.png")
    images = ImageSet.open(tmp_path / "set")
    assert names(images) == ["a.png", "c.png"]
    assert images.rejected == (Rejected("b.png", "duplicate", "the same file as a.png"),)
    assert not images.rejected[0].counts


def test_two_files_with_equal_content_are_two_images(tmp_path: Path) -> None:
    assert len(ImageSet.open(fill(tmp_path, "a.png", "b.png"))) == 2


def test_sub_folders_are_identities_if_no_image_lies_beside_them(tmp_path: Path) -> None:
    fill(tmp_path, "bob/1.png", "ann/2.png", "ann/1.png", "ann/deep/3.png")
    (tmp_path / "readme.md").write_text("people")
    images = ImageSet.open(tmp_path)
    assert images.kind == "identities"
    assert names(images) == ["ann/1.png", "ann/2.png", "bob/1.png"]
    assert images.column("identity") == ["ann", "ann", "bob"]
    assert images.column("expression") == [None, None, None]
    assert reasons(images) == {"ann/deep/": "other_file", "readme.md": "other_file"}


def test_identities_are_not_inferred_from_file_names(tmp_path: Path) -> None:
    images = ImageSet.open(fill(tmp_path, "id000_happy.png", "id001_sad.png"))
    assert images.columns == ()


def test_identities_can_be_required(tmp_path: Path) -> None:
    fill(tmp_path, "contact_sheet.png", "ann/1.png", "bob/1.png")
    assert names(ImageSet.open(tmp_path)) == ["contact_sheet.png"]
    images = ImageSet.open(tmp_path, identities=True)
    assert images.column("identity") == ["ann", "bob"]
    assert reasons(images) == {"contact_sheet.png": "other_file"}


def test_without_identities_every_depth_is_read(tmp_path: Path) -> None:
    fill(tmp_path, "a.png", "x/b.png", "x/y/c.png")
    images = ImageSet.open(tmp_path, identities=False)
    assert names(images) == ["a.png", "x/b.png", "x/y/c.png"]
    assert images.kind == "folder"
    assert images.columns == ()


def test_a_loop_of_links_is_read_once(tmp_path: Path) -> None:
    fill(tmp_path, "x/b.png")
    (tmp_path / "x" / "up").symlink_to(tmp_path)
    images = ImageSet.open(tmp_path, identities=False)
    assert names(images) == ["x/b.png"]
    assert reasons(images) == {"x/up/": "duplicate"}


def test_a_folder_given_through_a_link_is_read(tmp_path: Path) -> None:
    fill(tmp_path / "real", "a.png")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert names(ImageSet.open(tmp_path / "link")) == ["a.png"]


def test_relative_paths_and_strings_are_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, "set/a.png", "set/b.png")
    monkeypatch.chdir(tmp_path / "set")
    for path in (".", "../set", str(tmp_path / "set" / ".." / "set")):
        assert ImageSet.open(path) == ImageSet.open(tmp_path / "set")


def test_names_that_are_not_utf8_become_valid_text(tmp_path: Path) -> None:
    fill(tmp_path, "a.png")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")).write_bytes(PNG)
    images = ImageSet.open(tmp_path)
    assert names(images) == ["a.png", "caf\\xe9.png"]
    assert read(images.items[1]) == PNG


@contextmanager
def forbidden(path: Path) -> Iterator[None]:
    """Remove read permission; root, who needs none, becomes an unprivileged user."""
    path.chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        path.chmod(0o700)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, unlike those of pytest."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_an_unreadable_sub_folder_is_rejected(open_folder: Path) -> None:
    fill(open_folder, "ann/1.png", "bob/1.png")
    with forbidden(open_folder / "bob"):
        images = ImageSet.open(open_folder)
    assert names(images) == ["ann/1.png"]
    assert reasons(images) == {"bob/": "unreadable"}


def test_an_unreadable_file_is_rejected_by_read(open_folder: Path) -> None:
    fill(open_folder, "a.png")
    (item,) = ImageSet.open(open_folder).items
    with forbidden(item.path), pytest.raises(ImageError) as caught:
        read(item)
    assert caught.value.reason == "unreadable"


def test_read_reports_changes_since_listing(tmp_path: Path) -> None:
    gone, emptied = ImageSet.open(fill(tmp_path, "a.png", "b.png")).items
    with pytest.raises(ImageError, match=r"a\.png: too_large"):
        read(gone, Limits(max_bytes=len(PNG) - 1))
    gone.path.unlink()
    emptied.path.write_bytes(b"")
    with pytest.raises(ImageError, match=r"a\.png: missing"):
        read(gone)
    with pytest.raises(ImageError, match=r"b\.png: empty"):
        read(emptied)


def test_a_missing_folder_is_named_with_a_similar_one(tmp_path: Path) -> None:
    fill(tmp_path, "generated/a.png")
    with pytest.raises(InputError, match=r"There is nothing at .*generatd\..*Did you mean .*generated\?"):
        ImageSet.open(tmp_path / "generatd")
    with pytest.raises(InputError, match=r"Its folder .*no does not exist either"):
        ImageSet.open(tmp_path / "no" / "such")


def test_an_image_given_for_its_folder_is_explained(tmp_path: Path) -> None:
    fill(tmp_path, "a.png")
    with pytest.raises(InputError, match=r"a\.png is a file\. Give the folder"):
        ImageSet.open(tmp_path / "a.png")


def test_a_folder_without_a_usable_image_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is empty"):
        ImageSet.open(tmp_path)
    (tmp_path / "zero.png").touch()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match=r"No image in .* \(1 other_file, 1 empty\)"):
        ImageSet.open(tmp_path)


@pytest.mark.parametrize("name", ["cfg=7.5", "x" * 300, "null\0character"])
def test_a_missing_folder_with_an_unusual_name_is_an_input_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="There is nothing at"):
        ImageSet.open(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (encode(picture(), "GIF"), "format GIF: convert it to PNG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200), "format HEIC: install pillow-heif"),
        (b"\xff\x0a" + bytes(50), "format JPEG XL"),
    ],
)
def test_a_file_of_an_unsupported_format_is_a_loss_under_any_suffix(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    fill(tmp_path, "a.png")
    for name in ("b.jpg", "c.heic"):
        (tmp_path / name).write_bytes(content)
    images = ImageSet.open(tmp_path)
    rejected = {entry.name: entry for entry in images.rejected}
    for item in images.items[1:]:
        with pytest.raises(ImageError) as caught:
            decode(read(item), item.name)
        rejected[item.name] = Rejected(item.name, caught.value.reason, caught.value.detail)
    assert sorted(rejected) == ["b.jpg", "c.heic"]
    for entry in rejected.values():
        assert entry.reason == "unsupported"
        assert entry.counts
        assert entry.detail.startswith(reason)


def test_the_content_decides_and_not_the_suffix(tmp_path: Path) -> None:
    fill(tmp_path, "phone.heic", "moving.gif")
    images = ImageSet.open(fill(tmp_path, "a.png"))
    assert names(images) == ["a.png", "moving.gif", "phone.heic"]
    assert all((decode(read(item)) == picture()).all() for item in images.items)


@pytest.mark.parametrize(
    "pair",
    [("Anna", "anna"), ("Zo\u00e9", "Zoe\u0301"), ("Ann Lee", "Ann\u00a0Lee"), ("STRASSE", "stra\u00dfe")],
)
def test_identities_that_look_alike_are_rejected(tmp_path: Path, pair: tuple[str, str]) -> None:
    fill(tmp_path, *(f"{name}/1.png" for name in pair))
    with pytest.raises(InputError, match="differ only in letter case, Unicode form or spaces"):
        ImageSet.open(tmp_path)
    assert len(ImageSet.open(tmp_path, identities=False)) == 2
