"""Reading of run records with the files beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from facebench.core.errors import InputError
from facebench.core.json_files import read_json
from facebench.evaluation.companions import read_curves, read_leave_out, read_per_image
from facebench.evaluation.record import SCHEMA, Run
from facebench.evaluation.run_folders import RECORD, named_runs, newest_run_folder, run_summary


def load_run(path: str | Path) -> Run:
    """Read a run from its folder or its record file, or the newest run of a folder NAME-PROTOCOL or of a name.

    Args:
        path: run folder, record file, folder NAME-PROTOCOL, or name of a run below the folder `runs`.

    Raises:
        InputError: the record does not exist, the name has several protocols, the record is not JSON, a field is out
            of its bounds, a file beside it is damaged, or a newer facebench wrote it. The message names the file and
            the key.
    """
    file = _newest_of_name(Path(path))
    if _is_folder(file):
        file = newest_run_folder(file) / RECORD
    if not _is_file(file):
        raise InputError(
            f"{path} is not a run record: expected a run folder, its {RECORD}, or a name that "
            "`facebench runs` lists."
        )
    content = read_json(file)
    if not isinstance(content, dict):
        raise InputError(f"{file} is not a run record: expected a JSON object.")
    _refuse_newer(content, file)
    try:
        run = Run.model_validate(content)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(step) for step in problem["loc"])
        raise InputError(f"{file} is not a run record: {key}: {problem['msg']}") from error
    if "generated" not in run.inputs:
        raise InputError(f"{file} is not a run record: inputs: no generated images.")
    return _with_companions(run, file.parent) if file.name == RECORD else run


def _newest_of_name(path: Path) -> Path:
    """Return the newest run of a name below `runs`; the path itself when it is not the name of a run."""
    runs = named_runs(path)
    protocols = {run_summary(run)["protocol"]: run for run in runs}
    if len(protocols) > 1:
        newest = ", ".join(f"{run} ({protocol})" for protocol, run in sorted(protocols.items()))
        raise InputError(f"The name '{path}' has runs of several protocols. Give one of: {newest}.")
    return runs[-1] if runs else path


def _with_companions(run: Run, folder: Path) -> Run:
    """Return the run with its per-image table and the data of its plots."""
    run._folder = folder
    table, leave_out, curves = read_per_image(folder), read_leave_out(folder), read_curves(folder)
    if table is not None:
        run.with_per_image(table)
    if leave_out is not None:
        run.with_leave_out(leave_out)
    return run if curves is None else run.with_curves(curves)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # not permitted, too long, or a null character
        return False


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _refuse_newer(content: dict[str, Any], file: Path) -> None:
    schema = content.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise InputError(
            f"{file} has schema {schema}, this facebench reads up to {SCHEMA}. Update with `pip install -U facebench`."
        )
