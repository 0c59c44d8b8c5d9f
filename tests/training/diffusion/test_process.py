"""Forward process, training loss and weights: parity with the official code, and identities."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from facebench.training import load_official, official_names
from facebench.training.diffusion import (
    eps_from_v,
    eps_from_x_0,
    p2_weight,
    q_sample,
    training_loss,
    v_weight,
    x_0_from_eps,
    x_0_weight,
)
from facebench.training.diffusion.schedule import LINEAR
from facebench.training.engine.ema import ema_update


def test_x_t_loss_and_gradients_match_the_official_ones(tiny):
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


def test_three_training_steps_with_clipping_and_ema_match_the_official_ones(golden):
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


def test_p2_weights_with_gamma_zero_are_one():
    assert torch.equal(p2_weight(torch.tensor([0, 999]), gamma=0.0), torch.ones(2))


@pytest.fixture
def noisy():
    """Clean images, timesteps, noise, and the prediction of a network."""
    generator = torch.Generator().manual_seed(0)
    x_0, noise, prediction = (torch.randn(3, 3, 8, 8, generator=generator) for _ in range(3))
    return x_0, torch.tensor([5, 400, 990]), noise, prediction


def test_v_weights_turn_the_error_of_eps_into_the_error_of_v(noisy):
    x_0, t, noise, v = noisy
    eps = eps_from_v(q_sample(x_0, t, noise), t, v)
    abar = torch.tensor(LINEAR.alphas_cumprod, dtype=torch.float32)[t].view(-1, 1, 1, 1)
    target = abar.sqrt() * noise - (1 - abar).sqrt() * x_0
    weighted = v_weight(t) * (eps - noise).square().flatten(1).mean(dim=1)
    assert torch.allclose(weighted, (v - target).square().flatten(1).mean(dim=1), rtol=1e-3)


def test_x_0_weights_turn_the_error_of_eps_into_the_error_of_x_0(noisy):
    x_0, t, noise, prediction = noisy
    eps = eps_from_x_0(q_sample(x_0, t, noise), t, prediction)
    weighted = x_0_weight(t) * (eps - noise).square().flatten(1).mean(dim=1)
    assert torch.allclose(weighted, (prediction - x_0).square().flatten(1).mean(dim=1), rtol=1e-3)
