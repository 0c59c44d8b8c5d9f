"""A study with stage 2: its jobs, its forecast, and the small version from faces to the report."""

from __future__ import annotations

import csv
import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from facebench import load_run
from facebench.core.errors import InputError
from facebench.studies.grid import Grid, plan, read_grid
from facebench.studies.grid.evaluation_time import UNMEASURED_SECONDS, evaluation_time
from facebench.studies.grid.forecast import BUFFER_SECONDS, forecast
from tests.helpers.image_files import encode, picture
from tests.helpers.paper_weights import facebench, own_cache
from tests.helpers.paths import REPOSITORY

DEMO = REPOSITORY / "studies" / "diffusionrig-emo-demo.yaml"
FULL = REPOSITORY / "studies" / "diffusionrig-emo.yaml"


def content(**changes: Any) -> dict[str, Any]:
    return {**yaml.safe_load(DEMO.read_text(encoding="utf-8")), **changes}


def write(folder: Path, **changes: Any) -> Path:
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(content(**changes)))
    return path


def kinds(grid: Grid, folder: Path) -> dict[str, int]:
    names = [job.name.split()[0] for job in plan(grid, folder)]
    return {kind: names.count(kind) for kind in dict.fromkeys(names)}


def test_the_whole_study_has_32_cells_and_one_evaluation(tmp_path: Path) -> None:
    study = yaml.safe_load(FULL.read_text(encoding="utf-8"))
    for name in ("ffhq256", "affectnet256", "albums/ann", "albums/bob", "targets"):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "1.png").write_bytes(encode(picture(), "PNG"))
    (tmp_path / "studies").mkdir()
    path = tmp_path / "studies" / "study.yaml"
    path.write_text(yaml.safe_dump(study))
    jobs = plan(read_grid(path), path.parent)
    names = [job.name for job in jobs]
    counts = kinds(read_grid(path), path.parent)
    assert counts == {"buffers": 4, "model": 8, "album": 4, "person": 16, "transfer": 64, "manifest": 1,
                      "evaluate": 1, "factorial": 1}  # fmt: skip
    for job in jobs:
        assert all(names.index(need) < names.index(job.name) for need in job.needs), job.name
    words = next(
        " ".join(job.words) for job in jobs if job.name.startswith("transfer AffectNet-emoca-50-to-deca")
    )
    assert "--sampler ddpm" in words
    assert "--shape album" in words


def test_existing_checkpoints_are_used_and_not_trained(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "deca-18.pt").touch()
    (tmp_path / "old" / "emoca-18-id000.pt").touch()
    train = content()["train"] | {"checkpoints": "old/{conditioner}-{resnet}.pt"}
    personal = content()["personal"] | {"checkpoints": "old/{conditioner}-{resnet}-{person}.pt"}
    path = write(tmp_path, train=train, personal=personal)
    jobs = {job.name: " ".join(job.words) for job in plan(read_grid(path), tmp_path)}
    assert [name for name in jobs if name.startswith("model ")] == ["model faces-emoca-18"]
    assert f"init_from={tmp_path / 'old' / 'deca-18.pt'}" in jobs["person faces-deca-18-id000"]
    assert "person faces-emoca-18-id000" not in jobs
    words = jobs["transfer faces-emoca-18-to-deca-from-deca id000"]
    assert f"--checkpoint {tmp_path / 'old' / 'emoca-18-id000.pt'}" in words


def test_several_seeds_are_several_models_of_one_cell(tmp_path: Path) -> None:
    path = write(tmp_path, train=content()["train"] | {"seeds": [0, 7]})
    assert kinds(read_grid(path), tmp_path)["model"] == 4
    jobs = {job.name: " ".join(job.words) for job in plan(read_grid(path), tmp_path)}
    assert "seed=7" in jobs["model faces-deca-18-s7"]
    assert "-s{seed:[0-9]+}-to-" in jobs["manifest"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"transfer": content()["transfer"] | {"pairs": 5}},
            "`personal` and `transfer.pairs: all` belong together",
        ),
        ({"personal": content()["personal"] | {"albums": "peple"}}, "personal.albums names the set 'peple'"),
        ({"personal": content()["personal"] | {"people": ["eve"]}}, "does not contain the album 'eve'"),
        (
            {
                "factors": content()["factors"]
                | {k: ["synthface"] for k in ("conditioner", "target", "source")}
            },
            "stage 2 reads albums of photographs",
        ),
    ],
)
def test_a_broken_study_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as refused:
        plan(read_grid(write(tmp_path, **changes)), tmp_path)
    assert message in str(refused.value)


