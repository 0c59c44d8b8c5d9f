"""Documentation site: it builds without a warning, contains every card, and makes no requests to other servers."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperGroup

from facebench.cli import app
from facebench.evaluation.cards import load_cards
from facebench.evaluation.protocols import load_protocols
from tests.helpers.paths import REPOSITORY

ROOT = REPOSITORY
PAGES = sorted([*ROOT.glob("docs/**/*.md"), ROOT / "README.md", ROOT / "README.ja.md"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Site built by `make docs`."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return out


def test_every_metric_and_protocol_has_a_page_that_says_what_its_card_says(site: Path) -> None:
    for metric, card in load_cards().items():
        page = _text(site / "metrics" / metric / "index.html")
        assert card.title in page
        assert all(kind.replace("_", " ") in page for kind in card.claims)
    for name, protocol in load_protocols().items():
        page = _text(site / "protocols" / name / "index.html")
        assert protocol.title in page
        assert all(metric in page for ids in protocol.suites.values() for metric in ids)


def test_the_api_is_there_with_its_examples_as_code(site: Path) -> None:
    page = (site / "api" / "metrics" / "index.html").read_text(encoding="utf-8")
    assert 'id="facebench.metrics.frechet_distance"' in page
    assert re.search(r'<div class="[^"]*highlight[^"]*"><pre>.*?gp">&gt;&gt;&gt; ?</span>', page, re.DOTALL)


def test_start_pages_lead_to_each_other(site: Path) -> None:
    english = (site / "index.html").read_text(encoding="utf-8")
    japanese = (site / "ja" / "index.html").read_text(encoding="utf-8")
    assert 'href="ja/"' in english
    assert "使い方" in japanese
    assert re.search(r'href="\.\./?"', japanese)


def test_nothing_is_loaded_from_another_server(site: Path) -> None:
    files = list(site.rglob("*.html"))
    assert len(files) > len(load_cards())
    for file in files:
        found = _Loads()
        found.feed(file.read_text(encoding="utf-8"))
        assert all(not re.match(r"(https?:)?//", address) for address in found.addresses), file
    for style in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*['\"]?(https?:)?//", style.read_text(encoding="utf-8")), (
            style
        )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_the_documentation_exist(page: Path) -> None:
    group = typer.main.get_command(app)
    for line in _commands(page.read_text(encoding="utf-8")):
        _check(group, shlex.split(line, comments=True)[1:], f"{page.name}: {line}")


def _check(command: object, words: list[str], place: str) -> None:
    """Resolve sub-commands, and check that every used option exists."""
    while isinstance(command, TyperGroup) and words and not words[0].startswith("-"):
        assert words[0] in command.commands, place
        command, words = command.commands[words[0]], words[1:]
    known = {
        option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
    }  # type: ignore[attr-defined]
    assert {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)} <= {
        *known,
        "--help",
        "-h",
    }, place


def _commands(text: str) -> list[str]:
    """Return the `facebench ...` lines of shell blocks, with continued lines joined."""
    blocks = re.findall(r"^```(?:bash|console)?\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.strip().removeprefix("$ ") for line in lines if re.match(r"\s*(\$ )?facebench ", line)]


class _Loads(HTMLParser):
    """Collect the URLs that a browser requests."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        fetched = named.get("src") or (
            named.get("href") if tag == "link" and named.get("rel") != "canonical" else ""
        )
        self.addresses.append(fetched or "")


def _text(file: Path) -> str:
    """Return the visible text of a page."""
    found = _Shown()
    found.feed(file.read_text(encoding="utf-8"))
    return "".join(found.parts)


class _Shown(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)
