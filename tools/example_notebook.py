"""Example notebook: `python -m tools.example_notebook` executes its cells and writes docs/notebook.ipynb with outputs.

The cells run in one process, as a kernel would run them; the last expression of a cell is its output.
"""

from __future__ import annotations

import ast
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).parents[1] / "docs" / "notebook.ipynb"
CELLS = (
    """# facebench in a notebook

Runs, comparisons, leaderboards, check reports and factorial studies show themselves. This notebook renders two small
sets of faces, evaluates them, and looks at the worst images. It needs no download.""",
    """import facebench
from facebench import synthface

synthface.write("good", identities=6, images=4, size=128, seed=1);""",
    """synthface.degrade("blurred", "good", "blur", 0.4);""",
    """metrics = [
    "face_quality_sface",
    "genuine_mean_sface",
    "impostor_mean_sface",
    "eer_sface",
    "sharpness",
    "face_found",
]
good = facebench.evaluate("good", protocol="identity", metrics=metrics)
good""",
    "An unknown name suggests the ids that exist:",
    """try:
    good.metrics["eer_sfaec"]
except KeyError as error:
    print(error)""",
    "The distribution of a metric over the images, with its mean and interval:",
    """good.plot("face_quality")""",
    """good.plot("scores")""",
    "The worst images, read from where they were evaluated:",
    """blurred = facebench.evaluate("blurred", protocol="identity", metrics=metrics)
blurred.images(worst="face_quality", n=6)""",
    "Two runs are compared over the images that both have:",
    """facebench.compare(good, blurred)""",
)
"""Text and code; text begins with a capital letter or a heading."""


def is_text(cell: str) -> bool:
    """Return whether a cell is text."""
    return cell[0] == "#" or cell[0].isupper()


def execute(cells: tuple[str, ...] = CELLS) -> dict[str, Any]:
    """Execute the cells in a temporary folder and return the notebook (nbformat 4)."""
    names: dict[str, Any] = {}
    found: list[dict[str, Any]] = []
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for number, cell in enumerate(cells):
                if is_text(cell):
                    found.append(_cell(number, cell, "markdown"))
                    continue
                outputs = _outputs(cell, names)
                code = {"execution_count": len([one for one in found if "outputs" in one]) + 1}
                found.append(_cell(number, cell, "code") | code | {"outputs": outputs})
        finally:
            os.chdir(before)
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return {"cells": found, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}


def _cell(number: int, source: str, kind: str) -> dict[str, Any]:
    return {
        "id": f"cell-{number}",
        "cell_type": kind,
        "metadata": {},
        "source": source.splitlines(keepends=True),
    }


def _outputs(code: str, names: dict[str, Any]) -> list[dict[str, Any]]:
    """Run one cell; return what it printed and the value of its last expression."""
    import contextlib
    import io

    printed = io.StringIO()
    tree = ast.parse(code)
    last = (
        tree.body.pop() if isinstance(tree.body[-1], ast.Expr) and not code.rstrip().endswith(";") else None
    )
    value = None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "cell", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        outputs.append(
            {"output_type": "stream", "name": "stdout", "text": printed.getvalue().splitlines(True)}
        )
    if value is not None:
        data = {"text/plain": [repr(value)]}
        if hasattr(value, "_repr_html_"):
            data["text/html"] = value._repr_html_().splitlines(keepends=True)
        outputs.append({"output_type": "execute_result", "execution_count": 1, "metadata": {}, "data": data})
    return outputs


def markdown(notebook: dict[str, Any]) -> str:
    """Return a notebook as a page of the site."""
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            plain = "".join(output.get("text", data.get("text/plain", [])))
            html = "".join(data.get("text/html", []))
            lines = "\n".join(line for line in html.splitlines() if line.strip())
            parts.append(
                f'<div class="output">\n{lines}\n</div>' if html else f"```text\n{plain.rstrip()}\n```"
            )
    return "\n\n".join(parts) + "\n"


def main() -> int:
    """Execute the notebook and write it."""
    os.environ["FACEBENCH_LANG"] = "en"
    NOTEBOOK.write_text(json.dumps(execute(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"wrote {NOTEBOOK}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
