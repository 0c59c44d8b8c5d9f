"""Damaged manifests and odd names: a set of images, or one line that names the file."""

from __future__ import annotations

import csv
import io
import os
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facebench.core.errors import FacebenchError, InputError
from facebench.core.escape import (
    escape_csv,
    escape_html,
    escape_latex,
    escape_markdown,
    escape_terminal,
    visible,
)
from facebench.core.files import safe_file_name
from facebench.images.image_set import ImageSet
from facebench.images.names import normal_form
from tests.helpers.image_files import encode, picture
from tests.helpers.mutator import FACTOR, cases, mutate, within

ROWS = [
    {
        "image": f"i{number}.png",
        "identity": f"P{number % 3}",
        "valence": f"{number / 10 - 0.3:.1f}",
        "source": "i0.png",
    }
    for number in range(8)
]
EXAMPLES = settings(
    max_examples=60 * FACTOR,
    derandomize=FACTOR == 1,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for row in ROWS:
        (tmp_path / row["image"]).write_bytes(encode(picture(), "PNG"))
    return tmp_path


def text_of(delimiter: str = ",", encoding: str = "utf-8") -> bytes:
    stream = io.StringIO()
    table = csv.DictWriter(stream, list(ROWS[0]), delimiter=delimiter)
    table.writeheader()
    table.writerows(ROWS)
    return stream.getvalue().encode(encoding)


def parquet(folder: Path) -> bytes:
    pd.DataFrame(ROWS).to_parquet(folder / "made.parquet")
    content = (folder / "made.parquet").read_bytes()
    (folder / "made.parquet").unlink()
    return content


def open_or_refuse(path: Path) -> None:
    try:
        with within(20):
            images = ImageSet.open(path)
            for column in ("source", "target"):
                if column in images.columns:
                    images.linked(column)
    except FacebenchError as error:
        assert str(error)  # noqa: PT017 - both outcomes are right


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("manifest.csv", text_of()),
        ("manifest.csv", text_of(";", "utf-8-sig")),
        ("manifest.tsv", text_of("\t", "utf-16")),
        ("manifest.parquet", b""),
    ],
)
def test_a_damaged_manifest_is_read_or_refused(folder: Path, name: str, content: bytes) -> None:
    content = content or parquet(folder)
    for seed in cases(120):
        (folder / name).write_bytes(mutate(content, seed))
        open_or_refuse(folder / name)


@EXAMPLES
@given(rows=st.lists(st.lists(st.text(max_size=12), min_size=1, max_size=5), min_size=1, max_size=6))
def test_a_manifest_of_any_cells_is_read_or_refused(folder: Path, rows: list[list[str]]) -> None:
    stream = io.StringIO()
    csv.writer(stream).writerows([["image", "identity", "valence", "source"], *rows])
    (folder / "any.csv").write_bytes(stream.getvalue().encode("utf-8", "surrogatepass"))
    open_or_refuse(folder / "any.csv")


@EXAMPLES
@given(st.text())
def test_escaped_text_has_no_control_characters_and_one_line(text: str) -> None:
    for escape in (visible, escape_html, escape_latex, escape_markdown, escape_csv, escape_terminal):
        escaped = escape(text)
        assert not [c for c in escaped if c < " " or "\x7f" <= c < "\xa0"]
        assert len(escaped.splitlines()) <= 1
        escaped.encode("utf-8")


@EXAMPLES
@given(st.text())
def test_normal_forms_do_not_change_again(text: str) -> None:
    assert normal_form(normal_form(text)) == normal_form(text)
    assert normal_form(text.upper().lower()) == normal_form(text.lower().upper().lower())


@EXAMPLES
@given(st.text())
def test_a_safe_file_name_stays_in_its_folder(tmp_path: Path, text: str) -> None:
    file = tmp_path / safe_file_name(text)
    assert file.parent == tmp_path
    file.write_text("x")
    file.unlink()


@pytest.mark.skipif(sys.platform != "linux", reason="file names are Unicode elsewhere")
def test_names_of_any_bytes_are_listed(tmp_path: Path) -> None:
    for number, name in enumerate(
        [b"a\xff.png", b"\x80\x81.png", "é\u0301\u202e.png".encode(), b"x" * 250 + b".png"]
    ):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / os.fsdecode(name)).write_bytes(encode(picture(), "PNG"))
        open_or_refuse(tmp_path / str(number))
    shutil.rmtree(tmp_path / "0")
    with pytest.raises(InputError, match="There is nothing at"):
        ImageSet.open(tmp_path / "0")