def test_the_forecast_names_what_is_missing_and_measures_a_step(tmp_path: Path) -> None:
    path = write(tmp_path, sets=content()["sets"] | {"faces": {"path": "no/such/faces"}})
    with own_cache():
        grid = read_grid(path)
        needs = forecast(grid, plan(grid, tmp_path), tmp_path, tmp_path / "out")
        shown = facebench("grid", path, "--show", "--out", tmp_path / "out")
    assert not needs.ready
    assert any("weights of deca" in sentence for sentence in needs.missing)
    assert any("data of the set 'faces'" in sentence for sentence in needs.missing)
    assert any("flame" in sentence for sentence in needs.licences)
    assert needs.step_seconds["18"] > 0
    assert needs.hours["model"] == pytest.approx(2 * 4 * 2 * needs.step_seconds["18"] / 3600)
    assert 0 < needs.disk_needed < needs.disk_free
    assert needs.evaluation.seconds > 0
    transfers = 4 * (2 * 2 * 3 + 2 * 2)
    images = transfers + 2 * 2 + 3
    assert needs.hours["evaluate"] == pytest.approx(images * needs.evaluation.seconds / 3600)
    assert needs.hours["buffers of transfers"] == pytest.approx(transfers * BUFFER_SECONDS / 3600)
    assert needs.hours["rendered sets"] > 0
    assert shown.code == 0, shown.text
    assert "time: all on one device" in shown.text
    assert not (tmp_path / "out").exists()


def test_an_evaluation_is_measured_with_the_networks_at_hand() -> None:
    alone = evaluation_time([], 64)
    assert 0 < alone.seconds < 2
    assert evaluation_time(["facereader"], 64).unmeasured == ()
    missing = evaluation_time(["emonet-8-flip"], 64)
    assert missing.unmeasured == ("emonet-8-flip",)
    assert missing.seconds > UNMEASURED_SECONDS


def test_missing_albums_are_shown_and_stop_a_run(tmp_path: Path) -> None:
    path = write(tmp_path, sets=content()["sets"] | {"people": {"path": "albums"}})
    shown = facebench("grid", path, "--show")
    assert shown.code == 0, shown.text
    assert "missing: data of the set 'people'" in shown.text
    assert "person faces-deca-18-PERSON: facebench train rig" in shown.text
    refused = facebench("grid", path, "--out", tmp_path / "out")
    assert refused.code == 2
    assert "does not contain albums" in refused.text


def test_the_small_study_runs_from_faces_to_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY / "tools"))
    demo = importlib.import_module("study_demo")
    with own_cache() as folder:
        demo.import_generated_weights(folder / "weights")
        done = facebench("grid", DEMO, "--out", tmp_path / "run")
        assert done.code == 0, done.text
        again = facebench("grid", DEMO, "--out", tmp_path / "run")
    assert again.code == 0, again.text
    assert "done:" not in again.text
    run = load_run(tmp_path / "run" / "runs" / "all")
    assert run.inputs["generated"].images == 4 * 2 * 2 * 3
    table = run.per_image
    assert table is not None
    generated = table[table["role"] == "generated"]
    assert generated["source"].nunique() == 4
    assert generated["target"].nunique() == 3
    study = tmp_path / "run" / "study"
    assert (study / "study.ja.html").is_file()
    assert len(list(csv.DictReader((study / "effects.csv").open()))) == 3
    transfers = tmp_path / "run" / "transfers" / "faces-deca-18-to-emoca-from-deca"
    assert '"shape": "album"' in (transfers / "id001" / "transfer.json").read_text()
