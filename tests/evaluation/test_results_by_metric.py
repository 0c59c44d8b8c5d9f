"""Results of a run by metric id: an unknown id is a KeyError that suggests ids."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from facebench.core.errors import InputError
from facebench.evaluation.record_reading import load_run
from tests.helpers.records import make_run


def test_an_unknown_metric_is_a_key_error_with_a_suggestion(tmp_path: Path) -> None:
    for run in (made := make_run("ours", fd_lite0=1.25), load_run(made.save(tmp_path))):
        with pytest.raises(KeyError) as raised:
            run.metrics["fd"]
        assert str(raised.value) == "The run has no metric 'fd'. Did you mean fd_lite0?"
        assert isinstance(raised.value, InputError)


def test_the_other_methods_of_a_dict_are_unchanged() -> None:
    metrics = make_run("ours", fd_lite0=1.25).metrics
    assert metrics.get("fd") is None
    assert "fd" not in metrics
    assert list(metrics) == ["fd_lite0"]
    assert pickle.loads(pickle.dumps(metrics)) == metrics


def test_the_record_holds_a_plain_object() -> None:
    content = json.loads(make_run("ours", fd_lite0=1.25).to_json())
    assert content["metrics"]["fd_lite0"]["value"] == 1.25
