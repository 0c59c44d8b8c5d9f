"""U-Net of the compact networks: patches and position features."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from facebench.training.models.compact_unet import CompactUNet, set_group_count, use_batch_norm

SIZES: dict[str, Any] = {
    "size": 32, "channels": 8, "multipliers": (1, 2), "in_channels": 3, "time_channels": 16, "code_channels": 16,
    "code_shift": False, "blocks": 1, "attention": (), "dropout": 0.0, "groups": 32, "patch": 1,
    "position_features": False,
}  # fmt: skip


def network(**changes: Any) -> CompactUNet:
    torch.manual_seed(0)
    unet = CompactUNet(**{**SIZES, **changes}).eval()
    nn.init.normal_(unet.out_conv.weight, std=0.1)  # zero in an untrained network
    return unet


def test_each_pixel_has_its_own_prediction_although_feature_maps_are_smaller() -> None:
    unet = network(patch=2)
    shapes: list[torch.Size] = []
    unet.middle.register_forward_pre_hook(lambda _, inputs: shapes.append(inputs[0].shape))
    x = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    prediction = unet(x, torch.tensor([500]), torch.zeros(1, 16))
    assert shapes == [(1, 16, 8, 8)]
    assert prediction.shape == x.shape
    assert len(prediction.detach().unique()) > 0.99 * prediction.numel()


def test_a_change_in_one_corner_affects_the_prediction_there_most() -> None:
    unet = network(multipliers=(1,), patch=4)
    x = torch.zeros(1, 3, 32, 32)
    corner = x.clone()
    corner[..., :4, :4] = 1
    code, t = torch.zeros(1, 16), torch.tensor([500])
    change = (unet(corner, t, code) - unet(x, t, code)).abs().mean(dim=1)[0]
    assert change[:4, :4].mean() > 2 * change[16:, 16:].mean()


def test_position_features_distinguish_positions_in_a_constant_image() -> None:
    for position_features, constant in ((False, True), (True, False)):
        unet = network(size=64, multipliers=(1,), position_features=position_features)
        prediction = unet(torch.zeros(1, 3, 64, 64), torch.tensor([500]), torch.zeros(1, 16))
        inner = prediction[0, :, 24:40, 24:40]  # outside the receptive field of the border
        assert bool(inner.std(dim=(1, 2)).max() < 1e-4) == constant


def test_the_number_of_groups_divides_the_width_of_each_layer() -> None:
    unet = network()
    set_group_count(unet, 4)
    norms = [layer for layer in unet.modules() if isinstance(layer, nn.GroupNorm)]
    assert norms
    assert {norm.num_groups for norm in norms} == {4}
    set_group_count(unet, 5)
    assert {norm.num_groups for norm in norms} == {1}


def test_batch_normalisation_replaces_all_group_normalisation() -> None:
    unet = network(attention=(16,))
    use_batch_norm(unet)
    kinds = [type(layer) for layer in unet.modules() if "Norm" in type(layer).__name__]
    assert set(kinds) == {nn.BatchNorm1d, nn.BatchNorm2d}
