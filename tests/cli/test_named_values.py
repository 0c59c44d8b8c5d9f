"""Options that are written NAME=VALUE."""

from __future__ import annotations

from pathlib import Path

import pytest

from facebench.cli.named_values import parse_references, parse_tags
from facebench.core.errors import InputError


@pytest.mark.parametrize(
    ("options", "meant"),
    [
        (None, None),
        (["photographs"], "photographs"),
        (["TFD=a", "FFHQ=b=c"], {"TFD": "a", "FFHQ": "b=c"}),
    ],
)
def test_reference_options_are_folders_or_names_with_folders(options: list[str], meant: object) -> None:
    assert parse_references(options) == meant


@pytest.mark.parametrize("options", [["a", "b"], ["TFD=a", "b"], ["TFD=a", "TFD=b"]])
def test_several_references_without_names_are_refused(options: list[str]) -> None:
    with pytest.raises(InputError, match="need a name each"):
        parse_references(options)


def test_a_folder_with_an_equals_sign_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "lr=1").mkdir()
    assert parse_references([str(tmp_path / "lr=1")]) == str(tmp_path / "lr=1")


@pytest.mark.parametrize(
    ("option", "reason"), [(["base"], "is not NAME=VALUE"), (["a=b", "a=c"], "is given twice")]
)
def test_a_tag_is_a_name_and_a_value(option: list[str], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        parse_tags(option)


@pytest.mark.parametrize("path", ["runs/cfg=7.5", "./lr=1", "/data/a=b/c=d", "x" * 300 + "/a=b"])
def test_a_missing_path_with_an_equals_sign_is_a_path(path: str) -> None:
    assert parse_references([path]) == path
