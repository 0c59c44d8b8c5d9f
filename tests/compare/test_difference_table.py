"""Table of differences: its results agree with the verdict."""

from __future__ import annotations

import pytest

from facebench.compare.difference_table import difference_table
from facebench.core.errors import InputError
from tests.helpers.records import make_run


def test_the_rows_hold_both_values_the_difference_and_the_result() -> None:
    run, baseline = make_run("ours", fd_lite0=10.0), make_run("old", fd_lite0=20.0)
    table = difference_table(run, baseline)
    assert [cell.text for cell in table.rows[0]] == ["fd_lite0 ↓", "20.00", "10.00", "-10.00", "▲ better"]
    assert table.rows[0][3].small.startswith("[-12.")


def test_runs_of_different_suites_are_refused() -> None:
    run = make_run("ours", fd_lite0=10.0)
    other = make_run("old", fd_lite0=10.0).model_copy(update={"suite": "paper"})
    with pytest.raises(InputError, match="ours is not comparable with old: suite"):
        difference_table(run, other)
