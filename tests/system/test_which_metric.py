"""The page that leads from a question to a metric names metrics and functions that exist."""

from __future__ import annotations

import re

import pytest

from facebench import metrics
from facebench.evaluation.cards import load_cards
from tests.helpers.paths import REPOSITORY

TABLES = [
    line.split("|")[1:-1]
    for line in (REPOSITORY / "docs" / "which-metric.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("|") and not line.startswith(("|---", "| question"))
]


@pytest.mark.parametrize("cells", TABLES, ids=lambda cells: cells[0].strip())
def test_the_metrics_of_a_question_exist(cells: list[str]) -> None:
    names = [name for cell in cells[1:3] for name in re.findall(r"`([^`]+)`", cell)]
    assert names or "--by" in cells[1]
    for name in names:
        function = name.partition("(")[0]
        known = name in load_cards() or name.startswith(("...", "--by")) or hasattr(metrics, function)
        assert known or name in ("strength", "expression", "prompt", "surroundings"), name


def numbers(cell: str) -> list[int]:
    return [int(part.replace(",", "")) for part in re.findall(r"\d[\d,]*", cell)]


@pytest.mark.parametrize(
    "cells", [cells for cells in TABLES if len(cells) == 6], ids=lambda cells: cells[0].strip()
)
def test_n_is_that_of_a_card(cells: list[str]) -> None:
    sizes = {
        load_cards()[name].reliable_n
        for cell in cells[1:3]
        for name in re.findall(r"`([a-z0-9_]+)`", cell)
        if name in load_cards()
    }
    assert set(numbers(cells[4])) <= sizes


def cells_of(page: str) -> list[list[str]]:
    lines = (REPOSITORY / "docs" / page).read_text(encoding="utf-8").splitlines()
    return [line.split("|")[1:-1] for line in lines if line.startswith("|") and not line.startswith("|---")]


def test_the_japanese_page_has_the_metrics_and_the_n_of_the_english_one() -> None:
    english, japanese = cells_of("which-metric.md"), cells_of("ja/which-metric.md")
    assert len(english) == len(japanese)
    for row, other in zip(english, japanese, strict=True):
        assert [re.findall(r"`([^`]+)`", cell) for cell in row] == [
            re.findall(r"`([^`]+)`", cell) for cell in other
        ]
        if len(row) == 6:
            assert numbers(row[4]) == numbers(other[4])
