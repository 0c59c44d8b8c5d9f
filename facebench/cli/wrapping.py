"""Line breaks in texts of any language, by the width of characters on a terminal."""

from __future__ import annotations

import re

from rich.cells import cell_len

_WIDE = "⺀-〾ぁ-鿿豈-﫿！-｠"
_UNIT = re.compile(rf"[（「『【]*(?:[{_WIDE}]|[^\s{_WIDE}]+)[、。，．：；！？）」』】]*")
"""Text without a break inside: a word, or one Japanese character, with the punctuation that belongs to it."""


def units(text: str) -> list[str]:
    """Return the parts of a text between which lines may end.

    Example:
        >>> units("fd_lite0 の値。")
        ['fd_lite0', 'の', '値。']
    """
    return _UNIT.findall(text)


def wrap(text: str, width: int) -> list[str]:
    """Break a text into lines; words that are wider than a line are not cut.

    Args:
        text: the text, without line breaks.
        width: number of columns; a Japanese character takes two.

    Example:
        >>> wrap("Spread of face quality", 12)
        ['Spread of', 'face quality']
        >>> wrap("顔の品質のばらつき", 12)
        ['顔の品質のば', 'らつき']
    """
    lines = [""]
    end = 0
    for match in _UNIT.finditer(text):
        gap = " " if match.start() > end and lines[-1] else ""
        if lines[-1] and cell_len(lines[-1] + gap + match[0]) > width:
            lines.append(match[0])
        else:
            lines[-1] += gap + match[0]
        end = match.end()
    return lines
