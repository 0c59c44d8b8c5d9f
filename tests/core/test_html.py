"""Page templates: every value is escaped, and pages of a package extend the shared page."""

from __future__ import annotations

import pytest
from jinja2 import UndefinedError

from facebench.core.html import environment

HOSTILE = "<script>\x00\x1b\n\u202e</script>"


def test_values_are_escaped_in_content_and_in_attributes() -> None:
    template = environment("facebench.core").from_string('<p title="{{ name }}">{{ name }}</p>')
    shown = r"&lt;script&gt;\x00\x1b\n\u202e&lt;/script&gt;"
    assert template.render(name=HOSTILE) == f'<p title="{shown}">{shown}</p>'


def test_preformatted_text_keeps_its_lines_and_nothing_else() -> None:
    template = environment("facebench.core").from_string("{{ text | preformatted }}")
    assert template.render(text="{\n\t<b>\x1b}") == "{\n\t&lt;b&gt;\\x1b}"


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        environment("facebench.core").from_string("{{ nothing }}").render()


@pytest.mark.parametrize(
    "package", ["facebench.compare", "facebench.report.pages", "facebench.studies.factorial"]
)
def test_pages_extend_the_shared_page_of_core(package: str) -> None:
    templates = environment(package)
    assert "page.html" in templates.list_templates()
    page = templates.from_string('{% extends "page.html" %}{% block body %}<h1>x</h1>{% endblock %}').render()
    assert "<h1>x</h1>" in page
    assert "default-src 'none'" in page
    assert "table.facebench" in page
