"""Draw the rooms of the package and the imports between them: `python tools/draw_rooms.py docs/rooms.svg`.

The diagram is computed from the import statements. Rooms have the order of the import-linter contract.
"""

from __future__ import annotations

import ast
import sys
from html import escape
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "facebench"
LAYERS = (
    ("cli",),
    ("studies",),
    ("report", "training"),
    ("compare",),
    ("evaluation",),
    ("features",),
    ("backbones",),
    ("images", "synthface", "metrics"),
    ("core",),
)
ABOUT = {
    "cli": "commands: parse, call, print",
    "studies": "factorial designs, grids, validation, utility",
    "report": "pages, plots, galleries",
    "training": "models, losses, tasks, editing, DiffusionRig",
    "compare": "leaderboard, gate, differences",
    "evaluation": "cards, protocols, estimates, run record",
    "features": "networks over image sets, feature store",
    "backbones": "networks, face detection, weights",
    "images": "image sets, decoding",
    "synthface": "rendered faces",
    "metrics": "formulas and intervals on arrays",
    "core": "errors, files, tables, progress",
}
WIDTH, ROW, BOX_HEIGHT, BOX_WIDTH = 1060, 78, 46, 252


def imports() -> set[tuple[str, str]]:
    """Return the pairs (room, imported room)."""
    arrows: set[tuple[str, str]] = set()
    for file in PACKAGE.rglob("*.py"):
        room = file.relative_to(PACKAGE).parts[0]
        if room in ABOUT:
            tree = ast.parse(file.read_text(encoding="utf-8"))
            arrows |= {
                (room, target) for node in ast.walk(tree) for target in _targets(node) if target != room
            }
    return arrows


def _targets(node: ast.AST) -> list[str]:
    if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("facebench"):
        return []
    names = [alias.name for alias in node.names] if node.module == "facebench" else [node.module[10:]]
    return [room for name in names if (room := name.split(".")[0]) in ABOUT]


def draw(arrows: set[tuple[str, str]]) -> str:
    """Return the diagram as SVG: boxes by layer, one line for each pair of rooms."""
    centre = {
        room: (WIDTH * (place + 1) / (len(layer) + 1), 40 + ROW * row)
        for row, layer in enumerate(LAYERS)
        for place, room in enumerate(layer)
    }
    lines = [_line(centre[source], centre[target]) for source, target in sorted(arrows)]
    boxes = [_box(room, *position) for room, position in centre.items()]
    height = 40 + ROW * (len(LAYERS) - 1) + BOX_HEIGHT
    caption = f"{len(ABOUT)} rooms; each of the {len(arrows)} lines is an import of a room below"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height + 30}" font-family="sans-serif">',
            '<rect width="100%" height="100%" fill="#ffffff"/>',
            *lines,
            *boxes,
            f'<text x="{WIDTH / 2}" y="{height + 18}" text-anchor="middle" font-size="13" fill="#555">'
            f"{escape(caption)}</text>",
            "</svg>",
            "",
        ]
    )


def _line(start: tuple[float, float], end: tuple[float, float]) -> str:
    (x1, y1), (x2, y2) = start, end
    bend = 0.18 * (y2 - y1) * (1 if (x1 + x2) / 2 >= WIDTH / 2 else -1)
    path = f"M{x1:.0f},{y1:.0f} Q{(x1 + x2) / 2 + bend:.0f},{(y1 + y2) / 2:.0f} {x2:.0f},{y2:.0f}"
    return f'<path d="{path}" fill="none" stroke="#8fa3bf" stroke-width="1.2"/>'


def _box(room: str, x: float, y: float) -> str:
    left, top = x - BOX_WIDTH / 2, y - BOX_HEIGHT / 2
    return (
        f'<rect x="{left:.0f}" y="{top:.0f}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6" fill="#eef3fb" '
        f'stroke="#3d5a80"/><text x="{x:.0f}" y="{y - 3:.0f}" text-anchor="middle" font-size="15" '
        f'font-weight="bold" fill="#1d2d44">{room}</text><text x="{x:.0f}" y="{y + 14:.0f}" text-anchor="middle" '
        f'font-size="11" fill="#444">{escape(ABOUT[room])}</text>'
    )


def main() -> None:
    """Write the diagram to the file named on the command line."""
    Path(sys.argv[1]).write_text(draw(imports()), encoding="utf-8")


if __name__ == "__main__":
    main()
