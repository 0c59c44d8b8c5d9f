"""The ID-Booth study from photographs to tables, and what it does about bad input."""

from __future__ import annotations

import csv
import json
import resource
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from facebench import load_run
from facebench.cli import run_command
from facebench.core.errors import InputError
from facebench.studies.grid import Machines
from facebench.studies.id_booth import Request, run_study
from facebench.studies.id_booth.request import Networks
from facebench.studies.id_booth.settings import read_settings
from tests.helpers.diffusion_bases import base_model
from tests.helpers.id_booth_study import command, prepare
from tests.helpers.paper_weights import facebench

QUICK = ("prior.images=2", "draw.images=2", "draw.steps=4", "prior.steps=4")
INLINE = Machines(runner=run_command)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study") / "inputs"
    prepare(folder)
    return folder


@pytest.fixture(scope="module")
def finished(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study of DreamBooth."""
    out = tmp_path_factory.mktemp("finished") / "out"
    run_study(request_of(inputs, ("dreambooth",)), out, INLINE).check()
    return out


def without(finished: Path, out: Path, person: str) -> Path:
    """Copy a finished study without the adapters of one person and the images that they draw."""
    shutil.copytree(finished, out, symlinks=True)
    for part in ("lora", "images"):
        for folder in (out / part).glob(f"*/dreambooth/**/{person}"):
            shutil.rmtree(folder)
    for marker in (out / "done").glob(f"*-dreambooth*-{person}.json"):
        marker.unlink()
    return out


def request_of(inputs: Path, losses: tuple[str, ...], *bases: Path) -> Request:
    """Return a study without table 3."""
    return Request.read(
        inputs / "people",
        [str(base) for base in bases] or [str(inputs / "sd" / "model")],
        losses,
        {"TFD": inputs / "people", "FFHQ": inputs / "others"},
        read_settings(str(inputs / "study.yaml"), QUICK),
        Networks(inputs / "recogniser.safetensors"),
    )


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def test_the_small_study_gives_all_tables_and_runs_each_job_once(inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = command(inputs, out, "utility.benchmarks=[lfw,agedb_30]")
    done = facebench(*words)
    assert done.code == 0, done.text
    names = {row["model"] for row in rows(out / "tables" / "table-1-quality.csv")}
    assert {"no fine-tuning", "DreamBooth", "PortraitBooth", "ID-Booth"} <= names
    assert {"TFD (real faces)", "FFHQ (real faces)"} <= names
    quality = (out / "tables" / "table-1-quality.md").read_text()
    identity = (out / "tables" / "table-2-identity.md").read_text()
    utility = (out / "tables" / "table-3-utility.md").read_text()
    for table in (quality, identity, utility):
        assert "SD-2.1" in table
        assert "SD-XL" in table
        assert "(published)" in table
    assert "ID-Booth + real faces" in utility
    assert "real faces" in utility
    for suffix in ("html", "tex"):
        assert (out / "tables" / f"table-3-utility.{suffix}").stat().st_size > 0
    run = load_run(out / "runs" / "SD-XL-id-booth-complex")
    assert (run.tags["base"], run.tags["prompt"]) == ("SD-XL", "Complex")
    assert run.metrics["fd_lite0@FFHQ"].value is not None
    assert run.metrics["eer_sface_real@TFD" if "eer_sface_real@TFD" in run.metrics else
                       "eer_sface_real_released@TFD"].value is not None  # fmt: skip
    record = json.loads((out / "study.json").read_text())
    assert record["missing"] == {}
    assert run.tags["unet"] == record["bases"][1]["digests"]["unet"][:16]
    assert all(len(base["digests"]["unet"]) == 64 for base in record["bases"])
    assert record["bases"][0]["digests"]["unet"] != record["bases"][1]["digests"]["unet"]
    marks = {file: file.stat().st_mtime_ns for file in (out / "done").iterdir()}
    again = facebench(*words)
    assert again.code == 0, again.text
    assert "done:" not in again.text
    assert {file: file.stat().st_mtime_ns for file in (out / "done").iterdir()} == marks


def test_failed_people_are_named_left_out_and_finished_by_the_same_command(
    inputs: Path, finished: Path, tmp_path: Path
) -> None:
    out = without(finished, tmp_path / "out", "id001")
    photographs = {file: file.read_bytes() for file in (inputs / "people" / "images" / "id001").iterdir()}
    request = request_of(inputs, ("dreambooth",))
    try:
        for file in photographs:
            file.write_bytes(b"no image")
        study = run_study(request, out, INLINE)
    finally:
        for file, content in photographs.items():
            file.write_bytes(content)
    assert study.missing == {
        "SD-2.1-dreambooth-base": ["id001"],
        "SD-2.1-dreambooth-complex": ["id001"],
    }
    with pytest.raises(InputError, match=r"(?s)lora SD-2.1-dreambooth id001: .*same command again"):
        study.check()
    assert load_run(out / "runs" / "SD-2.1-dreambooth-base").inputs["generated"].identities == 2
    assert load_run(out / "runs" / "SD-2.1-untuned-base").inputs["generated"].identities == 3
    study = run_study(request, out, INLINE)
    study.check()
    assert study.missing == {}
    assert load_run(out / "runs" / "SD-2.1-dreambooth-base").inputs["generated"].identities == 3


def test_a_full_disk_in_the_middle_stops_one_person(inputs: Path, finished: Path, tmp_path: Path) -> None:
    out = without(finished, tmp_path / "out", "id001")

    def run(words: Sequence[str]) -> int:
        """Run a command; the disk holds no file of more than 16 KiB while person id001 is trained."""
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        if words[0] == "train" and words[-1].endswith("id001"):
            resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, limits[1]))
        try:
            return run_command(words)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    request = request_of(inputs, ("dreambooth",))
    study = run_study(request, out, Machines(runner=run))
    assert [failure.job.name for failure in study.failures] == ["lora SD-2.1-dreambooth id001"]
    assert "File too large" in study.failures[0].reason
    assert len(study.tables) == 8
    run_study(request, out, INLINE).check()


def test_a_base_model_of_another_kind_leaves_the_other_one_alone(
    inputs: Path, finished: Path, tmp_path: Path
) -> None:
    shutil.copytree(finished, tmp_path / "out", symlinks=True)
    other = tmp_path / "other"
    shutil.copytree(inputs / "sd" / "model", other)
    index = json.loads((other / "model_index.json").read_text())
    (other / "model_index.json").write_text(json.dumps(index | {"_class_name": "FluxPipeline"}))
    request = request_of(inputs, ("dreambooth",), inputs / "sd" / "model", other)
    assert request.bases[1].problem.endswith("is a FluxPipeline. Use Stable Diffusion or SDXL.")
    study = run_study(request, tmp_path / "out", INLINE)
    assert {failure.job.name.split()[0] for failure in study.failures} == {"prior", "draw"}
    assert (tmp_path / "out" / "runs" / "SD-2.1-dreambooth-base").is_dir()
    assert set(study.missing) == {
        f"other-{model}-{prompts}" for model in ("untuned", "dreambooth") for prompts in ("base", "complex")
    }


def test_adapters_of_another_base_model_are_refused_for_their_person(
    inputs: Path, finished: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished, out, symlinks=True)
    request = request_of(inputs, ("dreambooth",))
    other = base_model(tmp_path / "random", "sd")
    words = ["train", "dreambooth", f"base={other}", f"data.path={request.people[0].folder}", "steps=1"]
    words += [
        f"prior={inputs / 'others' / 'images' / 'id000'}",
        "--config",
        "sd21-dreambooth",
        "resolution=64",
    ]
    assert run_command([*words, "workers=0", "precision=float32", "--out", str(tmp_path / "lora")]) == 0
    adapters = out / "lora" / "SD-2.1" / "dreambooth" / "id000" / "model.safetensors"
    own = adapters.read_bytes()
    shutil.copy(tmp_path / "lora" / "model.safetensors", adapters)
    shutil.rmtree(out / "images" / "SD-2.1" / "dreambooth" / "base" / "id000")
    study = run_study(request, out, INLINE)
    (failure,) = study.failures
    assert failure.job.name == "draw SD-2.1-dreambooth-base id000"
    assert "has other weights" in failure.reason
    adapters.write_bytes(own)
    run_study(request, out, INLINE).check()


def test_other_people_or_losses_need_another_folder(inputs: Path, tmp_path: Path) -> None:
    request = request_of(inputs, ("dreambooth", "portraitbooth"))
    from facebench.studies.id_booth.plan import write_prompts

    write_prompts(request, tmp_path)
    write_prompts(request, tmp_path)
    with pytest.raises(InputError, match="holds other prompts"):
        write_prompts(request_of(inputs, ("portraitbooth", "dreambooth")), tmp_path)
