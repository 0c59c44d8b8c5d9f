"""`facebench metrics`, `protocols` and `doctor`: what is available, for reading."""

from __future__ import annotations

import pytest

from facebench.evaluation.cards import card_file
from tests.cli.conftest import Command


@pytest.mark.parametrize(
    "command",
    [
        ["metrics"],
        ["metrics", "fid_clean"],
        ["protocols"],
        ["protocols", "identity"],
        ["protocols", "recognition-utility"],
        ["doctor"],
    ],
)
def test_available_things_are_listed(facebench: Command, command: list[str]) -> None:
    done = facebench(*command)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) > 200


def test_a_metric_names_the_file_of_its_card(facebench: Command) -> None:
    last = facebench("metrics", "fid_clean").stdout.splitlines()[-1]
    assert last == f"card: {card_file('fid_clean')}"
    assert "id: fid_clean" in card_file("fid_clean").read_text(encoding="utf-8")
