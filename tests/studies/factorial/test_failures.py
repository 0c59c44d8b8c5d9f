"""Failure tables: mean of each group over the models, and the worst groups of each model."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from facebench.cli import app
from facebench.core.errors import InputError
from facebench.core.tables import Table
from facebench.evaluation.record import GroupResult, Run
from facebench.studies.factorial.effects import factorial
from facebench.studies.factorial.failures import failure_tables, read_breakdowns
from tests.helpers.records import make_result, make_run

Levels = dict[str, tuple[float | None, float]]
ERROR, QUALITY = "valence_error_reader", "face_quality_sface"
# Model -> level -> (error, lower is better; quality, higher is better).
SKIN: dict[str, Levels] = {
    "a": {"low": (0.5, 0.9), "high": (0.1, 0.8)},
    "b": {"low": (0.2, 0.3), "high": (0.4, 0.6)},
}
AGE: dict[str, Levels] = {"a": {"young": (0.3, 0.5)}, "b": {"young": (None, 0.7)}}


def model(name: str, column: str, levels: Levels) -> Run:
    run = make_run(name, valence_error_reader=0.3, face_quality_sface=0.6)
    groups = {
        f"{column}={level}": {
            metric: GroupResult(
                **make_result(metric, value, 7).model_dump(), p=0.01 if value == 0.5 else None
            )
            for metric, value in zip((ERROR, QUALITY), values, strict=True)
        }
        for level, values in levels.items()
    }
    return run.model_copy(update={"tags": {"data": name}, "groups": groups})


@pytest.fixture
def skin() -> list[Run]:
    return [model(name, "skin", levels) for name, levels in SKIN.items()]


def shown(table: Table) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.rows]


def test_groups_have_the_mean_over_the_models_and_name_the_worst_one(skin: list[Run], tmp_path: Path) -> None:
    for name, levels in AGE.items():
        model(name, "age", levels).save(tmp_path / "by-age" / name)
    study = factorial(skin)
    groups, *_ = failure_tables(study, read_breakdowns(study, [tmp_path / "by-age"]))
    assert shown(groups) == [
        ["skin=low", "7", "0.350", "a 0.500", "0.600", "b 0.300"],
        ["skin=high", "7", "0.250", "b 0.400", "0.700", "b 0.600"],
        ["age=young", "7", "0.300", "a 0.300", "0.600", "a 0.500"],
    ]
    assert groups.breaks == [2]


def test_every_model_has_its_worst_group_of_every_column(skin: list[Run], tmp_path: Path) -> None:
    for name, levels in AGE.items():
        model(name, "age", levels).save(tmp_path / "by-age" / name)
    study = factorial(skin)
    _, error, quality = failure_tables(study, read_breakdowns(study, [tmp_path / "by-age"]))
    assert shown(error) == [["a", "low 0.500*", "young 0.300"], ["b", "high 0.400", "–"]]
    assert shown(quality) == [["a", "high 0.800", "young 0.500*"], ["b", "low 0.300", "young 0.700"]]
    assert "where each model fails: valence_error_reader ↓" in error.caption.lower()


def test_runs_that_were_not_broken_down_have_no_such_tables(skin: list[Run]) -> None:
    study = factorial([run.model_copy(update={"groups": {}}) for run in skin])
    assert failure_tables(study, read_breakdowns(study, [])) == []


def test_breakdowns_that_do_not_fit_are_refused(skin: list[Run], tmp_path: Path) -> None:
    study = factorial(skin)
    with pytest.raises(InputError, match="is not a run record: expected"):
        read_breakdowns(study, [tmp_path])
    for run in skin:
        run.model_copy(update={"groups": {}}).save(tmp_path / "whole" / run.name)
    with pytest.raises(InputError, match=r"a has no groups\. Evaluate it with --by COLUMN"):
        read_breakdowns(study, [tmp_path / "whole"])
    mixed = factorial([skin[0], model("b", "age", AGE["b"])])
    with pytest.raises(InputError, match="b was evaluated by age, a by skin"):
        read_breakdowns(mixed, [])


def test_the_command_prints_the_groups_and_writes_all_tables(skin: list[Run], tmp_path: Path) -> None:
    runs = [str(run.save(tmp_path / "runs" / run.name).parent) for run in skin]
    for name, levels in AGE.items():
        model(name, "age", levels).save(tmp_path / "by-age" / name)
    words = ["--breakdown", str(tmp_path / "by-age"), "--html", str(tmp_path / "study.html")]
    done = CliRunner().invoke(app, ["factorial", *runs, *words], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    assert "Where models fail" in done.output
    assert "age=young" in done.output
    page = (tmp_path / "study.html").read_text()
    assert page.count("Where each model fails") == 2
