"""Options built from a model have its types, defaults, bounds and help."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
import typer
from pydantic import BaseModel, Field
from typer.testing import CliRunner, Result

from facebench.cli.options_from_model import ModelOptions, OptionForm


class Settings(BaseModel):
    """A model with one field of each kind."""

    source: Path = Field(description="Where images lie.")
    size: int = Field(64, ge=8, le=512, description="Pixels of a side.")
    mode: Literal["fast", "exact"] = Field("fast", description="Kind of computation.")
    seed: int | None = Field(None, description="Seed of the noise.")
    labels: dict[str, str] = Field({}, description="Labels of the model.")


def parse_labels(options: list[str]) -> dict[str, str]:
    return dict(option.split("=") for option in options)


OPTIONS = ModelOptions(
    Settings,
    arguments=("source",),
    forms={"labels": OptionForm(list[str], flag="--label", metavar="NAME=VALUE", parse=parse_labels)},
)


def run(*words: str) -> tuple[Result, dict[str, Any]]:
    """Run a command with the options; its result and the values that the command line sets."""
    given: dict[str, Any] = {}
    app = typer.Typer()

    @app.command()
    @OPTIONS.declare
    def show(context: typer.Context, loud: bool = False, **options: Any) -> None:
        """Show the settings."""
        given.update(OPTIONS.given(context, options), loud=loud)

    return CliRunner().invoke(app, list(words), env={"COLUMNS": "160"}), given


def test_only_options_of_the_command_line_are_given() -> None:
    assert run()[1] == {"loud": False}
    assert run("faces", "--size", "64")[1] == {"source": Path("faces"), "size": 64, "loud": False}


def test_values_have_the_types_of_the_model() -> None:
    words = ["faces", "--mode", "exact", "--seed", "3", "--label", "a=1", "--label", "b=2", "--loud"]
    given = run(*words)[1]
    assert given == {
        "source": Path("faces"),
        "mode": "exact",
        "seed": 3,
        "labels": {"a": "1", "b": "2"},
        "loud": True,
    }
    assert type(given["mode"]) is str
    del given["loud"]
    assert Settings(**given).mode == "exact"


def test_help_shows_descriptions_defaults_choices_and_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    # Typer translates this text once, when a process first shows help: an earlier test may have used Japanese.
    monkeypatch.setattr("typer.rich_utils.DEFAULT_STRING", "[default: {}]")
    text = run("--help")[0].output
    for part in (
        "Where images lie.",
        "Pixels of a side.",
        "8<=x<=512",
        "[default: 64]",
        "fast|exact",
        "[default: fast]",
        "--label",
        "NAME=VALUE",
    ):
        assert part in text
    assert "--labels" not in text


@pytest.mark.parametrize("words", [["--size", "4"], ["--mode", "slow"], ["--seed", "x"], ["--labels", "a=1"]])
def test_wrong_values_are_usage_errors(words: list[str]) -> None:
    assert run("faces", *words)[0].exit_code == 2
