"""The table of leave-out values beside a record."""

from __future__ import annotations

from pathlib import Path

from facebench import load_run
from facebench.evaluation.leave_out import LeaveOut, leave_out_table
from tests.helpers.records import make_run


def test_a_record_without_leave_out_values_can_be_read_again(tmp_path: Path) -> None:
    """Every interval of a transfer with people and targets is crossed and has no groups."""
    table = leave_out_table([LeaveOut("face_found", (), "a", "")])
    make_run("x", face_found=0.5).with_leave_out(table).save(tmp_path)
    read = load_run(tmp_path).leave_out
    assert read is not None
    assert len(read) == 0
