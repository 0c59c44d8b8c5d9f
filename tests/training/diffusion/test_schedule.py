"""Noise schedules: parity with the official timesteps, and identities."""

from __future__ import annotations

import numpy as np
import pytest

from facebench.core.errors import InputError
from facebench.training.diffusion.schedule import LINEAR, Schedule


def test_ten_ddim_steps_have_the_official_timesteps_and_alphas(tiny):
    record, _ = tiny
    short = LINEAR.ddim(10)
    assert short.timesteps.tolist() == record["ddim10_timestep_map"].tolist()
    record.check("ddim10_alphas_cumprod", short.alphas_cumprod)


@pytest.mark.parametrize("schedule", [LINEAR, Schedule.constant(), Schedule.scaled_linear()])
def test_alphas_decrease_and_follow_from_the_betas(schedule):
    abar = schedule.alphas_cumprod
    assert np.all(np.diff(abar) < 0)
    assert 0 < abar[-1] < abar[0] < 1
    np.testing.assert_allclose(np.cumprod(1 - schedule.betas), abar, rtol=1e-12)


def test_shortened_schedules_have_the_alphas_of_the_full_schedule():
    short = LINEAR.ddim(20)
    np.testing.assert_array_equal(short.alphas_cumprod, LINEAR.alphas_cumprod[short.timesteps])
    np.testing.assert_allclose(np.cumprod(1 - short.betas), short.alphas_cumprod, rtol=1e-12)


def test_all_steps_give_the_full_schedule():
    assert LINEAR.ddim(1000).timesteps.tolist() == list(range(1000))
    assert LINEAR.evenly(1000).timesteps.tolist() == list(range(1000))


def test_steps_without_an_integer_stride_are_refused():
    with pytest.raises(InputError, match="600"):
        LINEAR.ddim(600)
    with pytest.raises(InputError, match="1001"):
        LINEAR.evenly(1001)
