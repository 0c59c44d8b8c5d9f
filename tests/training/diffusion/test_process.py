"""The diffusion process: parity with the official samplers and losses, and the identities it must keep."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from facebench.core.errors import InputError
from facebench.training import load_official, official_names
from facebench.training.diffusion import (
    ddim_decode,
    ddim_decode_step,
    ddim_encode,
    ddim_encode_step,
    ddpm_sample,
    ema_update,
    p2_weight,
    q_sample,
    training_loss,
    x_0_from_eps,
)
from facebench.training.diffusion.schedule import LINEAR, Schedule
from facebench.training.models import DiffAE, UNet
from facebench.training.models.diffae import TINY


@pytest.fixture(scope="module")
def tiny(golden):
    """The golden record of the tiny autoencoder and the network that it was made with."""
    record = golden("diffae_tiny")
    return record, load_official("diffae-tiny", record.state())


def test_the_tiny_autoencoder_answers_as_the_official_one(tiny):
    record, model = tiny
    with torch.no_grad():
        z_sem = model.encode(record["x"])
        record.check("z_sem", z_sem)
        record.check("eps", model(record["x_t"], record["t"], z_sem))


@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("direction", ["encode", "decode"])
def test_every_ddim_step_is_the_official_one(tiny, direction, clip):
    record, model = tiny
    name = f"{direction}_{'clip' if clip else 'noclip'}"
    take, start = (
        (ddim_encode_step, record["x"]) if direction == "encode" else (ddim_decode_step, record["x_T"])
    )
    with torch.no_grad():
        z_sem = model.encode(record["x"])
        for position, recorded in enumerate(record[name]):
            index = position if direction == "encode" else 9 - position
            step = take(model, start, index, z_sem, LINEAR.ddim(10), clip)
            record.check(name, step.x, position)
            if name == "encode_clip":
                record.check("encode_clip_pred_xstart", step.x_0, position)
            start = recorded


def test_whole_chains_stay_near_the_official_ones(tiny):
    record, model = tiny
    with torch.no_grad():
        z_sem = model.encode(record["x"])
    x_T = ddim_encode(model, record["x"], z_sem, 10)
    x_0 = ddim_decode(model, record["x_T"], z_sem, 10)
    for key, end in (("encode_clip", x_T), ("decode_clip", x_0)):
        noise = record.manifest["tolerance"][key]["float32_noise_of_the_whole_chain"]
        torch.testing.assert_close(end, record[key][-1], rtol=0, atol=10 * noise)


def test_decoding_the_official_stochastic_code_gives_the_official_reconstruction(tiny):
    record, model = tiny
    with torch.no_grad():
        z_sem = model.encode(record["x"])
    record.check("decode_of_encode", ddim_decode(model, record["encode_clip"][-1], z_sem, 10))


def test_loss_x_t_and_gradients_are_the_official_ones(tiny):
    record, model = tiny
    x, t, noise = record["x"], record["t"], record["noise"]
    x_t = q_sample(x, t, noise)
    record.check("loss_x_t", x_t)
    model.zero_grad()
    z_sem = model.encode(x)
    record.check("loss_pred_xstart", x_0_from_eps(x_t, t, model(x_t, t, z_sem)))
    loss = training_loss(model, x, t, noise, z_sem)
    record.check("loss_per_sample", loss)
    loss.mean().backward()
    norms = {official_names(model)[key]: float(p.grad.norm()) for key, p in model.named_parameters()}
    record.check("loss_gradient_norms", np.array([norms[name] for name, _ in record.manifest["parameters"]]))
    model.zero_grad()


def test_three_steps_of_training_with_clipping_and_averaging_end_where_the_official_ones_do(golden):
    record = golden("diffae_tiny")
    model = load_official("diffae-tiny", record.state())
    average = copy.deepcopy(model)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-4)
    losses, norms = [], []
    for t, noise in zip(record["t_steps"], record["noise_steps"], strict=True):
        optimiser.zero_grad()
        loss = training_loss(model, record["x"], t, noise, model.encode(record["x"])).mean()
        loss.backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)))
        losses.append(float(loss.detach()))
        optimiser.step()
        ema_update(average, model, 0.9)
    record.check("train_losses", np.array(losses))
    record.check("train_grad_norms_before_clip", np.array(norms))
    with torch.no_grad():
        for key, network in (("train_eps_raw", model), ("train_eps_ema", average)):
            record.check(key, network(record["x_t"], record["t"], network.encode(record["x"])))


def test_ten_ddim_steps_keep_the_official_timesteps_and_alphas(tiny):
    record, _ = tiny
    short = LINEAR.ddim(10)
    assert short.timesteps.tolist() == record["ddim10_timestep_map"].tolist()
    record.check("ddim10_alphas_cumprod", short.alphas_cumprod)


def test_the_latent_model_predicts_samples_and_learns_as_the_official_one(golden):
    record = golden("diffae_latent_dpm")
    model = load_official("latent-dpm", record.state())
    schedule = Schedule.constant(0.008)
    record.check("ddim10_alphas_cumprod", schedule.ddim(10).alphas_cumprod)
    with torch.no_grad():
        record.check("pred", model(record["x"], record["t"]))
        z = (record["z"] - record["conds_mean"]) / record["conds_std"]
        record.check(
            "loss_per_sample",
            training_loss(model, z, record["t"], record["noise"], schedule=schedule, norm="l1"),
        )
    sample = ddim_decode(model, record["x_T"], None, 10, schedule=schedule, clip=False)
    record.check("sample", sample)
    record.check("sample_denormalised", sample * record["conds_std"] + record["conds_mean"])


def test_diffusion_rig_64_answers_learns_and_samples_as_the_official_one(golden):
    record = golden("diffusionrig_64")
    model = load_official("diffusionrig-64", record.state())
    conditions = torch.cat([record["rendered"], record["normal"], record["albedo"]], dim=1)
    driven = model.driven_by(conditions)
    with torch.no_grad():
        z = model.encode(record["x_start"])
        record.check("z", z)
        t = record["t"]
        record.check("eps", driven(record["x_t"], t, z))
        loss = training_loss(driven, record["x_start"], t, record["noise"], z, weight=p2_weight(t))
        record.check("loss_per_sample", loss)
    record.check("p2_weights", p2_weight(torch.arange(1000)))
    assert LINEAR.ddim(5).timesteps.tolist() == record["ddim5_timestep_map"].tolist()
    chain = []
    ddim_decode(driven, record["x_T"], z, 5, on_step=lambda step: chain.append(step.x))
    record.check("decode", torch.stack(chain))


# --- what must hold for any network


@pytest.mark.parametrize("schedule", [LINEAR, Schedule.constant(), Schedule.scaled_linear()])
def test_a_schedule_only_ever_loses_the_image_and_its_betas_rebuild_it(schedule):
    abar = schedule.alphas_cumprod
    assert np.all(np.diff(abar) < 0)
    assert 0 < abar[-1] < abar[0] < 1
    np.testing.assert_allclose(np.cumprod(1 - schedule.betas), abar, rtol=1e-12)


def test_a_shortened_schedule_has_the_alphas_of_the_full_one_at_its_timesteps():
    short = LINEAR.ddim(20)
    np.testing.assert_array_equal(short.alphas_cumprod, LINEAR.alphas_cumprod[short.timesteps])
    np.testing.assert_allclose(np.cumprod(1 - short.betas), short.alphas_cumprod, rtol=1e-12)


def test_all_steps_are_the_full_schedule():
    assert LINEAR.ddim(1000).timesteps.tolist() == list(range(1000))
    assert LINEAR.evenly(1000).timesteps.tolist() == list(range(1000))


def test_steps_that_no_whole_stride_gives_are_refused():
    with pytest.raises(InputError, match="600"):
        LINEAR.ddim(600)
    with pytest.raises(InputError, match="1001"):
        LINEAR.evenly(1001)


def test_p2_with_gamma_zero_weighs_nothing():
    assert torch.equal(p2_weight(torch.tensor([0, 999]), gamma=0.0), torch.ones(2))


def test_a_perfect_denoiser_brings_an_image_back_from_any_noise():
    """When eps is always exactly what leads to one image, that image comes out, by DDIM and by DDPM."""
    image = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1

    def perfect(x_t, t):
        abar = torch.as_tensor(LINEAR.alphas_cumprod, dtype=torch.float32)[t].view(-1, 1, 1, 1)
        return (x_t - abar.sqrt() * image) / (1 - abar).sqrt()

    x_T = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(ddim_decode(perfect, x_T, None, 20), image, rtol=0, atol=1e-4)
    torch.testing.assert_close(ddpm_sample(perfect, x_T, steps=50), image, rtol=0, atol=1e-4)


def test_ddim_brings_back_what_it_encoded_and_the_better_the_more_steps():
    """The probability flow of Gaussian data is known: a denoiser that is right for it inverts itself."""

    def gaussian(x_t, t):
        # Data with variance 0.25 in every pixel: E[eps | x_t] is linear in x_t.
        abar = torch.as_tensor(LINEAR.alphas_cumprod, dtype=torch.float64)[t].view(-1, 1, 1, 1)
        return x_t * (1 - abar).sqrt() / (0.25 * abar + 1 - abar)

    x = 0.5 * torch.randn(64, 3, 4, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    errors = []
    for steps in (10, 50, 250, 1000):
        x_T = ddim_encode(gaussian, x, None, steps, clip=False)
        errors.append(float((ddim_decode(gaussian, x_T, None, steps, clip=False) - x).abs().mean()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 5e-3
    assert abs(float(x_T.std()) - 1) < 0.1


def test_clipping_keeps_every_predicted_image_in_range(tiny):
    record, model = tiny
    seen = []
    with torch.no_grad():
        z_sem = model.encode(record["x"])
    ddim_decode(model, record["x_T"], z_sem, 5, on_step=lambda step: seen.append(step))
    assert [step.index for step in seen] == [4, 3, 2, 1, 0]
    assert all(step.x_0.abs().max() <= 1 for step in seen)


def test_ancestral_sampling_is_decided_by_its_generator():
    x_T = torch.zeros(1, 1, 2, 2)
    runs = [
        ddpm_sample(lambda x, t: x, x_T, steps=4, generator=torch.Generator().manual_seed(seed))
        for seed in (0, 0, 1)
    ]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_the_average_covers_buffers_and_copies_counters():
    average, model = torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(2)
    model.running_mean.fill_(1.0)
    model.num_batches_tracked.fill_(5)
    ema_update(average, model, 0.75)
    assert average.running_mean.tolist() == [0.25, 0.25]
    assert int(average.num_batches_tracked) == 5


def test_a_plain_diffusion_model_runs_without_a_code_and_refuses_one():
    model = UNet(32, 32, (1, 2)).eval()
    x_T = torch.randn(1, 3, 32, 32)
    assert ddim_decode(model, x_T, None, 2).shape == x_T.shape
    with pytest.raises(InputError, match="no code"):
        ddim_decode(model, x_T, torch.zeros(1, 64), 2)
    with pytest.raises(InputError, match="64 numbers"):
        ddim_decode(UNet(32, 32, (1, 2), code_channels=64), x_T, None, 2)


def test_a_new_autoencoder_predicts_no_noise_until_it_is_trained():
    model = DiffAE(TINY).eval()
    with torch.no_grad():
        eps = model(torch.randn(1, 3, 32, 32), torch.tensor([3]), torch.randn(1, 64))
    assert torch.equal(eps, torch.zeros_like(eps))
