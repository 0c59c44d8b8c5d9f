"""The example notebook of the docs holds the cells of its tool, with outputs."""

from __future__ import annotations

import json

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


def test_cells_are_executed_in_one_namespace() -> None:
    notebook = execute(("Text", "value = 2;", "print(value)\nvalue + 1"))
    assert [cell["cell_type"] for cell in notebook["cells"]] == ["markdown", "code", "code"]
    printed, result = notebook["cells"][2]["outputs"]
    assert printed["text"] == ["2\n"]
    assert result["data"]["text/plain"] == ["3"]
    assert not is_text(CELLS[1])
