"""`facebench manifest` on the folders of a lab: columns from paths, counts, and what is left out."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from facebench.images.image_set import ImageSet
from tests.helpers.lab_folders import PATTERN, SOURCE, TARGET, write_lab_folders
from tests.helpers.paper_weights import facebench

LINKS = ("--source", SOURCE, "--target", TARGET)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_lab_folders(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: object, code: int = 0) -> str:
    done = facebench("manifest", *words)
    assert done.code == code, done.text
    return " ".join(done.text.split())


def rows_of(path: str) -> list[dict[str, str]]:
    with Path(path).open() as file:
        return list(csv.DictReader(file))


def test_every_field_is_a_column_and_every_combination_is_counted(lab: Path) -> None:
    (lab / "output_dir_affectnet" / "notes.png").write_bytes(b"x")
    text = run("output_dir_affectnet", "--pattern", PATTERN, *LINKS, "--set", "data=AffectNet")
    assert "wrote manifest.csv: 192 images" in text
    assert "person: 2 (ann, bob)" in text
    assert "every combination has images: 192 of 192" in text
    assert "left out 1 images: notes.png: departs at part 1" in text
    rows = rows_of("manifest.csv")
    assert len(rows) == 192
    assert rows[0] == {
        "image": "output_dir_affectnet/target_obama_01/ann/trainDECA_resnet18_targetDECA_sourceDECA/0.png",
        "source": "albums/ann_aligned/0.png", "target": "targets/obama_aligned/obama01.png",
        "target_person": "obama", "target_name": "01", "person": "ann", "stage": "DECA", "resnet": "18",
        "target_extractor": "DECA", "source_extractor": "DECA", "image_name": "0.png", "data": "AffectNet",
        "identity": "ann",
    }  # fmt: skip
    assert [row["image"] for row in rows_of("manifest-unmatched.csv")] == ["notes.png"]
    images = ImageSet.open("manifest.csv")
    assert (len(images), len(images.linked("source")[0]), len(images.linked("target")[0])) == (192, 4, 3)


def test_two_trees_become_one_manifest_by_a_field_or_by_appending(lab: Path) -> None:
    run(".", "--pattern", f"output_dir_{{data}}/{PATTERN}", *LINKS, "--out", "one.csv")
    run("output_dir_ffhq", "--pattern", PATTERN, *LINKS, "--set", "data=ffhq", "--out", "two.csv")
    words = ("--pattern", PATTERN, *LINKS, "--set", "data=affectnet", "--out", "two.csv", "--append")
    assert "wrote two.csv: 384 images" in run("output_dir_affectnet", *words)
    assert "wrote two.csv: 384 images" in run("output_dir_affectnet", *words)
    one, two = ({tuple(sorted(row.items())) for row in rows_of(name)} for name in ("one.csv", "two.csv"))
    assert one == two


def test_a_pattern_that_matches_nothing_shows_the_nearest_path(lab: Path) -> None:
    text = run("output_dir_ffhq", "--pattern", PATTERN.replace("_resnet", "-resnet"), code=2)
    assert "None of the 192 images matches" in text
    assert "'target_obama_01/ann/trainDECA_resnet18_targetDECA_sourceDECA/0.png', departs at part 3" in text
    assert "'-resnet' is expected after 'train{stage}'" in text
    assert not Path("manifest.csv").exists()


def test_a_missing_album_is_an_error_unless_it_is_allowed(lab: Path) -> None:
    shutil.rmtree("albums/bob_aligned")
    text = run("output_dir_ffhq", "--pattern", PATTERN, *LINKS, code=2)
    assert "The folder albums/bob_aligned does not exist; it holds the source of 96 images." in text
    text = run("output_dir_ffhq", "--pattern", PATTERN, *LINKS, "--allow-missing")
    assert "wrote manifest.csv: 96 images" in text
    assert "left out 96 images" in text
    assert "its source albums/bob_aligned/0.png does not exist" in text


def test_missing_combinations_are_named(lab: Path) -> None:
    shutil.rmtree("output_dir_ffhq/target_obama_02/bob")
    text = run("output_dir_ffhq", "--pattern", PATTERN)
    assert "32 of 192 combinations have no image; the first: target_name 02, person bob, stage DECA" in text


def test_a_linked_image_may_have_another_suffix(lab: Path) -> None:
    Path("albums/ann_aligned/0.png").rename("albums/ann_aligned/0.jpg")
    run("output_dir_ffhq", "--pattern", PATTERN, *LINKS)
    assert rows_of("manifest.csv")[0]["source"] == "albums/ann_aligned/0.jpg"


def test_folders_elsewhere_are_named_roots(lab: Path) -> None:
    words = ("output_dir_ffhq", "--pattern", PATTERN, *LINKS, "--out", "study/here/manifest.csv")
    assert "Name its folder with --root output_dir_ffhq=output_dir_ffhq" in run(*words, code=2)
    text = run(*words, "--root", "lab=.")
    assert (
        "next: facebench evaluate study/here/manifest.csv --protocol expression-transfer --root lab=." in text
    )
    images = ImageSet.open("study/here/manifest.csv", roots={"lab": lab})
    assert images.items[0].name.startswith("@lab/output_dir_ffhq/target_obama_01/")
    assert len(images.linked("source")[0]) == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--set", "data"), "is not NAME=VALUE"),
        (("--set", "image=x"), "The column 'image' holds a path"),
        (("--set", "person=x"), "is also a field of the pattern"),
        (("--source", "albums/{persn}/{image}"), "uses the field 'persn'"),
        (("--out", "manifest.txt"), "does not end in .csv"),
        (("--root", "a=/no/such"), "is not a folder"),
    ],
)
def test_bad_options_are_refused(lab: Path, words: tuple[str, ...], message: str) -> None:
    assert message in run("output_dir_ffhq", "--pattern", PATTERN, *words, code=2)


def test_further_columns_may_be_composed_of_fields(lab: Path) -> None:
    run("output_dir_ffhq", "--pattern", PATTERN, "--set", "model={stage}-{resnet}", "--set", "identity=x")
    assert (rows_of("manifest.csv")[0]["model"], rows_of("manifest.csv")[0]["identity"]) == ("DECA-18", "x")
