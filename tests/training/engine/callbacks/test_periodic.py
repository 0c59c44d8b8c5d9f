"""Evaluation every N steps: fixed seed, averaged weights, time budget, best checkpoint."""

from __future__ import annotations

import json
import multiprocessing
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from facebench.core.errors import InputError
from facebench.evaluation.record_reading import load_run
from facebench.training.engine.callbacks import periodic
from facebench.training.engine.callbacks.periodic import Schedule, averaged, seeded
from tests.training.engine.callbacks.faces import NoisyFaces, evaluation


def test_the_numbers_depend_on_the_weights_and_not_on_the_random_state(
    tmp_path: Path, pixels: np.ndarray
) -> None:
    model, made = NoisyFaces(pixels), evaluation(pixels, tmp_path)
    assert made.evaluate(1, model) is None
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first = made.evaluate(2, model.train())
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training
    torch.manual_seed(8)
    second = made.evaluate(4, model)
    assert first is not None
    assert second is not None
    assert first.numbers == second.numbers
    assert {"facebench/fd_lite0", "facebench/fd_lite0_low", "facebench/fd_lite0_high"} <= set(first.numbers)
    assert (
        load_run(tmp_path / "step-00000002").metrics["fd_lite0"].value == first.numbers["facebench/fd_lite0"]
    )
    assert (first.is_best, second.is_best) == (True, False)
    assert "differs from step-00000002 by +0" in second.judged.reason


def test_a_checkpoint_is_better_only_if_the_difference_is(tmp_path: Path, pixels: np.ndarray) -> None:
    saved: list[int] = []
    made = evaluation(pixels, tmp_path, on_best=lambda found: saved.append(found.step))
    model = NoisyFaces(pixels)
    for step, noise in ((2, 0.5), (4, 0.499), (6, 0.02), (8, 0.5)):
        model.noise.data.fill_(noise)
        made.evaluate(step, model)
    assert saved == [2, 6]
    best = json.loads((tmp_path / "best.json").read_text())
    assert (best["run"], best["metric"]) == ("step-00000006", "fd_lite0")
    assert best["low"] < best["value"] < best["high"]
    resumed = evaluation(pixels, tmp_path)
    found = resumed.evaluate(10, model)
    assert found is not None
    assert not found.is_best
    with pytest.raises(InputError, match="not by face_found"):
        evaluation(pixels, tmp_path, metric="face_found")


def test_averaged_weights_are_evaluated_and_the_trained_ones_put_back() -> None:
    from diffusers.training_utils import EMAModel

    model = torch.nn.Linear(1, 1)
    shadow = EMAModel(model.parameters(), decay=0.0)
    model.weight.data.fill_(5.0)
    with averaged(model, shadow) as network:
        assert network is model
        assert model.weight.item() != 5.0
    assert model.weight.item() == 5.0
    swa = torch.optim.swa_utils.AveragedModel(model)
    with averaged(model, swa) as network:
        assert network is swa.module
    with pytest.raises(InputError, match="type int"), averaged(model, 3):
        pass


def test_evaluations_beyond_the_time_budget_are_skipped(
    tmp_path: Path, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    made = evaluation(pixels, tmp_path, schedule=Schedule(1, time_budget=0.1))
    monkeypatch.setattr(
        made, "_evaluate", lambda step, model, start: now.__setitem__(0, now[0] + 1.0) or step
    )
    done = []
    for step in range(1, 31):
        now[0] += 1.0
        done.append(made.evaluate(step, None))
    assert done[0] == 1
    assert [step for step in done if step] == [1, 19, 28]


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (
            lambda model, k: (_ for _ in ()).throw(RuntimeError("out of\nmemory")),
            "sampler failed with RuntimeError",
        ),
        (lambda model, k: np.full((k, 8, 8, 3), 2.0), "outside value_range"),
        (lambda model, k: [], "is empty"),
    ],
)
def test_a_failed_evaluation_is_one_line_and_training_goes_on(
    tmp_path: Path, pixels: np.ndarray, sample: Any, message: str
) -> None:
    lines: list[str] = []
    made = evaluation(pixels, tmp_path, on_message=lines.append)
    made.sample = sample
    assert made.evaluate(2, None) is None
    assert message in lines[0]
    assert "\n" not in lines[0]


def test_wrong_options_are_reported_before_training(tmp_path: Path, pixels: np.ndarray) -> None:
    for schedule in ({"every": 0}, {"every": 1, "time_budget": 2.0}):
        with pytest.raises(InputError):
            Schedule(**schedule)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="'fd_lite' is not a metric"):
        periodic.PeriodicEvaluation(lambda m, k: pixels, Schedule(1), 9, tmp_path, {"metrics": "fd_lite"})


def test_the_state_of_all_generators_is_restored() -> None:
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.rand()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    with seeded(0):
        first = (np.random.rand(), torch.rand(()).item())  # noqa: NPY002
    assert np.random.rand() == expected  # noqa: NPY002
    with seeded(0):
        assert first == (np.random.rand(), torch.rand(()).item())  # noqa: NPY002


def rank_of_two(rank: int, port: Path, pixels: np.ndarray, out: Path) -> None:
    import torch.distributed as dist

    dist.init_process_group("gloo", init_method=f"file://{port}", rank=rank, world_size=2)
    made = evaluation(pixels, out)
    found = made.evaluate(2, NoisyFaces(pixels))
    assert found is not None
    failing = evaluation(pixels, out, on_message=lambda line: (out / f"line-{rank}").write_text(line))
    failing.sample = lambda model, k: 1 / 0 if rank == 1 else model.sample(k)
    assert failing.evaluate(4, NoisyFaces(pixels)) is None
    (out / f"rank-{rank}.json").write_text(json.dumps([found.numbers, found.is_best]))
    dist.destroy_process_group()


def test_two_processes_share_the_samples_and_the_failure_of_one(tmp_path: Path, pixels: np.ndarray) -> None:
    context = multiprocessing.get_context("spawn")
    ranks = [
        context.Process(target=rank_of_two, args=(rank, tmp_path / "port", pixels, tmp_path))
        for rank in range(2)
    ]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(timeout=240)
    assert [process.exitcode for process in ranks] == [0, 0]
    assert (tmp_path / "rank-0.json").read_text() == (tmp_path / "rank-1.json").read_text()
    assert load_run(tmp_path / "step-00000002").inputs["generated"].images == 24
    for rank in range(2):
        assert "ZeroDivisionError" in (tmp_path / f"line-{rank}").read_text()
