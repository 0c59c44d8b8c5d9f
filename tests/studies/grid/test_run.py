"""`facebench grid`: jobs of a grid file, and a small grid from faces to the factorial report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from facebench import load_run
from facebench.core.errors import InputError
from facebench.studies.grid import plan, read_grid
from tests.helpers.paper_weights import facebench
from tests.helpers.paths import REPOSITORY
from tests.training.tasks.test_rig import SMALL

STUDIES = REPOSITORY / "studies"
FACES = {"identities": 2, "images": 3, "size": 48}
GRID: dict[str, Any] = {
    "grid": "small",
    "factors": {"data": ["a", "b"], "conditioner": ["synthface"], "resnet": [18], "target": ["synthface"],
                "source": ["synthface"]},
    "sets": {"a": {"synth": FACES}, "b": {"synth": {**FACES, "seed": 1}}},
    "buffers": {"size": 16},
    "train": {"config": "small.yaml", "changes": ["steps=1"]},
    "transfer": {"source": "a", "target": "b", "pairs": 12, "steps": 1},
    "evaluate": {"suite": "compact", "metrics": ["face_found"], "by": ["identity", "gender"], "max_rejected": 1.0},
}  # fmt: skip


def write(folder: Path, **changes: Any) -> Path:
    (folder / "small.yaml").write_text(yaml.safe_dump(SMALL))
    path = folder / "grid.yaml"
    path.write_text(yaml.safe_dump(GRID | changes))
    return path


@pytest.mark.parametrize("name", ["expression-transfer-32", "expression-transfer-synthface"])
def test_the_studies_are_8_models_and_32_transfers(name: str) -> None:
    path = STUDIES / f"{name}.yaml"
    grid = read_grid(path)
    jobs = plan(grid, path.parent)
    kinds = [job.name.split()[0] for job in jobs]
    assert len(grid.cells) == 32
    assert (kinds.count("buffers"), kinds.count("model"), kinds.count("transfer")) == (4, 8, 32)
    assert kinds.count("evaluate") == 32 * len(grid.evaluate.by)
    assert jobs[-1].name == "factorial"
    names = [job.name for job in jobs]
    for job in jobs:
        assert all(names.index(need) < names.index(job.name) for need in job.needs), job.name


def test_a_cell_says_who_reads_what(tmp_path: Path) -> None:
    path = STUDIES / "expression-transfer-32.yaml"
    jobs = {job.name: job for job in plan(read_grid(path), path.parent)}
    words = " ".join(jobs["transfer AffectNet-emoca-50-to-deca-from-emoca"].words)
    assert "--checkpoint {out}/models/AffectNet-emoca-50" in words
    assert "--extractor-source emoca --extractor-target deca" in words
    assert "model.encoder=resnet50" in jobs["model AffectNet-emoca-50"].words
    tagged = " ".join(jobs["evaluate AffectNet-emoca-50-to-deca-from-emoca"].words)
    assert (
        "--tag data=AffectNet --tag conditioner=emoca --tag resnet=50 --tag target=deca --tag source=emoca"
        in tagged
    )


def test_further_columns_cost_only_the_metrics_that_are_compared(tmp_path: Path) -> None:
    asked = {"suite": "compact", "by": ["expression", "skin"]}
    path = write(tmp_path, evaluate=asked, compare=["face_found", "face_quality_sface"])
    jobs = {job.name: " ".join(job.words) for job in plan(read_grid(path), tmp_path)}
    cell = "evaluate a-synthface-18-to-synthface-from-synthface"
    assert "--by expression" in jobs[cell]
    assert "--metrics" not in jobs[cell]
    assert "--metrics face_found,face_quality_sface --by skin" in jobs[f"{cell} by skin"]
    assert "--breakdown {out}/by-skin" in jobs["factorial"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"factors": GRID["factors"] | {"resnets": [18]}},
            "'resnets' is not a factor. Did you mean resnet?",
        ),
        ({"factors": GRID["factors"] | {"resnet": [34]}}, "has no level 34. Known: 18, 50"),
        ({"factors": GRID["factors"] | {"data": ["c"]}}, 'has no level "c". Known: a, b'),
        ({"factors": GRID["factors"] | {"source": ["deca"]}}, "cannot be mixed"),
        ({"factors": {}}, "the factor 'data' has no levels"),
        ({"sets": {"a": {}, "b": {}}}, "needs either path or synth"),
        ({"trian": 1}, "'trian': extra inputs are not permitted"),
        (
            {"evaluate": GRID["evaluate"] | {"by": ["identity", "gendre"]}},
            "evaluate.by names the column 'gendre', which the transfers will lack. Did you mean gender?",
        ),
    ],
)
def test_a_broken_grid_is_refused_before_anything_runs(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as refused:
        read_grid(write(tmp_path, **changes))
    assert message in str(refused.value)


def test_columns_to_break_down_by_are_those_of_the_sets_and_the_pairs(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (16, 16)).save(tmp_path / name / "face.png")
    (tmp_path / "a" / "manifest.csv").write_text("image,identity,skin\nface.png,id0,0.4\n")
    (tmp_path / "b" / "manifest.csv").write_text("image,identity,expression\nface.png,id1,happy\n")
    (tmp_path / "pairs.csv").write_text("source,target,occasion\nface.png,face.png,wedding\n")
    asked = {
        "sets": {name: {"path": f"{name}/manifest.csv"} for name in ("a", "b")},
        "transfer": GRID["transfer"] | {"pairs": "pairs.csv"},
    }
    by = ["identity", "skin", "expression", "occasion"]
    assert read_grid(write(tmp_path, evaluate=GRID["evaluate"] | {"by": by}, **asked)).evaluate.by == tuple(
        by
    )
    with pytest.raises(InputError, match="the column 'valence', which the transfers will lack"):
        read_grid(write(tmp_path, evaluate=GRID["evaluate"] | {"by": ["valence"]}, **asked))


def test_a_grid_runs_to_its_report_once_and_refuses_to_become_another(tmp_path: Path) -> None:
    path, out = write(tmp_path), tmp_path / "out"
    done = facebench("grid", path, "--out", out)
    assert done.code == 0, done.text
    assert "13/13" in done.text
    for data in ("a", "b"):
        run = load_run(out / "runs" / f"{data}-synthface-18-to-synthface-from-synthface")
        assert run.tags == {
            "data": data, "conditioner": "synthface", "resnet": "18", "target": "synthface", "source": "synthface",
        }  # fmt: skip
        assert "identity=id000" in run.groups
    assert "face_found" in (out / "study" / "effects.csv").read_text()
    page = (out / "study" / "study.html").read_text()
    for words in ("Where models fail", "identity=id001", "gender=", "worst identity", "worst gender"):
        assert words in page
    marks = {file: file.stat().st_mtime_ns for file in out.rglob("*") if file.is_file()}
    again = facebench("grid", path, "--out", out)
    assert again.code == 0, again.text
    assert "done:" not in again.text
    assert {file: file.stat().st_mtime_ns for file in out.rglob("*") if file.is_file()} == marks
    other = facebench("grid", write(tmp_path, buffers={"size": 32}), "--out", out)
    assert other.code == 2
    assert "'buffers a-synthface' was finished by a different command" in other.text.replace("\n", " ")
    assert "before: 16, now: 32" in other.text


def test_a_trained_model_is_not_taken_for_one_of_other_settings(tmp_path: Path) -> None:
    path = write(tmp_path)
    before = {job.name: job for job in plan(read_grid(path), tmp_path)}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SMALL | {"batch_size": 3}))
    after = {job.name: job for job in plan(read_grid(path), tmp_path)}
    changed = [name for name in before if before[name] != after[name]]
    assert changed == ["model a-synthface-18", "model b-synthface-18"]


def test_a_failed_job_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    missing = {"a": {"path": "nowhere"}, "b": {"path": "nowhere"}}
    # With GPU indices, jobs run in subprocesses; this job fails before it uses a GPU.
    done = facebench("grid", write(tmp_path, sets=missing), "--out", tmp_path / "out", "--gpus", "0")
    assert done.code == 2
    text = done.text.replace("\n", " ")
    assert "2 of 11 jobs failed. The first, 'buffers a-synthface': error: " in text
    assert "There is nothing at" in text
    assert "buffers-a-synthface.log" in text
