"""The example notebook of the docs holds the cells of its tool, with outputs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tools.example_notebook import CELLS, NOTEBOOK, execute, is_text, markdown

CONTENT = json.loads(NOTEBOOK.read_text(encoding="utf-8"))


def test_the_committed_notebook_has_the_cells_of_the_tool() -> None:
    assert tuple("".join(cell["source"]) for cell in CONTENT["cells"]) == CELLS, "run: make notebook"


def test_its_outputs_are_small_and_shown() -> None:
    assert NOTEBOOK.stat().st_size < 200_000
    outputs = [output for cell in CONTENT["cells"] for output in cell.get("outputs", [])]
    assert len(outputs) == 6
    page = markdown(CONTENT)
    assert page.count('<div class="output">') == 5
    assert "<svg" in page
    assert "data:image/jpeg" in page
    assert "/tmp" not in page


def test_a_kernel_executes_the_notebook_with_the_same_outputs() -> None:
    pytest.importorskip("nbclient", reason="install facebench[dev]")
    executed = execute()
    assert [plain_outputs(cell) for cell in executed["cells"]] == [
        plain_outputs(cell) for cell in CONTENT["cells"]
    ]
    assert not is_text(CELLS[1])


def plain_outputs(cell: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Kinds and plain texts of the outputs of a cell."""
    return [
        (
            "".join(output.get("text", output.get("data", {}).get("text/plain", []))),
            sorted(output.get("data", {})),
        )
        for output in cell.get("outputs", [])
    ]
