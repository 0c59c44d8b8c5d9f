r"""Escaping of untrusted text, one function for each output format.

File names, run names, tags, notes and reasons come from users and from other people's run folders. Every output
passes such text through the function of its format. All functions first replace control characters by visible
escapes such as `\n` or `\x1b`, so that a name can neither end a line nor control a terminal.
"""

from __future__ import annotations

import html
import re

# Control characters, line and paragraph separators, bidirectional overrides, lone surrogates, noncharacters.
# XML 1.0 cannot represent any of the C0 controls, surrogates and noncharacters, not even escaped.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "↑": r"$\uparrow$",
        "↓": r"$\downarrow$",
        "†": r"$^\dagger$",
        "±": r"$\pm$",
        "−": "$-$",
        "×": r"$\times$",
        "≤": r"$\leq$",
        "≥": r"$\geq$",
    }
)
# What a spreadsheet may run: a formula in ASCII or full width, after any white space, or a leading tab or line break.
_FORMULA = re.compile(r"[\s\x00]*[=+\-@＝＋－＠]| *[\t\r\n]")
_MARKDOWN = re.compile(r"[\\|*_`~$]")
_MARKDOWN_BLOCK = re.compile(r"^(\d*)([#+\-=.)])")


def visible(text: str, *, multiline: bool = False) -> str:
    r"""Replace control characters by visible escapes.

    Args:
        text: any text.
        multiline: keep line feeds and tabs.

    Example:
        >>> visible("a\nb\x1b[31m")
        'a\\nb\\x1b[31m'
        >>> visible("a\nb\r", multiline=True)
        'a\nb\\r'
    """

    def replace(match: re.Match[str]) -> str:
        character = match[0]
        if multiline and character in "\n\t":
            return character
        return character.encode("unicode_escape").decode("ascii")

    return _CONTROL.sub(replace, text)


def escape_html(text: str, *, multiline: bool = False) -> str:
    """Escape text for HTML content and for quoted attributes.

    Args:
        text: any text.
        multiline: keep line feeds and tabs, for `<pre>`.

    Example:
        >>> escape_html('<b title="x">')
        '&lt;b title=&quot;x&quot;&gt;'
    """
    return html.escape(visible(text, multiline=multiline))


def escape_xml(text: str) -> str:
    r"""Remove what XML 1.0 cannot represent; the XML writer escapes the markup.

    Example:
        >>> escape_xml("a\x00<b>")
        'a\\x00<b>'
    """
    return visible(text)


def escape_latex(text: str) -> str:
    r"""Escape text for LaTeX in text mode.

    Example:
        >>> escape_latex("a_b & 50% \\input{x}")
        'a\\_b \\& 50\\% \\textbackslash{}input\\{x\\}'
    """
    escaped = re.sub("-(?=-)", "-{}", visible(text).translate(_LATEX))  # hyphens in a row would become a dash
    return escaped.replace("–", "--")


def latex_comment(text: str) -> str:
    r"""Format text as one LaTeX comment line.

    Example:
        >>> latex_comment("few images\n\\input{x}")
        '% few images\\n\\input{x}'
    """
    return f"% {visible(text)}"


def escape_markdown(text: str, *, block: bool = False) -> str:
    r"""Escape text for GitHub-flavoured Markdown.

    Brackets stay readable, because intervals have them; only those of links are escaped.

    Args:
        text: any text.
        block: whether the text starts a line, where a heading, a list or a rule could begin.

    Example:
        >>> escape_markdown("a_b | [click](https://example.org) [1.10, 1.40]")
        'a\\_b \\| [click]\\(https://example.org) [1.10, 1.40]'
        >>> escape_markdown("1. first", block=True)
        '1\\. first'
    """
    escaped = _MARKDOWN.sub(lambda match: "\\" + match[0], visible(text))
    escaped = escaped.replace("](", "]\\(").replace("]:", "]\\:")
    if block:
        escaped = _MARKDOWN_BLOCK.sub(r"\1\\\2", escaped.lstrip())
    return html.escape(escaped, quote=False)


def escape_csv(text: str) -> str:
    r"""Escape a text cell or a header of a CSV file; the CSV writer adds the quotes.

    Text that a spreadsheet would run as a formula gets a leading apostrophe.

    Example:
        >>> escape_csv("=cmd|' /C calc'!A0"), escape_csv("  @SUM(A1)"), escape_csv("a-b")
        ("'=cmd|' /C calc'!A0", "'  @SUM(A1)", 'a-b')
    """
    return f"'{visible(text)}" if _FORMULA.match(text) else visible(text)


def escape_terminal(text: str, *, multiline: bool = False) -> str:
    r"""Escape text for a terminal and for the log of a build server.

    Workflow commands of GitHub (`::error::`, `##[error]`) become text, wherever the line is wrapped.

    Args:
        text: any text.
        multiline: keep line feeds and tabs.

    Example:
        >>> escape_terminal("a\n::error::b")
        'a\\n\\x3a:error\\x3a:b'
    """
    return visible(text, multiline=multiline).replace("::", r"\x3a:").replace("##[", r"\x23#[")


def escape_workflow_message(text: str) -> str:
    r"""Escape the message of a GitHub workflow command; line feeds stay line feeds in the annotation.

    Example:
        >>> escape_workflow_message("100%\n::error::x")
        '100%25%0A::error::x'
    """
    return "%0A".join(visible(line).replace("%", "%25") for line in text.split("\n"))


def escape_workflow_property(text: str) -> str:
    """Escape a property of a GitHub workflow command, such as its title.

    Example:
        >>> escape_workflow_property("a, b: c")
        'a%2C b%3A c'
    """
    return escape_workflow_message(text).replace(":", "%3A").replace(",", "%2C")
