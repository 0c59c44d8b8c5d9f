"""Escaping: no text can end the cell, line or command that contains it."""

from __future__ import annotations

import csv
import io
import re
import xml.etree.ElementTree as xml

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.core.escape import (
    escape_csv,
    escape_html,
    escape_latex,
    escape_markdown,
    escape_terminal,
    escape_workflow_message,
    escape_workflow_property,
    escape_xml,
    latex_comment,
    visible,
)

# st.text() excludes surrogates, which file names on Linux can contain.
TEXTS = st.text(st.characters()) | st.text(
    "\n\r\t\x00\x1b\x85\u2028\u202e\udcff:#[]=+-@ab \\|`<>&%", max_size=12
)
OUTPUTS = [
    escape_html,
    escape_xml,
    escape_latex,
    latex_comment,
    escape_markdown,
    escape_csv,
    escape_terminal,
    escape_workflow_message,
    escape_workflow_property,
]


@pytest.mark.parametrize("escape", OUTPUTS)
@given(text=TEXTS)
def test_every_output_is_one_line_of_printable_unicode(escape, text: str) -> None:
    escaped = escape(text)
    assert len(escaped.splitlines()) <= 1
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", escaped)
    escaped.encode("utf-8")


@given(TEXTS)
def test_visible_text_does_not_change_again(text: str) -> None:
    assert visible(visible(text)) == visible(text)


def test_letters_of_all_languages_and_emoji_stay() -> None:
    text = "顔モデル Tomašević ‏שלום 👩‍👩‍👧"
    assert visible(text) == text


def test_multiline_text_keeps_line_feeds_and_tabs_only() -> None:
    assert visible("a\n\tb\r\x1b", multiline=True) == "a\n\tb\\r\\x1b"


@given(TEXTS)
def test_xml_can_be_parsed(text: str) -> None:
    element = xml.Element("case", name=escape_xml(text))
    assert xml.fromstring(xml.tostring(element, encoding="unicode")).get("name") == visible(text)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "＝", "＋", "－", "＠"])
@pytest.mark.parametrize("space", ["", " ", "  ", "\t", "\n", "\u00a0", "\x00"])
def test_a_formula_becomes_text_in_a_spreadsheet(start: str, space: str) -> None:
    assert escape_csv(f"{space}{start}cmd|' /C calc'!A0").startswith("'")


@pytest.mark.parametrize("text", ["\tvalue", " \tvalue", "\rvalue", "\nvalue"])
def test_a_leading_tab_or_line_break_gets_an_apostrophe(text: str) -> None:
    assert escape_csv(text).startswith("'")


@pytest.mark.parametrize("text", ["ours", "a-b", "1.5", "", " ours", "–"])
def test_harmless_cells_do_not_change(text: str) -> None:
    assert escape_csv(text) == text


@given(TEXTS)
def test_csv_cells_read_back_as_one_cell(text: str) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(["first", escape_csv(text)])
    assert next(csv.reader(io.StringIO(out.getvalue()))) == ["first", escape_csv(text)]


@given(TEXTS)
def test_latex_has_no_active_characters(text: str) -> None:
    plain = re.sub(
        r"\\(textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar)\{\}",
        "",
        escape_latex(text),
    )
    plain = re.sub(r"\\[&%$#_{}]", "", plain).replace("-{}", "")
    plain = re.sub(r"\$(\^?\\[a-z]+|-)\$", "", plain)  # symbols such as arrows
    assert not re.search(r"[\\&%$#_{}~^]", plain)


def test_hyphens_stay_hyphens_in_latex_and_a_dash_stays_a_dash() -> None:
    assert escape_latex("a--b---c – d") == "a-{}-b-{}-{}-c -- d"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# heading", r"\# heading"),
        ("- item", r"\- item"),
        ("1. item", r"1\. item"),
        ("2) item", r"2\) item"),
        ("===", r"\==="),
        ("---", r"\---"),
        ("    code", "code"),
        ("[a]: https://example.org", r"[a]\: https://example.org"),
        ("† few images", "† few images"),
    ],
)
def test_a_line_of_markdown_starts_no_block(text: str, expected: str) -> None:
    assert escape_markdown(text, block=True) == expected


@pytest.mark.parametrize("text", ["a\n::error::b", "x ::set-output name=a::b", "##[error]x", "a::b"])
def test_a_log_line_holds_no_workflow_command_wherever_it_wraps(text: str) -> None:
    shown = escape_terminal(text)
    assert "::" not in shown
    assert "##[" not in shown
