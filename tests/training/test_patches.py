"""A U-Net on patches: fewer positions, and still an eps for every pixel."""

from __future__ import annotations

import torch

from facebench.training.models import DiffAE, DiffAEConfig

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
