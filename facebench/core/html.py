"""Templates of self-contained HTML pages.

A page extends `page.html`, which holds the head, the style sheet, and a script that sorts tables. It loads nothing
and forbids itself to load anything. Every value in a template is escaped.
"""

from __future__ import annotations

from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from facebench.core.escape import escape_html, visible


def environment(package: str) -> Environment:
    r"""Create the Jinja environment for the templates of a package.

    Args:
        package: dotted name of a package with a folder `templates`; its pages find the shared templates too.

    Returns:
        An environment that escapes every value. The filter `preformatted` keeps the line breaks of a value.

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
    return created


def _without_control_characters(value: Any) -> Any:
    """Make control characters visible; markup that is already escaped stays as it is."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _preformatted(text: str) -> Markup:
    return Markup(escape_html(text, multiline=True))
