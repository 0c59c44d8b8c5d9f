"""Usage errors of the command line are in the language of the user."""

from __future__ import annotations

import re

import pytest

from facebench.cli.entry_point import INPUT_ERROR, run_command

ENGLISH = re.compile(r"[A-Za-z]+ [a-z]+ [a-z]+|\b(Invalid|Missing|No such|Got|Option|Did you|Input)\b")
USAGE_ERRORS = {
    "frobnicate": "コマンド 'frobnicate' はありません。",
    "evaluat": "コマンド 'evaluat' はありません。'evaluate', 'validate' のことですか？",
    "networks frobnicate": "コマンド 'frobnicate' はありません。",
    "report": "引数 'runs' がありません。",
    "report runs": "オプション '--html' がありません。",
    "export runs": "オプション '--to' がありません。次から選んでください：",
    "evaluate images --qqq": "オプション --qqq はありません。",
    "evaluate images --nam": "オプション --nam はありません（候補：--all, --name, --tag）。",
    "doctor some thing": "余分な引数があります（some thing）",
    "evaluate --name": "オプション '--name' には値が必要です。",
    "metrics --json=1": "オプション '--json' に値は指定できません。",
    "check a --baseline b --format quick": "'--format' の値が正しくありません：'quick' は次のいずれでもありません",
    "degrade a b --kind blur --strength much": "'--strength' の値が正しくありません：数を指定してください",
    "degrade a b --kind blur --strength 2": "'--strength' の値が正しくありません：1 以下の値を指定してください",
    "synth out --identities 0": "'--identities' の値が正しくありません：1 以上の値を指定してください",
    "synth out --identities few": "'--identities' の値が正しくありません：整数を指定してください",
}


@pytest.mark.parametrize("words", USAGE_ERRORS)
def test_usage_errors_are_japanese(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FACEBENCH_LANG", "ja")
    monkeypatch.setenv("COLUMNS", "200")
    assert run_command(words.split()) == INPUT_ERROR
    printed = capsys.readouterr().err
    assert USAGE_ERRORS[words] in printed
    lines = [line for line in printed.splitlines() if not line.startswith("Usage: ")]
    assert not [line for line in lines if ENGLISH.search(line)]


def test_usage_errors_stay_english_in_english(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FACEBENCH_LANG", "en")
    assert run_command(["evaluat"]) == INPUT_ERROR
    assert "No such command 'evaluat'. Did you mean 'evaluate', 'validate'?" in capsys.readouterr().err
