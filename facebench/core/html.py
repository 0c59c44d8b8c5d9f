"""Templates of self-contained HTML pages.

A page extends `page.html`, which holds the head, the style sheet, and a script that sorts tables. It loads nothing
and forbids itself to load anything, except images that its block `images` allows. Every value in a template is escaped.
Scripts read their texts from attributes `data-text-...` of the page, which are translated with it.
"""

from __future__ import annotations

import html
import re
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from facebench.core.escape import escape_html, visible
from facebench.core.language import ENGLISH, language, translate

_MARKUP = re.compile(r"(<(?:script|style|pre)\b.*?</(?:script|style|pre)>|<[^>]*>)", re.DOTALL)
_ATTRIBUTE = re.compile(r'(?<= )(title|aria-label|placeholder|alt|data-text[\w-]*)="([^"]*)"')
_NAMES = ("<td", "<a", "<option")
"""Elements whose single words are names, such as those of models."""
_NO_CHOICE = '<option value="">'
"""The option of a filter that selects everything; its text is not a name."""
_KEPT = 'translate="no"'
"""Attribute of elements whose text is a name of the user, such as a tag."""


def environment(package: str) -> Environment:
    r"""Create the Jinja environment for the templates of a package.

    Args:
        package: dotted name of a package with a folder `templates`; its pages find the shared templates too.

    Returns:
        An environment that escapes every value. The filter `preformatted` keeps the line breaks of a value; the
        filter `script_data` passes JSON without `<`, `>` and `&` into a script element.

    Example:
        >>> environment("facebench.core").from_string("<b>{{ name }}</b>").render(name="<i>\x1b")
        '<b>&lt;i&gt;\\x1b</b>'
    """
    created = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("facebench.core")]),
        autoescape=True,
        finalize=_without_control_characters,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    created.filters["preformatted"] = _preformatted
    created.filters["script_data"] = _script_data
    return created


def translated_page(page: str) -> str:
    """Translate the texts of an HTML page to the language of the user; scripts and records stay as they are.

    Example:
        >>> from facebench.core.language import use_language
        >>> with use_language("ja"):
        ...     translated_page('<p title="no value">95 % interval</p>')
        '<p title="値なし">95 % 信頼区間</p>'
    """
    if language() == ENGLISH:
        return page
    parts = _MARKUP.split(page.replace('<html lang="en">', f'<html lang="{language()}">'))
    for index in range(0, len(parts), 2):
        element = parts[index - 1] if index else ""
        if parts[index].strip() and _KEPT not in element:
            parts[index] = _translated_text(
                parts[index], is_name=element.startswith(_NAMES) and element != _NO_CHOICE
            )
    for index in range(1, len(parts), 2):
        parts[index] = _ATTRIBUTE.sub(_translated_attribute, parts[index])
    return "".join(parts)


def _translated_text(text: str, *, is_name: bool) -> str:
    """Translate the text between two tags; the white space around it stays."""
    words = html.unescape(text.strip())
    if is_name and " " not in words:
        return text
    shown = translate(words)
    return text if shown == words else text.replace(text.strip(), html.escape(shown, quote=False))


def _translated_attribute(match: re.Match[str]) -> str:
    return f'{match[1]}="{html.escape(translate(html.unescape(match[2])))}"'


def _without_control_characters(value: Any) -> Any:
    """Make control characters visible; markup that is already escaped stays as it is."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _preformatted(text: str) -> Markup:
    return Markup(escape_html(text, multiline=True))


def _script_data(text: str) -> Markup:
    """Pass JSON into a script element, where entities are not read.

    Raises:
        ValueError: the text holds a character that could end the element.
    """
    if set("<>&") & set(text):
        raise ValueError("JSON in a script element must escape <, > and &.")
    return Markup(text)
