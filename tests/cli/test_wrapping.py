"""Lines end between words and between Japanese characters, never inside a word or before a full stop."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from facebench.cli.wrapping import wrap


@pytest.mark.parametrize("width", [12, 20, 33])
def test_lines_of_japanese_fit_and_keep_all_characters(width: int) -> None:
    text = "顔の品質のばらつき（SFace、摂動を加えたコピーの平均埋め込みの長さ）。"
    lines = wrap(text, width)
    assert max(map(cell_len, lines)) <= width
    assert "".join(lines) == text
    assert not any(line[0] in "、。）" or line[-1] == "（" for line in lines)


def test_a_word_that_is_wider_than_a_line_stays_whole() -> None:
    assert wrap("metric identity_similarity_sface of people", 12) == [
        "metric",
        "identity_similarity_sface",
        "of people",
    ]
