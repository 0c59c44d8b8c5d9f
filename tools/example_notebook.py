"""Example notebook: `python -m tools.example_notebook` executes its cells and writes docs/notebook.ipynb."""

from __future__ import annotations

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
    """Execute the cells with a Jupyter kernel in a temporary folder and return the notebook (nbformat 4)."""
    import nbformat.v4
    from nbclient import NotebookClient

    notebook = nbformat.v4.new_notebook(
        cells=[
            (nbformat.v4.new_markdown_cell if is_text(cell) else nbformat.v4.new_code_cell)(
                cell, id=f"cell-{number}"
            )
            for number, cell in enumerate(cells)
        ],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=300, record_timing=False, resources=resources).execute()
    notebook.metadata.pop("language_info", None)  # It holds the version of Python.
    content: dict[str, Any] = json.loads(nbformat.writes(notebook))
    return content


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
