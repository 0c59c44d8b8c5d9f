"""Joined manifests: fields of paths become columns, and equal linked images become one file."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from facebench.images.image_set import ImageSet
from tests.helpers.image_files import encode, picture
from tests.helpers.paper_weights import facebench

PATTERN = "{data}-{resnet:18|50}/{person}/manifest.csv"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two cells of one person; both save the same source photo and the same target."""
    png = encode(picture(), "PNG")
    for number, cell in enumerate(("a-18", "a-50")):
        folder = tmp_path / "transfers" / cell / "ann"
        for name in ("images/0.png", "sources/x.png", "targets/y.png"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            # Bytes after the image tell the files apart.
            (folder / name).write_bytes(png + (f"{number}" if name.startswith("images") else name).encode())
        (folder / "manifest.csv").write_text(
            "image,source,target,expression\nimages/0.png,sources/x.png,targets/y.png,happy\n"
        )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_manifests_of_cells_become_one(place: Path) -> None:
    words = ("manifest", "transfers", "--join", "--pattern", PATTERN, "--set", "identity={person}")
    done = facebench(*words)
    assert done.code == 0, done.text
    assert "wrote manifest.csv: 2 images" in done.text
    rows = list(csv.DictReader((place / "manifest.csv").open()))
    assert [row["resnet"] for row in rows] == ["18", "50"]
    assert [row["image"] for row in rows] == [f"transfers/a-{n}/ann/images/0.png" for n in (18, 50)]
    assert {row["source"] for row in rows} == {"transfers/a-18/ann/sources/x.png"}
    assert {(row["data"], row["person"], row["identity"], row["expression"]) for row in rows} == {
        ("a", "ann", "ann", "happy")
    }
    images = ImageSet.open(place / "manifest.csv")
    assert (len(images), len(images.linked("target")[0])) == (2, 1)


def test_missing_images_are_listed(place: Path) -> None:
    (place / "transfers" / "a-50" / "ann" / "images" / "0.png").unlink()
    done = facebench("manifest", "transfers", "--join", "--pattern", PATTERN)
    assert "wrote manifest.csv: 1 images" in done.text
    assert "its image images/0.png does not exist" in done.text.replace("\n", " ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--pattern", "{data}_{resnet}/{person}/manifest.csv"), "'_' is expected after '{data}'"),
        (
            ("--pattern", "{expression}-{resnet}/{person}/manifest.csv"),
            "column 'expression', which is also a field",
        ),
        (
            ("--pattern", PATTERN, "--source", "x"),
            "--join takes the source and target from the joined manifests",
        ),
    ],
)
def test_bad_joins_are_refused(place: Path, words: tuple[str, ...], message: str) -> None:
    done = facebench("manifest", "transfers", "--join", *words)
    assert done.code == 2
    assert message in " ".join(done.text.split())
