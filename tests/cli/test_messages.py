"""Lines on the terminal, and errors about missing optional packages."""

from __future__ import annotations

import pytest

from facebench.cli.messages import print_line, print_skipped
from facebench.core.errors import InputError
from facebench.core.extras import requires_extra


def test_lines_are_printed_verbatim(capsys: pytest.CaptureFixture[str]) -> None:
    line = "wrote [bold]folder[/bold] " + "x" * 200
    print_line(line)
    assert capsys.readouterr().out == f"{line}\n"


def test_only_the_first_skipped_files_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    print_skipped([f"{number}.png: no face" for number in range(12)])
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = printed.err.splitlines()
    assert len(lines) == 11
    assert lines[0] == "skipped 0.png: no face"
    assert lines[-1] == "... and 2 more"


def test_a_missing_optional_package_names_the_extra() -> None:
    expected = r"needs the package 'absent'.*pip install 'facebench\[train\]'"
    with pytest.raises(InputError, match=expected), requires_extra("train"):
        raise ModuleNotFoundError("No module named 'absent'", name="absent")
