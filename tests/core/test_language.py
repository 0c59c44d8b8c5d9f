"""The language is chosen by a block, by FACEBENCH_LANG, or by the locale."""

from __future__ import annotations

import pytest

from facebench.core.errors import InputError
from facebench.core.language import language, languages, translate, use_language


@pytest.fixture(autouse=True)
def _no_language(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FACEBENCH_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "en"),
        ({"LANG": "ja_JP.UTF-8"}, "ja"),
        ({"LANG": "ja"}, "ja"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "ja_JP.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "ja_JP.UTF-8", "FACEBENCH_LANG": "en"}, "en"),
        ({"FACEBENCH_LANG": "ja"}, "ja"),
    ],
)
def test_the_language_of_the_environment(
    variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert language() == expected


def test_a_block_overrides_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEBENCH_LANG", "ja")
    with use_language("en"):
        assert language() == "en"
        with use_language(None):
            assert language() == "en"
    assert language() == "ja"


def test_an_unknown_language_is_an_input_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEBENCH_LANG", "jp")
    with pytest.raises(InputError, match=r"does not write the language 'jp'\. Known: en, ja\."):
        language()


def test_every_language_translates() -> None:
    for name in languages():
        with use_language(name):
            assert translate("95 % interval") == {"en": "95 % interval", "ja": "95 % 信頼区間"}[name]
