"""Matplotlib figures as inline SVG with the colours and the font of the page.

Colours are placeholders that become CSS variables, so that a figure follows the light or dark scheme. Text remains
text in the font of the page, so it can be searched and read aloud in all languages. Names from users are in
the legends of the page and not in the figures.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facebench.core.escape import escape_html

RUN_COLOURS = 6
_DASHES = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1, 2)), (0, (1, 1)), (0, (8, 2, 2, 2)))
REFERENCE_COLOURS = 3
_PLACEHOLDERS = {
    "ink": "#010101",
    "line": "#020202",
    "faint": "#030303",
    "paper": "#040404",
    "good": "#050505",
    "bad": "#060606",
    **{f"reference{index}": f"#0707{index:02x}" for index in range(REFERENCE_COLOURS)},
    **{f"run{index}": f"#0808{index:02x}" for index in range(RUN_COLOURS)},
}
INK, LINE, FAINT, GOOD, BAD, REFERENCE = (
    _PLACEHOLDERS[name] for name in ("ink", "line", "faint", "good", "bad", "reference0")
)
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 8.5,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.5,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.4,
    "lines.solid_capstyle": "round",
}


def run_colour(index: int) -> str:
    """Return the colour of a run; colours repeat after six runs."""
    return _PLACEHOLDERS[f"run{index % RUN_COLOURS}"]


def run_dashes(index: int) -> Any:
    """Return the line style of a run, so that lines differ without their colours."""
    return _DASHES[index % len(_DASHES)]


def reference_colour(index: int) -> str:
    """Return the colour of a reference set; colours repeat after three sets."""
    return _PLACEHOLDERS[f"reference{index % REFERENCE_COLOURS}"]


@contextmanager
def drawing(
    name: str, panels: int = 1, size: tuple[float, float] = (4.6, 3.2)
) -> Iterator[tuple[Figure, list[Axes]]]:
    """Create a figure with panels below each other, in the style of the page."""
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(size[0], size[1] * max(1.0, 0.55 * panels)))
        axes = figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
        yield figure, list(axes)


def inline(figure: Figure, name: str, label: str) -> Markup:
    """Return the figure as an `<svg>` element.

    Args:
        figure: the figure.
        name: seed of the identifiers in the SVG; unique on the page.
        label: description for screen readers.
    """
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        out = io.StringIO()
        with warnings.catch_warnings():
            # The browser has the glyphs; matplotlib only measures text with its own font.
            warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
            figure.savefig(out, format="svg", bbox_inches="tight", pad_inches=0.04, transparent=True)
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # not referenced, and not unique on the page
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    for key, placeholder in _PLACEHOLDERS.items():
        text = text.replace(placeholder, f"var(--{key})")
    box = re.search(r'viewBox="[^"]*"', text)
    assert box is not None, "matplotlib writes a viewBox"
    body = text[text.index(">") + 1 :]
    body = re.sub(r"\n\s*", "\n", body)
    return Markup(f'<svg {box[0]} role="img" aria-label="{escape_html(label)}">{body}')
