"""Evaluation of images in memory, and collection over updates and processes."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import facebench
from facebench.core.errors import InputError
from facebench.evaluation.record import load_run
from tests.evaluation.test_inputs_sources import assert_same
from tests.helpers.image_archives import pixels_of, write_ppm_folder

OPTIONS: dict[str, Any] = {"suite": "compact", "name": "model", "metrics": "fd_lite0,face_found"}


@pytest.fixture(scope="module")
def pixels(faces: Path) -> np.ndarray:
    return pixels_of(faces)[:30]


def names(count: int) -> list[str]:
    return [f"p{i // 5}" for i in range(count)]


def test_images_in_memory_give_the_record_of_a_folder(tmp_path: Path, pixels: np.ndarray) -> None:
    folder = write_ppm_folder(tmp_path / "ppm", pixels)
    run = facebench.evaluate(pixels / 255, {"A": iter(pixels), "B": folder}, **OPTIONS)
    kinds = {role: images.kind for role, images in run.inputs.items()}
    assert kinds == {"generated": "memory", "reference:A": "memory", "reference:B": "folder"}
    assert_same(run, facebench.evaluate(folder, {"A": folder, "B": folder}, **OPTIONS))
    run.save(tmp_path / "run")
    assert load_run(tmp_path / "run").inputs == run.inputs


def test_a_function_and_columns_are_accepted(pixels: np.ndarray) -> None:
    made = iter(pixels)
    run = facebench.evaluate(
        lambda k: [next(made) for _ in range(k)], n=20, columns={"identity": names(20)}, **OPTIONS
    )
    assert (run.inputs["generated"].images, run.inputs["generated"].identities) == (20, 4)


def test_options_of_memory_are_refused_for_a_path(faces: Path) -> None:
    with pytest.raises(InputError, match="not for a path"):
        facebench.evaluate(faces, n=5)
    with pytest.raises(InputError, match="'suit' is not an option"):
        facebench.evaluate(lambda k: pytest.fail("images were made"), n=5, suit="compact")


def test_the_record_depends_on_neither_updates_nor_their_order(pixels: np.ndarray) -> None:
    evaluator = facebench.Evaluator("quality", pixels, **OPTIONS)
    evaluator.update(pixels[10:], identity=names(30)[10:])
    evaluator.update(pixels[:10], identity=names(30)[:10])
    first = evaluator.compute()
    assert first.inputs["generated"].kind == "memory"
    assert first.inputs["generated"].identities == 6
    evaluator.reset()
    assert len(evaluator) == 0
    with pytest.raises(InputError, match="No images were added"):
        evaluator.compute()
    evaluator.update(pixels, identity=names(30))
    assert_same(evaluator.compute(), first)


def test_a_wrong_update_adds_nothing(pixels: np.ndarray) -> None:
    evaluator = facebench.Evaluator(**OPTIONS)
    with pytest.raises(InputError, match="'identity'"):
        evaluator.update(pixels, identity=["a"])
    assert len(evaluator) == 0
    with pytest.raises(InputError, match="'suit' is not an option"):
        facebench.Evaluator(suit="compact")


def rank_of_two(rank: int, port: Path, pixels: np.ndarray, out: Path) -> None:
    import torch.distributed as dist

    dist.init_process_group("gloo", init_method=f"file://{port}", rank=rank, world_size=2)
    evaluator = facebench.Evaluator("quality", pixels, **OPTIONS)
    try:
        evaluator.compute()
    except InputError as error:
        (out / f"error-{rank}").write_text(str(error))
    share = slice(0, 7) if rank == 1 else slice(7, None)
    evaluator.update(pixels[share], identity=names(30)[share])
    evaluator.compute().save(out / f"run-{rank}")
    dist.destroy_process_group()


def test_two_processes_with_different_counts_give_the_record_of_one(
    tmp_path: Path, pixels: np.ndarray
) -> None:
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
    evaluator = facebench.Evaluator("quality", pixels, **OPTIONS)
    evaluator.update(pixels, identity=names(30))
    expected = evaluator.compute()
    for rank in range(2):
        assert_same(load_run(tmp_path / f"run-{rank}"), expected)
        assert "No images were added" in (tmp_path / f"error-{rank}").read_text()
