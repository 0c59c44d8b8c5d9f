"""What makes a small denoiser learn sooner: patches, and v in place of eps; both still give an eps for every pixel."""

from __future__ import annotations

import pytest
import torch

from facebench.core.errors import InputError
from facebench.training.diffusion import eps_from_v, eps_from_x_0, q_sample, v_weight, x_0_weight
from facebench.training.diffusion.schedule import LINEAR
from facebench.training.editing.autoencoder import rendered, stochastic_code
from facebench.training.models import DiffAE, DiffAEConfig
from facebench.training.tasks.diffae import focus_map

SIZES = {
    "channels": 8,
    "time_channels": 16,
    "code_channels": 16,
    "blocks": 1,
    "attention": (8,),
    "dropout": 0.0,
}


def test_every_pixel_has_its_own_eps_and_the_network_works_on_a_quarter_of_the_positions() -> None:
    model = DiffAE(DiffAEConfig(32, (1, 2), (1, 2), patch=2, **SIZES)).eval()
    torch.nn.init.normal_(model.unet.out_conv.weight)
    seen: list[torch.Size] = []
    model.unet.middle.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape))
    x = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    eps = model(x, torch.tensor([500]), model.encode(x))
    assert seen == [(1, 16, 8, 8)]
    assert eps.shape == x.shape
    assert len(eps.detach().unique()) > 0.99 * eps.numel()


def test_what_changes_in_one_corner_changes_eps_there_most() -> None:
    torch.manual_seed(0)
    model = DiffAE(DiffAEConfig(32, (1,), (1, 2), patch=4, **{**SIZES, "attention": ()})).eval()
    torch.nn.init.normal_(model.unet.out_conv.weight, std=0.1)
    x = torch.zeros(1, 3, 32, 32)
    corner = x.clone()
    corner[..., :4, :4] = 1
    z_sem, t = torch.zeros(1, 16), torch.tensor([500])
    change = (model(corner, t, z_sem) - model(x, t, z_sem)).abs().mean(dim=1)[0]
    assert change[:4, :4].mean() > 2 * change[16:, 16:].mean()


def test_a_network_that_predicts_v_returns_eps_and_begins_by_taking_all_of_x_t_for_noise() -> None:
    model = DiffAE(DiffAEConfig(32, (1, 2), (1, 2), predicts="v", **SIZES)).eval()
    noise = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    x_0, t = torch.zeros_like(noise), torch.tensor([20, 999])
    eps = model(q_sample(x_0, t, noise), t, torch.zeros(2, 16))
    assert torch.allclose(eps[1], noise[1], atol=1e-3)
    # v = 0 leaves (1 - abar) of the noise in eps where the image is clean.
    assert eps[0].std() < 0.1


def test_the_error_of_eps_under_weight_v_is_the_error_of_v() -> None:
    generator = torch.Generator().manual_seed(0)
    x_0, noise, v = (torch.randn(3, 3, 8, 8, generator=generator) for _ in range(3))
    t = torch.tensor([5, 400, 990])
    eps = eps_from_v(q_sample(x_0, t, noise), t, v)
    abar = torch.tensor(LINEAR.alphas_cumprod, dtype=torch.float32)[t].view(-1, 1, 1, 1)
    truth = abar.sqrt() * noise - (1 - abar).sqrt() * x_0
    of_eps = v_weight(t) * (eps - noise).square().flatten(1).mean(dim=1)
    assert torch.allclose(of_eps, (v - truth).square().flatten(1).mean(dim=1), rtol=1e-3)


def test_the_error_of_eps_under_weight_x_0_is_the_error_of_x_0() -> None:
    generator = torch.Generator().manual_seed(0)
    x_0, noise, guess = (torch.randn(3, 3, 8, 8, generator=generator) for _ in range(3))
    t = torch.tensor([5, 400, 990])
    eps = eps_from_x_0(q_sample(x_0, t, noise), t, guess)
    of_eps = x_0_weight(t) * (eps - noise).square().flatten(1).mean(dim=1)
    assert torch.allclose(of_eps, (guess - x_0).square().flatten(1).mean(dim=1), rtol=1e-3)


def test_focus_weighs_the_middle_and_leaves_the_mean_of_all_weights_at_one() -> None:
    weights = focus_map(64, 8.0)
    assert weights.mean() == pytest.approx(1)
    assert 7 < weights[32, 32] / weights[0, 0] < 8.1
    assert torch.equal(focus_map(64, 1.0), torch.ones(64, 64))


def test_a_shift_by_the_code_reaches_features_that_a_scale_cannot() -> None:
    shapes = {}
    for shift in (False, True):
        model = DiffAE(DiffAEConfig(32, (1, 2), (1, 2), code_shift=shift, **SIZES))
        shapes[shift] = (
            model.unet.middle[0].from_code.weight.shape[0] / model.unet.middle[0].norm_2.num_channels
        )
    assert shapes == {False: 1, True: 2}


def test_positions_tell_places_apart_that_look_alike() -> None:
    torch.manual_seed(0)
    for positions, same in ((False, True), (True, False)):
        sizes = {**SIZES, "attention": ()}
        model = DiffAE(DiffAEConfig(64, (1,), (1, 2), positions=positions, **sizes)).eval()
        torch.nn.init.normal_(model.unet.out_conv.weight)
        eps = model(torch.zeros(1, 3, 64, 64), torch.tensor([500]), torch.zeros(1, 16))
        inner = eps[0, :, 24:40, 24:40]  # out of the border's sight
        assert bool(inner.std(dim=(1, 2)).max() < 1e-4) == same


def test_where_a_draft_is_refined_an_edit_changes_the_face_by_the_change_of_the_draft() -> None:
    torch.manual_seed(0)
    model = DiffAE(DiffAEConfig(32, (1, 2), (1, 2), predicts="v", draft=True, refines=True, **SIZES)).eval()
    x_0 = 0.2 * torch.randn(2, 3, 32, 32)
    z_sem, other = torch.randn(2, 2, 16)
    x_T = stochastic_code(model, x_0, z_sem, 10)  # of a network that still answers v = 0 to everything
    change = rendered(model, x_T, other, 10) - rendered(model, x_T, z_sem, 10)
    with torch.no_grad():
        expected = model.decoder(other) - model.decoder(z_sem)
    assert expected.abs().max() > 0.05
    assert torch.allclose(change, expected, atol=1e-5)
    assert torch.allclose(model.to_faces(model.to_diffused(x_0, z_sem), z_sem), x_0, atol=1e-6)


def test_refining_without_a_draft_is_refused() -> None:
    with pytest.raises(InputError, match=r"Set model\.draft=true"):
        DiffAE(DiffAEConfig(32, (1, 2), (1, 2), refines=True, **SIZES))
