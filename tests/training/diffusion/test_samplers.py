"""DDIM and DDPM samplers: parity with the official samplers, and identities."""

from __future__ import annotations

import pytest
import torch

from facebench.core.errors import InputError
from facebench.training import load_official
from facebench.training.diffusion import (
    ddim_decode,
    ddim_decode_step,
    ddim_encode,
    ddim_encode_step,
    ddpm_sample,
    p2_weight,
    training_loss,
)
from facebench.training.diffusion.schedule import LINEAR, Schedule
from facebench.training.models import UNet


@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("direction", ["encode", "decode"])
def test_each_ddim_step_matches_the_official_one(tiny, direction, clip):
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


def test_whole_chains_match_the_official_ones(tiny):
    record, model = tiny
    with torch.no_grad():
        z_sem = model.encode(record["x"])
    x_T = ddim_encode(model, record["x"], z_sem, 10)
    x_0 = ddim_decode(model, record["x_T"], z_sem, 10)
    for key, end in (("encode_clip", x_T), ("decode_clip", x_0)):
        noise = record.manifest["tolerance"][key]["float32_noise_of_the_whole_chain"]
        torch.testing.assert_close(end, record[key][-1], rtol=0, atol=10 * noise)


def test_decoding_the_official_stochastic_code_matches_the_official_reconstruction(tiny):
    record, model = tiny
    with torch.no_grad():
        z_sem = model.encode(record["x"])
    record.check("decode_of_encode", ddim_decode(model, record["encode_clip"][-1], z_sem, 10))


def test_latent_model_matches_the_official_predictions_losses_and_samples(golden):
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


def test_diffusionrig_64_matches_the_official_predictions_losses_and_samples(golden):
    record = golden("diffusionrig_64")
    model = load_official("diffusionrig-64", record.state())
    conditions = torch.cat([record["rendered"], record["normal"], record["albedo"]], dim=1)
    driven = model.driven_by(conditions)
    with torch.no_grad():
        z = model.encode(record["x_start"])
        record.check("z", z)
        t = record["t"]
        record.check("eps", driven(record["x_t"], t, z))
        loss = p2_weight(t) * training_loss(driven, record["x_start"], t, record["noise"], z)
        record.check("loss_per_sample", loss)
    record.check("p2_weights", p2_weight(torch.arange(1000)))
    assert LINEAR.ddim(5).timesteps.tolist() == record["ddim5_timestep_map"].tolist()
    chain = []
    ddim_decode(driven, record["x_T"], z, 5, on_step=lambda step: chain.append(step.x))
    record.check("decode", torch.stack(chain))


def test_an_exact_denoiser_recovers_the_image_from_any_noise():
    """The denoiser returns the eps that leads to one image; DDIM and DDPM must return this image."""
    image = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1

    def exact(x_t, t):
        abar = torch.as_tensor(LINEAR.alphas_cumprod, dtype=torch.float32)[t].view(-1, 1, 1, 1)
        return (x_t - abar.sqrt() * image) / (1 - abar).sqrt()

    x_T = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(ddim_decode(exact, x_T, None, 20), image, rtol=0, atol=1e-4)
    torch.testing.assert_close(ddpm_sample(exact, x_T, schedule=LINEAR.evenly(50)), image, rtol=0, atol=1e-4)


def test_ddim_reconstruction_improves_with_the_number_of_steps():
    """For Gaussian data the exact denoiser is known, and its probability flow is invertible."""

    def gaussian(x_t, t):
        # For pixels of variance 0.25, E[eps | x_t] is linear in x_t.
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


def test_clipping_keeps_predicted_images_in_range(tiny):
    record, model = tiny
    steps = []
    with torch.no_grad():
        z_sem = model.encode(record["x"])
    ddim_decode(model, record["x_T"], z_sem, 5, on_step=steps.append)
    assert [step.index for step in steps] == [4, 3, 2, 1, 0]
    assert all(step.x_0.abs().max() <= 1 for step in steps)


def test_ancestral_sampling_depends_on_its_generator():
    x_T = torch.zeros(1, 1, 2, 2)
    runs = [
        ddpm_sample(
            lambda x, t: x, x_T, schedule=LINEAR.evenly(4), generator=torch.Generator().manual_seed(seed)
        )
        for seed in (0, 0, 1)
    ]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_unconditional_models_refuse_a_code_and_conditional_models_need_one():
    model = UNet(32, 32, (1, 2)).eval()
    x_T = torch.randn(1, 3, 32, 32)
    assert ddim_decode(model, x_T, None, 2).shape == x_T.shape
    with pytest.raises(InputError, match="no code"):
        ddim_decode(model, x_T, torch.zeros(1, 64), 2)
    with pytest.raises(InputError, match="64 numbers"):
        ddim_decode(UNet(32, 32, (1, 2), code_channels=64), x_T, None, 2)
