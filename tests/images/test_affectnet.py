"""AffectNet's published layouts: labels, excluded classes, and missing images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facebench.core.errors import InputError
from facebench.images.affectnet import affectnet, affectnet_split


def folders(root: Path, labels: list[tuple[str, str, str]], split: str = "val") -> Path:
    """Write images and annotations as AffectNet does: one text in each NumPy file."""
    images, notes = root / f"{split}_set" / "images", root / f"{split}_set" / "annotations"
    images.mkdir(parents=True)
    notes.mkdir()
    for number, values in enumerate(labels):
        Image.fromarray(np.full((32, 32, 3), number, np.uint8)).save(images / f"{number}.jpg")
        for name, value in zip(("exp", "val", "aro"), values, strict=True):
            np.save(notes / f"{number}_{name}.npy", np.array(value))
    return root


def test_classes_eight_to_ten_are_left_out_and_counted(tmp_path: Path) -> None:
    labels = [("1", "0.8", "0.3"), ("8", "0", "0"), ("9", "-2", "-2"), ("10", "-2", "-2"), ("0", "-2", "-2")]
    images = affectnet(folders(tmp_path, labels), "val")
    assert images.column("expression") == ["happy", "neutral"]
    assert images.column("valence") == ["0.8", None]
    assert images.warnings == (
        "3 images of AffectNet's classes 8 to 10 (none, uncertain, no face) are not used",
    )


def test_missing_images_of_the_table_are_listed(tmp_path: Path) -> None:
    place = tmp_path / "Manually_Annotated_Images" / "7"
    place.mkdir(parents=True)
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(place / "0.jpg")
    rows = ["subDirectory_filePath,expression,valence,arousal", "7/0.jpg,1,0.8,0.25", "7/1.jpg,6,-0.5,0.25"]
    (tmp_path / "validation.csv").write_text("\n".join(rows))
    images = affectnet(tmp_path, "val")
    assert len(images) == 1
    assert [(file.name, file.reason) for file in images.rejected] == [
        ("Manually_Annotated_Images/7/1.jpg", "missing")
    ]


def test_annotations_whose_image_is_missing_are_listed(tmp_path: Path) -> None:
    folders(tmp_path, [("1", "0.8", "0.3"), ("6", "-0.5", "0.25"), ("8", "0", "0")])
    for number in (1, 2):
        (tmp_path / "val_set" / "images" / f"{number}.jpg").unlink()
    images = affectnet(tmp_path, "val")
    assert images.column("expression") == ["happy"]
    assert [(file.name, file.reason) for file in images.rejected] == [("val_set/images/1.jpg", "missing")]
    assert len(images.warnings) == 1, "the image of class 8 counts as one of the unused classes"


def test_the_validation_set_is_preferred(tmp_path: Path) -> None:
    assert affectnet_split(tmp_path) is None
    folders(tmp_path, [("1", "0", "0")], "train")
    assert affectnet_split(tmp_path) == "train"
    folders(tmp_path, [("1", "0", "0")], "val")
    assert affectnet_split(tmp_path) == "val"


def test_annotations_that_hold_code_or_no_number_are_refused(tmp_path: Path) -> None:
    folders(tmp_path, [("happy", "0", "0")])
    with pytest.raises(InputError, match="'happy', '0', '0' are not numbers"):
        affectnet(tmp_path, "val")
    for name, value in (("exp", "1"), ("val", "7")):
        np.save(tmp_path / "val_set" / "annotations" / f"0_{name}.npy", np.array(value))
    with pytest.raises(InputError, match="valence 7 and arousal 0 lie outside -1 to 1"):
        affectnet(tmp_path, "val")
    np.save(tmp_path / "val_set" / "annotations" / "0_exp.npy", np.array([object()]), allow_pickle=True)
    with pytest.raises(InputError, match=r"0_exp\.npy is not a NumPy file of one number"):
        affectnet(tmp_path, "val")


def cage(root: Path, rows: list[str], split: str = "val") -> Path:
    """Write CAGE's table in its own folder, and an image for each row whose number is even."""
    images, notes = root / f"{split}_set" / "images", root / "affectnet_annotations"
    images.mkdir(parents=True)
    notes.mkdir(exist_ok=True)
    for row in rows:
        number = row.partition(",")[0]
        if number.isdigit() and int(number) % 2 == 0:
            Image.fromarray(np.full((32, 32, 3), int(number), np.uint8)).save(images / f"{number}.jpg")
    table = notes / f"{split}_set_annotation_without_lnd.csv"
    table.write_text("\n".join(["number,exp,val,aro", *rows]))
    return table


def test_the_table_of_cage_is_read_from_its_folder_or_directly(tmp_path: Path) -> None:
    table = cage(tmp_path, ["0,0,-0.176846,-0.0776398", "2,4,-0.06,0.53", "3,1,0.5,0.1", "4,8,-2,-2"])
    for root in (tmp_path, table):
        assert affectnet_split(root) == "val"
        images = affectnet(root, "val")
        assert images.column("expression") == ["neutral", "afraid"]
        assert images.column("valence") == ["-0.176846", "-0.06"]
        assert [(Path(file.name).name, file.reason) for file in images.rejected] == [("3.jpg", "missing")]
        assert len(images.warnings) == 1
    cage(tmp_path, ["2,1,0.5,0.5"], "train")
    assert affectnet(tmp_path, "train").column("expression") == ["happy"]


def test_a_damaged_table_of_cage_names_the_line(tmp_path: Path) -> None:
    table = cage(tmp_path, ["0,0,0,0", "first,4,-0.06,0.53"])
    with pytest.raises(InputError, match=r"without_lnd.csv, line 3: the number of the image is 'first'"):
        affectnet(table, "val")
    (tmp_path / "val_set" / "images").rename(tmp_path / "val_set" / "pictures")
    with pytest.raises(InputError, match="its images are in none of"):
        affectnet(table, "val")
    table.write_text("number,exp,val\n0,0,0")
    with pytest.raises(InputError, match="CAGE's table with the columns number, exp, val, aro"):
        affectnet(table, "val")
