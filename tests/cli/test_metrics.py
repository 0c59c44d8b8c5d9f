"""`facebench metrics`, `protocols` and `doctor`: what is available, for reading."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from facebench.cli.metrics import _print_list
from facebench.evaluation.cards import card_file, find_card, load_cards
from facebench.evaluation.protocols import load_protocols
from tests.cli.conftest import Command


@pytest.mark.parametrize(
    "command",
    [
        ["metrics"],
        ["metrics", "fid_clean"],
        ["protocols"],
        ["protocols", "identity"],
        ["protocols", "recognition-utility"],
        ["doctor"],
    ],
)
def test_available_things_are_listed(facebench: Command, command: list[str]) -> None:
    done = facebench(*command)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) > 200


def test_a_metric_names_the_file_of_its_card(facebench: Command) -> None:
    last = facebench("metrics", "fid_clean").stdout.splitlines()[-1]
    assert last == f"card: {card_file('fid_clean')}"
    assert "id: fid_clean" in card_file("fid_clean").read_text(encoding="utf-8")


def test_a_pipe_gets_one_line_per_metric_with_name_direction_and_title(facebench: Command) -> None:
    done = facebench("metrics", "--protocol", "quality", "--suite", "compact")
    lines = done.stdout.splitlines()
    assert [line.split(" ")[0] for line in lines] == list(load_protocols()["quality"].suites["compact"])
    assert "\t" not in done.stdout
    card = find_card("fd_lite0")
    assert f"fd_lite0 ↓ {card.title}" in lines


def test_text_selects_by_id_and_title(facebench: Command) -> None:
    titles = facebench("metrics", "RECALL lite0").stdout.splitlines()
    assert titles
    assert all("recall" in line.lower() and "lite0" in line.lower() for line in titles)


def test_a_kind_selects_what_metrics_measure(facebench: Command) -> None:
    lines = facebench("metrics", "--kind", "quality", "--protocol", "identity").stdout.splitlines()
    assert {find_card(line.split(" ")[0]).reads.backbone for line in lines} == {"crfiqa-l", "sface-quality"}


def test_at_hand_leaves_out_metrics_whose_weights_are_missing(facebench: Command) -> None:
    lines = facebench("metrics", "--kind", "quality", "--at-hand").stdout.splitlines()
    assert {find_card(line.split(" ")[0]).reads.backbone for line in lines} == {"sface-quality"}


def test_json_has_the_fields_of_the_cards(facebench: Command) -> None:
    content = json.loads(facebench("metrics", "fid_clean", "--json").stdout)
    assert ("fid_clean", "lower") in [(card["id"], card["better"]) for card in content]


def test_a_terminal_gets_whole_ids_and_wrapped_titles(capsys: pytest.CaptureFixture[str]) -> None:
    cards = list(load_cards().values())
    shown = Console(width=80, file=io.StringIO())
    _print_list(shown, cards)
    assert isinstance(shown.file, io.StringIO)
    lines = shown.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split(" ")[0] for line in lines if not line.startswith(" ")] == [card.id for card in cards]
    assert f"{len(cards)} metrics" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["factorial-nothing"], "No metric contains 'factorial-nothing'"),
        (["fid_claen"], "Did you mean fid_clean"),
        (
            ["expression-transfer"],
            "is a protocol, not a metric. List its metrics: facebench metrics --protocol",
        ),
        (["--kind", "qualty"], "The kinds are fidelity, identity, quality, affect, shape, pose"),
        (["--kind", "pose", "lite0"], "None of these metrics is of the kind 'pose'"),
        (["fid_clean", "--at-hand"], "The weights of these metrics are not on this machine"),
        (["--suite", "papr"], "Did you mean paper?"),
        (["--protocol", "qualty"], "Did you mean quality?"),
    ],
)
def test_wrong_names_get_help(facebench: Command, words: list[str], message: str) -> None:
    done = facebench("metrics", *words)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_word_that_is_also_a_protocol_is_named(facebench: Command) -> None:
    done = facebench("metrics", "quality")
    assert done.returncode == 0
    assert "facebench metrics --protocol quality" in done.stderr
