"""Damaged or foreign records and companion files: an error that names the file, without a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from facebench.cli import app
from facebench.compare.leaderboard import Leaderboard
from facebench.core.errors import InputError
from facebench.evaluation.record_reading import load_run
from facebench.report.pages.run import report_page
from tests.helpers.records import make_run
from tests.helpers.run_folders import make_report_run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_report_run(tmp_path / "made", "ours").save(tmp_path / "run").parent


def without_generated(folder: Path) -> None:
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    (folder / "record.json").write_text(json.dumps({**record, "inputs": {}}), encoding="utf-8")


def curves(text: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / "curves.json").write_text(text, encoding="utf-8")

    return write


def table(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        file = folder / "per_image.parquet"
        change(pd.read_parquet(file)).to_parquet(file)

    return write


def broken_table(folder: Path) -> None:
    (folder / "per_image.parquet").write_bytes(b"junk")


def cut_table(folder: Path) -> None:
    file = folder / "per_image.parquet"
    data = file.read_bytes()
    file.write_bytes(data[:200] + bytes(100) + data[300:])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (without_generated, "no generated images"),
        (curves("[1]"), "curves.json is damaged: the file: Input should be a valid dictionary"),
        (curves('{"scores": [{}]}'), "curves.json is damaged: scores.0.backbone: Field required"),
        (curves('{"frechet": 5}'), "curves.json is damaged: frechet"),
        (curves('{"frechet": [{"metric": "fd_lite0"}]}'), "frechet.0.sizes: Field required"),
        (curves('{"frechet": [{"metric": "a", "sizes": [1], "distances": [[1]]}]}'), "distances.0"),
        (curves('{"frechet": [{"metric": "a", "sizes": [1], "distances": []}]}'), "different lengths"),
        (curves('{"map": {"backbone": "x", "fitted_on": "generated"}}'), "map.explained: Field required"),
        (curves('{"map": {"backbone": "x", "fitted_on": "moon", "explained": [0, 1]}}'), "map.fitted_on"),
        (curves("{"), "not readable JSON"),
        (curves("[" * 200_000), "nested too deeply"),
        (
            table(lambda held: held.drop(columns=["role", "image"])),
            "per_image.parquet is damaged: .*image, role",
        ),
        (table(lambda held: held.assign(image=1.5)), "the column image does not hold texts"),
        (table(lambda held: held.assign(role=None)), "the column role does not hold texts"),
        (table(lambda held: held.assign(face_score="high")), "the column face_score does not hold numbers"),
        (broken_table, "per_image.parquet is damaged"),
        (cut_table, "per_image.parquet is damaged"),
    ],
)
def test_a_damaged_run_folder_is_refused_with_the_reason(
    folder: Path, damage: Callable[[Path], None], said: str
) -> None:
    damage(folder)
    with pytest.raises(InputError, match=said):
        load_run(folder)


def changed(path: str, value: str) -> Callable[[str], str]:
    """Return a change of the text of a record: the field at a path gets a JSON value."""

    def change(text: str) -> str:
        record = part = json.loads(text)
        *above, last = path.split("/")
        for key in above:
            part = part[key]
        part[last] = "MARK"
        return json.dumps(record).replace('"MARK"', value)

    return change


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("metrics/fd_lite0/value", "NaN", "NaN is not a JSON number"),
        ("metrics/fd_lite0/value", "-Infinity", "-Infinity is not a JSON number"),
        ("metrics/fd_lite0/value", "1e999", "out of range"),
        ("metrics/fd_lite0/value", "1e200", "metrics.fd_lite0.value"),
        ("metrics/fd_lite0/value", "1" + "0" * 400, "more than 20 digits"),
        ("metrics/fd_lite0/low", "1e9", "low .* is above high"),
        ("metrics/fd_lite0/decimals", "-1", "metrics.fd_lite0.decimals"),
        ("metrics/fd_lite0/decimals", "1000000000", "metrics.fd_lite0.decimals"),
        ("metrics/fd_lite0/level", "1.0", "metrics.fd_lite0.level"),
        ("metrics/fd_lite0/n", '{"generated": -1}', "metrics.fd_lite0.n.generated"),
        ("metrics/fd_lite0/n", '{"generated": 1e30}', "metrics.fd_lite0.n.generated"),
        ("metrics/fd_lite0/note", r'"\ud800"', "lone surrogate"),
        ("inputs/generated/images", "-5", "inputs.generated.images"),
        ("timings", '{"features": -1}', "timings.features"),
        ("seed", "-1", "seed"),
        ("name", "[" * 100_000, "nested too deeply"),
        ("created", "1e18", "created"),
        ("created", '"0001-01-01T00:00:00+14:00"', "created"),
        ("schema", "0", "schema"),
    ],
)
def test_every_field_of_a_record_has_bounds(folder: Path, path: str, value: str, said: str) -> None:
    record = folder / "record.json"
    record.write_text(changed(path, value)(record.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(InputError, match=said):
        load_run(folder)


def test_a_time_without_a_zone_is_utc(folder: Path) -> None:
    record = folder / "record.json"
    text = changed("created", '"2026-01-02T03:04:05"')(record.read_text(encoding="utf-8"))
    record.write_text(text, encoding="utf-8")
    run = load_run(folder)
    assert run.created.isoformat() == "2026-01-02T03:04:05+00:00"
    assert "other" in Leaderboard.from_runs([run, make_run("other", fd_lite0=1.0)]).to_csv()


def test_a_table_of_images_without_fingerprints_shows_no_images(folder: Path) -> None:
    table = pd.read_parquet(folder / "per_image.parquet").drop(columns=["sha256", "face_score"])
    table.to_parquet(folder / "per_image.parquet")
    page = report_page([load_run(folder)])
    assert 'class="thumb"' not in page
    assert "20.00" in page


@pytest.mark.parametrize("option", ["--csv", "--html", "--latex", "--markdown"])
def test_a_board_that_cannot_be_written_says_so(tmp_path: Path, option: str) -> None:
    record = make_run("ours", fd_lite0=1.0).save(tmp_path / "run")
    (tmp_path / "file").write_text("mine")
    done = CliRunner().invoke(app, ["leaderboard", str(record), option, str(tmp_path / "file" / "board")])
    assert isinstance(done.exception, InputError)
    assert "cannot be written" in str(done.exception)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_board_needs_a_place_that_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        Leaderboard.from_runs([make_run("a", fd_lite0=1.0)]).to_csv(tmp_path)
