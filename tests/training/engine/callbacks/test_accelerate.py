"""The callback in loops of Accelerate, as in the training scripts of diffusers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

accelerate = pytest.importorskip("accelerate", reason="accelerate is not installed")

from facebench.training.engine.callbacks.accelerate import evaluate_step, pipeline_sampler  # noqa: E402
from facebench.training.engine.callbacks.periodic import PeriodicEvaluation, Schedule  # noqa: E402
from tests.training.engine.callbacks.faces import OPTIONS, NoisyFaces, evaluation  # noqa: E402


def test_a_loop_of_accelerate_logs_to_its_trackers(tmp_path: Path, pixels: np.ndarray) -> None:
    from accelerate.tracking import GeneralTracker

    logged: dict[int, dict[str, float]] = {}

    class Tracker(GeneralTracker):
        name = "memory"
        requires_logging_directory = False

        @property
        def tracker(self) -> dict[int, dict[str, float]]:
            return logged

        def store_init_configuration(self, values: dict[str, object]) -> None:
            pass

        def log(self, values: dict[str, float], step: int | None = None, **_: object) -> None:
            logged[step or 0] = values

    accelerator = accelerate.Accelerator(cpu=True, log_with=Tracker())
    accelerator.init_trackers("test")
    model = NoisyFaces(pixels)
    model, optimizer = accelerator.prepare(model, torch.optim.SGD(model.parameters(), lr=0.24))
    made = evaluation(pixels, tmp_path, on_best=lambda found: accelerator.save_state(str(tmp_path / "best")))
    for step in range(1, 5):
        accelerator.backward(model()["loss"])
        optimizer.step()
        optimizer.zero_grad()
        evaluate_step(accelerator, made, step, model)
    assert list(logged) == [2, 4]
    assert logged[4]["facebench/fd_lite0"] < logged[2]["facebench/fd_lite0"]
    assert (tmp_path / "best").is_dir()


def test_a_pipeline_of_diffusers_is_evaluated_with_its_averaged_unet(
    tmp_path: Path, pixels: np.ndarray
) -> None:
    diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed")
    from diffusers.training_utils import EMAModel

    unet = diffusers.UNet2DModel(
        sample_size=32, block_out_channels=(8, 8), norm_num_groups=4, layers_per_block=1,
        down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2,
    )  # fmt: skip
    scheduler = diffusers.DDIMScheduler()
    sampler = pipeline_sampler(lambda model: diffusers.DDIMPipeline(model, scheduler), num_inference_steps=2)
    ema = EMAModel(unet.parameters())
    made = PeriodicEvaluation(
        sampler, Schedule(1), 8, tmp_path, {**OPTIONS, "metrics": "fd_lite0", "reference": pixels}, ema=ema
    )
    first, second = made.evaluate(1, unet), made.evaluate(2, unet)
    for parameter in unet.parameters():
        parameter.data.add_(0.1)
    third = made.evaluate(3, unet)
    assert first is not None
    assert first.numbers == second.numbers == third.numbers  # type: ignore[union-attr]


def test_prompts_take_turns() -> None:
    asked: list[list[str]] = []

    class Pipeline:
        def set_progress_bar_config(self, **_: object) -> None:
            pass

        def __call__(self, prompt: list[str], **_: object) -> Pipeline:
            asked.append(prompt)
            self.images = [np.zeros((8, 8, 3), np.uint8)] * len(prompt)
            return self

    sample = pipeline_sampler(lambda model: Pipeline(), prompt=["a", "b", "c"])
    sample(None, 2)
    sample(None, 2)
    assert asked == [["a", "b"], ["c", "a"]]
