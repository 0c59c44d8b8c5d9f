"""Evaluation of images in memory, and collection over updates and processes."""

from __future__ import annotations

import multiprocessing
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import facebench
from facebench.core.errors import FacebenchError, InputError
from facebench.evaluation.record_reading import load_run
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


def rank_of_two(rank: int, folder: Path, pixels: np.ndarray) -> None:
    """Evaluate several times in one of two processes, each with a feature store of its own."""
    import torch.distributed as dist

    from facebench.features import shared_extraction

    os.environ["FACEBENCH_CACHE"] = str(folder / f"cache-{rank}")
    dist.init_process_group("gloo", init_method=f"file://{folder / 'port'}", rank=rank, world_size=2)
    evaluator = facebench.Evaluator("quality", pixels[:, :, ::-1], **DISTRIBUTED)

    def error_of_compute() -> str:
        try:
            evaluator.compute()
        except FacebenchError as error:
            return f"{type(error).__name__}: {error}"
        return "no error"

    (folder / f"empty-{rank}").write_text(error_of_compute())
    share = slice(0, 7) if rank == 1 else slice(7, None)
    evaluator.update(pixels[share], identity=names(30)[share])
    evaluator.compute().save(folder / f"shared-{rank}")
    if rank == 1:
        broken = shared_extraction.extract
        shared_extraction.extract = out_of_memory
    (folder / f"failed-{rank}").write_text(error_of_compute())
    if rank == 1:
        shared_extraction.extract = broken
    evaluator.reset()
    if rank == 0:
        evaluator.update(pixels, identity=names(30))
    evaluator.compute().save(folder / f"alone-{rank}")
    dist.destroy_process_group()


def out_of_memory(*_: object, **__: object) -> None:
    raise RuntimeError("CUDA out of memory.\nTried to allocate 2 GiB.")


DISTRIBUTED: dict[str, Any] = {
    **OPTIONS,
    "metrics": "fd_lite0,kd_lite0,precision_lite0,face_found,identity_noise_sface,eer_sface",
    "drop_duplicates": True,
    "timeout": 120,
}


@pytest.fixture(scope="module")
def of_two(tmp_path_factory: pytest.TempPathFactory, pixels: np.ndarray) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=rank_of_two, args=(rank, folder, pixels)) for rank in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(timeout=400)
    assert [process.exitcode for process in both] == [0, 0]
    return folder


@pytest.mark.parametrize("shares", ["shared", "alone"])
def test_two_processes_with_different_counts_give_the_record_of_one(
    of_two: Path, pixels: np.ndarray, shares: str
) -> None:
    evaluator = facebench.Evaluator("quality", pixels[:, :, ::-1], **DISTRIBUTED)
    evaluator.update(pixels, identity=names(30))
    expected = evaluator.compute()
    assert all(result.value is not None for result in expected.metrics.values())
    for rank in range(2):
        assert_same(load_run(of_two / f"{shares}-{rank}"), expected)


def test_an_error_of_one_process_is_one_line_on_both(of_two: Path) -> None:
    for rank in range(2):
        assert (of_two / f"empty-{rank}").read_text().startswith("InputError: No images were added.")
        assert re.fullmatch(
            r"FacebenchError: Process 1 failed: RuntimeError: CUDA out of memory\. Tried to allocate 2 GiB\. "
            r"\(test_evaluator\.py:\d+\)",
            (of_two / f"failed-{rank}").read_text(),
        )
