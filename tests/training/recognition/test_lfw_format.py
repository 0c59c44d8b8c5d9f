"""LFW folders: pairs.txt and the images it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from facebench.core.errors import InputError
from facebench.training.recognition.lfw_format import read_lfw


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("ann/ann_0001.jpg", "ann/ann_0002.png", "bob/bob_0001.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize("separator", ["\t", " "])
@pytest.mark.parametrize("counts", ["", "10\t300\n"])
def test_genuine_and_impostor_pairs_are_read_in_order(folder: Path, separator: str, counts: str) -> None:
    lines = (("ann", "1", "2"), ("ann", "2", "bob", "1"))
    (folder / "pairs.txt").write_text(counts + "".join(separator.join(line) + "\n" for line in lines))
    images, same = read_lfw(folder)
    names = [path.relative_to(folder).as_posix() for path in images]
    assert names == ["ann/ann_0001.jpg", "ann/ann_0002.png", "ann/ann_0002.png", "bob/bob_0001.jpg"]
    assert same == [True, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no pairs"),
        ("ann 1\n", "line 1: expected three or four words, found 2"),
        ("ann 1 3\n", "does not contain ann/ann_0003"),
        ("ann 1 one\n", "line 1: 'ann one' names no image"),
        ("../secret 1 2\n", r"line 1: '\.\./secret 1' names no image"),
        ("..\t1\t2\n", r"line 1: '\.\. 1' names no image"),
    ],
)
def test_invalid_lines_are_refused_with_their_number(folder: Path, text: str, message: str) -> None:
    (folder / "pairs.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        read_lfw(folder)
