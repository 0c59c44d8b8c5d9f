"""The catalogue translates finished messages, is complete, and uses one term for one thing."""

from __future__ import annotations

from string import Formatter

import pytest

from facebench.core.catalogue import LOCALES, Catalogue, catalogue
from tools.catalogue import compiled, messages, page_messages, read_catalogue, untranslated

LANGUAGES = sorted(folder.name for folder in LOCALES.iterdir() if folder.is_dir())
GLOSSARY = {
    "impostor pair": ("他人ペア", ("インポスター", "偽者", "他者ペア")),
    "genuine pair": ("本人ペア", ("真正ペア", "正規ペア")),
    "confidence interval": ("信頼区間", ("信頼間隔",)),
    "autoencoder": ("自己符号化器", ("オートエンコーダ", "自動符号化器")),
    "source": ("ソース", ("元画像",)),
    "target": ("ターゲット", ("目標画像",)),
    "valence": ("感情価", ("バレンス",)),
    "arousal": ("覚醒度", ("アロウザル", "喚起度")),
    "threshold": ("しきい値", ("閾値",)),
    "folder": ("フォルダ", ("フォルダー", "ディレクトリ")),
    "recogniser": ("顔認識器", ("認識装置",)),
    "manifest": ("マニフェスト", ("目録",)),
    "run record": ("評価記録", ("実行記録",)),
    "weights": ("重み", ("ウェイト",)),
}
"""English term: its Japanese term, and terms that are not used for it."""


@pytest.fixture(scope="module")
def known() -> set[str]:
    """All messages of the code, the cards and the protocols."""
    return set(messages())


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_message_of_code_cards_and_protocols_is_translated(language: str, known: set[str]) -> None:
    missing = untranslated(read_catalogue(language), known, page_messages())
    assert not missing, f"run `python -m tools.catalogue` and translate {missing[:5]}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_catalogue_has_no_message_that_no_code_builds(language: str, known: set[str]) -> None:
    pages = page_messages()
    stale = [
        message.id
        for message in read_catalogue(language)
        if message.id
        and message.id not in known
        and (message.context, message.id) not in pages
        and not any(file == "typer" for file, _ in message.locations)
    ]
    assert not stale, f"run `python -m tools.catalogue`: {stale[:5]}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_have_the_values_of_their_message(language: str) -> None:
    for message in read_catalogue(language):
        if message.id and message.string:
            assert _fields(message.string) == _fields(message.id), message.id


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_compiled_catalogue_is_that_of_the_texts(language: str) -> None:
    file = LOCALES / language / "LC_MESSAGES" / "facebench.mo"
    assert file.read_bytes() == compiled(read_catalogue(language)), "run `python -m tools.catalogue`"


@pytest.mark.parametrize("term", GLOSSARY)
def test_one_term_for_one_thing(term: str) -> None:
    japanese, others = GLOSSARY[term]
    texts = [str(message.string) for message in read_catalogue("ja") if message.id]
    assert any(japanese in text for text in texts)
    assert not [text for text in texts for other in others if other in text]


def test_japanese_texts_use_japanese_punctuation() -> None:
    for message in read_catalogue("ja"):
        text = str(message.string)
        if message.id and any("ぁ" <= character <= "ん" for character in text):
            assert not any(mark in text for mark in ("。 ", "、 ", "，", "．", "??")), text


def test_a_value_that_is_a_message_is_translated() -> None:
    texts = {"No value: {reason}.": "値なし：{reason}。", "too few images": "画像が少なすぎる"}
    assert Catalogue(texts).translate("No value: too few images.") == "値なし：画像が少なすぎる。"


def test_words_of_a_value_stay() -> None:
    assert Catalogue({"wrote {file}": "{file} に書き出しました", "images": "画像"}).translate(
        "wrote images"
    ) == ("images に書き出しました")


def test_sentences_that_no_message_holds_together_are_translated_one_by_one() -> None:
    texts = {"Few images.": "画像が少ない。", "few people": "人物が少ない", "{n} images in all": "全 {n} 枚"}
    translate = Catalogue(texts).translate
    assert translate("Few images. Another sentence.") == "画像が少ない。Another sentence."
    assert translate("few people; 12 images in all") == "人物が少ない；全 12 枚"


def test_the_longest_message_wins() -> None:
    texts = {"{value} of the images": "{value}／画像", "most of the {kind} images": "{kind} 画像の大半"}
    assert Catalogue(texts).translate("most of the red images") == "red 画像の大半"


def test_braces_of_a_message_are_text() -> None:
    assert Catalogue({"write {{x}} here": "{{x}} と書く"}).translate("write {x} here") == "{x} と書く"


def test_one_word_of_two_pages_may_have_two_translations() -> None:
    known = Catalogue({}, {("report.role", "source"): "ソース", ("card.facts", "source"): "出典"})
    assert known.in_context("report.role", "source") == "ソース"
    assert known.in_context("card.facts", "source") == "出典"
    assert known.in_context("card.facts", "target") == "target"


def test_an_unknown_language_has_no_texts() -> None:
    assert catalogue("xx").translate("95 % interval") == "95 % interval"


def _fields(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in Formatter().parse(text) if name is not None)
