"""Matplotlib figures as inline SVG that takes its colours and its font from the page.

Colours are written as placeholders and become CSS variables, so that one picture is right in light and in dark.
Text stays text: it uses the page's font, which has the letters of the reader's language, and it can be found
and read aloud. No text that a user wrote goes through matplotlib: names stand in the page's own legends.
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

RUN_COLOURS = 6
REFERENCE_COLOURS = 3
_PLACEHOLDERS = {
    "ink": "#010101",
    "line": "#020202",
    "faint": "#030303",
    "paper": "#040404",
    "good": "#050505",
    "bad": "#060606",
    **{f"reference{place}": f"#0707{place:02x}" for place in range(REFERENCE_COLOURS)},
    **{f"run{place}": f"#0808{place:02x}" for place in range(RUN_COLOURS)},
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


def run_colour(place: int) -> str:
    """Colour of the run at a place; they come round again after six."""
    return _PLACEHOLDERS[f"run{place % RUN_COLOURS}"]


def reference_colour(place: int) -> str:
    """Colour of the reference set at a place; they come round again after three."""
    return _PLACEHOLDERS[f"reference{place % REFERENCE_COLOURS}"]


@contextmanager
def drawing(
    name: str, panels: int = 1, size: tuple[float, float] = (3.7, 2.7)
) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure with one or more panels under each other, in the page's style."""
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(size[0], size[1] * max(1.0, 0.55 * panels)))
        axes = figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
        yield figure, list(axes)


def inline(figure: Figure, name: str, label: str) -> Markup:
    """The figure as an `<svg>` for a page; `label` is what a screen reader says."""
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        out = io.StringIO()
        with warnings.catch_warnings():
            # The reader's browser has the glyphs; matplotlib only measures with its own font.
            warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
            figure.savefig(out, format="svg", bbox_inches="tight", pad_inches=0.04, transparent=True)
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # not referred to, and the same in every figure
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    for key, placeholder in _PLACEHOLDERS.items():
        text = text.replace(placeholder, f"var(--{key})")
    box = re.search(r'viewBox="[^"]*"', text)
    assert box is not None, "matplotlib writes a viewBox"
    body = text[text.index(">") + 1 :]
    body = re.sub(r"\n\s*", "\n", body)
    return Markup(f'<svg {box[0]} role="img" aria-label="{Markup.escape(label)}">{body}')
