"""Samplers, noise, and the choice among candidates."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from facebench.core.errors import InputError
from facebench.training.diffusion import LINEAR, Schedule, eps_from_x_0
from facebench.training.rig.transfer.drawing import Drawing, grey

IMAGE = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1


def exact(schedule: Schedule = LINEAR) -> object:
    """The denoiser whose every prediction leads to one image."""
    return lambda x_t, t, z: eps_from_x_0(x_t, t, IMAGE.expand_as(x_t), schedule)


@pytest.mark.parametrize("sampler", ["ddim20", "ddim50", "ddpm50", "ddpm", "dpm-solver++"])
@pytest.mark.parametrize("diffusion_steps", [1000, 500])
def test_every_sampler_recovers_the_image_of_an_exact_denoiser(sampler: str, diffusion_steps: int) -> None:
    if sampler == "ddpm" and diffusion_steps == 500:
        sampler = "ddpm500"
    drawing = Drawing.of(sampler, diffusion_steps=diffusion_steps)
    drawn = drawing.sample(exact(drawing.schedule), torch.zeros(2, 4), ["a", "b"], 8, 0)
    assert torch.allclose(drawn, IMAGE.expand_as(drawn), atol=0.02)


def shifting(x_t: Tensor, t: Tensor, z: Tensor) -> Tensor:
    return 0.3 * x_t + 0.01 * torch.sin(t.float() / 100).view(-1, 1, 1, 1)


@pytest.mark.parametrize("sampler", ["ddim5", "ddpm5", "dpm-solver++5"])
def test_an_image_does_not_depend_on_the_batch(sampler: str) -> None:
    drawing = Drawing.of(sampler)
    both = drawing.sample(shifting, torch.zeros(2, 4), ["a", "b"], 8, 0)
    alone = drawing.sample(shifting, torch.zeros(1, 4), ["b"], 8, 0)
    assert torch.allclose(both[1:], alone, atol=1e-6)
    assert not torch.allclose(both[0], both[1], atol=0.1)


def test_noise_is_of_the_source_or_shared() -> None:
    z = torch.zeros(2, 4)
    own, shared = (Drawing.of("ddim2", noise=noise) for noise in ("per-source", "shared"))
    a, b = own.sample(shifting, z, ["a", "b"], 8, 0)
    assert not torch.equal(a, b)
    a, b = shared.sample(shifting, z, ["a", "b"], 8, 0)
    assert torch.equal(a, b)
    first, second = (own.sample(shifting, z, ["a", "b"], 8, number) for number in (0, 1))
    assert not torch.equal(first, second)


def test_the_shorter_schedule_has_larger_betas_and_its_own_timesteps() -> None:
    schedule = Drawing.of("ddim20", diffusion_steps=500).schedule
    assert len(schedule) == 500
    assert schedule.timesteps[-1] == 499
    assert schedule.betas[0] == pytest.approx(2e-4)
    assert schedule.betas[-1] == pytest.approx(4e-2)
    assert np.allclose(Drawing.of("ddim").schedule.alphas_cumprod, LINEAR.alphas_cumprod)


def test_the_sharpest_or_the_least_sharp_candidate_is_kept() -> None:
    rng = np.random.default_rng(0)
    flat = np.full((8, 8, 3), 128, np.uint8)
    noisy = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    half = (noisy // 2).astype(np.uint8)
    kept, scores = Drawing.of("ddim").chosen([half, noisy, flat])
    assert kept == 1
    assert scores[1] > scores[0] > scores[2] == 0
    assert Drawing.of("ddim", keep="least-sharp").chosen([half, noisy, flat])[0] == 2
    assert grey(np.array([[[255, 0, 0]]], np.uint8)).tolist() == [[76]]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("dimm20", None, {}), "'dimm20' is not a sampler"),
        (("ddim", 600, {"diffusion_steps": 500}), "takes 1 to 500 steps"),
        (("ddim", None, {"keep": "best"}), "'best' is unknown"),
        (("ddim", None, {"noise": "share"}), "Did you mean shared"),
        (("ddim", None, {"candidates": 0}), "At least one candidate"),
    ],
)
def test_bad_settings_are_refused(words: tuple[str, int | None, dict[str, object]], message: str) -> None:
    sampler, steps, further = words
    with pytest.raises(InputError, match=message):
        Drawing.of(sampler, steps, **further)
