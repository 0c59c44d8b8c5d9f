"""Numbers in README and docs are written by commands, where a mark names their record."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from facebench.evaluation.record_reading import load_run
from tools.docs_numbers import ROOT, pages, written

BASELINES = ROOT / "results" / "baselines"
PAGE = """A distance of <!-- value: goldens.json fd_lite0 -->0<!-- /value -->.

<!-- record: goldens.json metrics: fd_lite0 recall_lite0 -->
```
$ facebench evaluate a
old
```
"""


def test_values_and_tables_are_those_of_the_record() -> None:
    text = written(PAGE, BASELINES)
    value = load_run(BASELINES / "goldens.json").metrics["fd_lite0"].value
    assert f"-->{value:.2f}<!--" in text
    assert "$ facebench evaluate a\ngoldens · quality · compact\n" in text
    assert re.findall(r"^│ (\w+)", text, re.MULTILINE) == ["fd_lite0", "recall_lite0"]
    assert written(text, BASELINES) == text


def test_a_japanese_page_has_a_japanese_table() -> None:
    assert "┃ 指標" in written(PAGE, BASELINES, "ja")


@pytest.mark.parametrize("page", list(pages()), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_mark_is_one_that_the_tool_fills(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"<!-- record: \S+ metrics: ([^>]*?) -->\n```\n(.*?)\n```", text, re.DOTALL)
    assert len(blocks) == text.count("<!-- record: ")
    for metrics, block in blocks:
        assert all(f" {metric} " in block for metric in metrics.split())


def test_both_languages_show_the_same_numbers() -> None:
    numbers = [
        re.findall(r"│ (\w+) .*?│ +([\d.]+)", (ROOT / name).read_text(encoding="utf-8"))
        for name in ("README.md", "README.ja.md")
    ]
    assert numbers[0]
    assert numbers[0] == numbers[1]
