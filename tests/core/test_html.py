"""Page templates: every value is escaped, and pages of a package extend the shared page."""

from __future__ import annotations

import re

import pytest
from jinja2 import UndefinedError

from facebench.core.html import environment, translated_page
from facebench.core.language import use_language
from facebench.core.tables import Column, Table
from tests.helpers.paths import REPOSITORY

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


def test_texts_of_scripts_are_translated_with_the_page() -> None:
    page = '<p data-text-count="{shown} of {total} models" data-sort="2"></p>'
    with use_language("ja"):
        assert translated_page(page) == (
            '<p data-text-count="{total} モデル中 {shown} 件を表示" data-sort="2"></p>'
        )


def test_the_choice_of_everything_is_translated_and_names_are_not() -> None:
    page = '<select><option value="">all</option><option value="all">all</option></select>'
    with use_language("ja"):
        assert translated_page(page) == (
            '<select><option value="">すべて</option><option value="all">all</option></select>'
        )


def test_scripts_of_pages_hold_no_sentences() -> None:
    """Scripts read their texts from the page, where the catalogue translates them."""
    folder = REPOSITORY / "facebench"
    scripts = {file: file.read_text(encoding="utf-8") for file in folder.rglob("templates/*.js")}
    for file in folder.rglob("templates/*.html"):
        blocks = re.findall(r"{% block script %}(.*?){% endblock %}", file.read_text(encoding="utf-8"), re.S)
        scripts[file] = "\n".join(blocks)
    assert len(scripts) > 5
    for file, script in scripts.items():
        code = re.sub(r"^\s*//.*$", "", script, flags=re.M)
        sentences = re.findall(r"""["'`]([A-Z][a-z]+ [^"'`]*)["'`]""", code)
        assert sentences == [], file.name


def test_names_of_the_user_are_not_translated() -> None:
    page = '<label translate="no">kind <select></select></label><label>Search</label>'
    with use_language("ja"):
        assert translated_page(page) == page.replace("Search", "検索")
        table = Table([Column("tag-kind", "kind", is_name=True), Column("kind", "kind")]).html()
    assert '<th scope="col" class="number" data-key="tag-kind" title="" translate="no">kind</th>' in table
    assert ">種類</th>" in table
