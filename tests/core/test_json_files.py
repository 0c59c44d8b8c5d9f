"""Strict reading of JSON and YAML: whatever the text is, the result is a value or a ValueError in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from facebench.core.errors import InputError
from facebench.core.json_files import parse_json, read_json


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 200_000, "nested too deeply"),
        ("[NaN]", "NaN is not a JSON number"),
        ('{"a": 1e999}', "out of range"),
        ("9" * 30, "more than 20 digits"),
        ("9" * 5000, "more than 20 digits"),
        (r'{"\ud800": 1}', "lone surrogate"),
        (r'[["\udfff"]]', "lone surrogate"),
        ("", "Expecting value"),
        ("{} {}", "Extra data"),
    ],
)
def test_text_that_is_not_strict_json_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        parse_json(text)
    assert "\n" not in str(caught.value)


def test_a_pair_of_surrogates_is_a_character() -> None:
    assert parse_json(json.dumps(["😀"])) == ["😀"]


@pytest.mark.parametrize("content", [b"\xff\xfe", b"{", b""])
def test_the_error_names_the_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.json is not readable JSON"):
        read_json(tmp_path / "a.json")


def test_a_folder_is_not_a_json_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_json(tmp_path)
