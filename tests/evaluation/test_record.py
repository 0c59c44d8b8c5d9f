"""Run records: they read back as written, and unreadable files raise an error with the reason."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from pydantic import ValidationError

from facebench.core.errors import InputError
from facebench.evaluation.record import Run, json_schema
from facebench.evaluation.record_reading import load_run
from facebench.evaluation.run_folders import RECORD
from tests.helpers.paths import REPOSITORY
from tests.helpers.records import make_run

SCHEMA_FILE = REPOSITORY / "docs" / "run-record.schema.json"


def test_a_record_reads_back_as_it_was_written(tmp_path: Path) -> None:
    run = make_run("ours", fd_lite0=1.25).with_per_image(
        pd.DataFrame({"role": "generated", "image": ["a.png"], "quality": [0.5]})
    )
    run.save(tmp_path / "run")
    again = load_run(tmp_path / "run")
    assert again.to_json() == run.to_json()
    assert again.per_image is not None
    pd.testing.assert_frame_equal(again.per_image, run.per_image)


def test_folder_and_record_file_are_the_same_run(tmp_path: Path) -> None:
    record = make_run("ours", fd_lite0=1.25).save(tmp_path)
    assert load_run(tmp_path) == load_run(record)


def test_the_published_schema_equals_that_of_the_code() -> None:
    assert json.loads(SCHEMA_FILE.read_text(encoding="utf-8")) == json_schema()


def test_saving_twice_leaves_one_whole_file(tmp_path: Path) -> None:
    run = make_run("ours", fd_lite0=1.25)
    run.save(tmp_path)
    run.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [RECORD]


def test_a_long_frame_has_one_row_per_metric() -> None:
    frame = make_run("ours", fd_lite0=1.25, recall_lite0=None).to_frame()
    assert list(frame["metric"]) == ["fd_lite0", "recall_lite0"]
    assert frame["value"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not json", "not readable JSON"),
        ("[]", "not a run record"),
        ('{"schema": 99}', "has schema 99"),
        ('{"schema": 1}', "not a run record"),
    ],
)
def test_a_file_that_is_not_a_record_is_an_input_error(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / RECORD
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        load_run(file)


def test_a_missing_record_names_the_path(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        load_run(tmp_path / "nowhere")


def test_a_record_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        make_run("ours", fd_lite0=1.0).save(blocked / "run")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e101])
def test_a_record_never_holds_a_value_without_bounds(value: float) -> None:
    with pytest.raises(ValidationError, match="value"):
        make_run("ours", fd_lite0=value)


def test_a_run_is_a_model_of_its_own_json() -> None:
    run = make_run("ours", fd_lite0=1.25)
    assert Run.model_validate_json(run.to_json()) == run
