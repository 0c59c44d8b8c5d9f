"""The compact autoencoder: v prediction, the coarse decoder, residual diffusion, and keys of older versions."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from facebench.core.errors import InputError
from facebench.training.diffusion import q_sample
from facebench.training.models import CompactAutoencoder, CompactAutoencoderConfig, DiffAE, DiffAEConfig
from tests.helpers.tiny_training import SIZES


def network(**options: Any) -> CompactAutoencoder:
    torch.manual_seed(0)
    return CompactAutoencoder(CompactAutoencoderConfig(**{**SIZES, **options})).eval()


def test_with_default_options_it_is_diffae() -> None:
    torch.manual_seed(0)
    diffae = DiffAE(DiffAEConfig(**SIZES)).eval()
    compact = network()
    assert compact.state_dict().keys() == diffae.state_dict().keys()
    assert all(torch.equal(compact.state_dict()[name], value) for name, value in diffae.state_dict().items())


def test_an_untrained_network_that_predicts_v_returns_eps() -> None:
    model = network(prediction_type="v")
    noise = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    x_0, t = torch.zeros_like(noise), torch.tensor([20, 999])
    eps = model(q_sample(x_0, t, noise), t, torch.zeros(2, 16))
    # v = 0 gives eps = sqrt(1 - abar) x_t: the noise itself at the last timestep, almost none of it at the first.
    assert torch.allclose(eps[1], noise[1], atol=1e-3)
    assert eps[0].std() < 0.1


@pytest.mark.parametrize(("code_shift", "outputs"), [(False, 1), (True, 2)])
def test_the_code_gives_a_scale_and_optionally_a_shift(code_shift: bool, outputs: int) -> None:
    block: Any = network(code_shift=code_shift).unet.middle[0]
    assert block.from_code.out_features == outputs * block.norm_2.num_channels


def test_with_residual_diffusion_an_edit_changes_the_face_by_the_change_of_the_coarse_face() -> None:
    """The untrained U-Net predicts v = 0 for all codes, so only the coarse face changes."""
    model = network(prediction_type="v", coarse_decoder=True, residual_diffusion=True)
    x_0 = 0.2 * torch.randn(2, 3, 32, 32)
    z_sem, edited = torch.randn(2, 2, 16)
    x_T = model.encode_stochastic(x_0, z_sem, 10)
    change = model.decode(x_T, edited, 10) - model.decode(x_T, z_sem, 10)
    assert model.decoder is not None
    with torch.no_grad():
        coarse_change = model.decoder(edited) - model.decoder(z_sem)
    assert coarse_change.abs().max() > 0.05
    assert torch.allclose(change, coarse_change, atol=1e-5)
    assert torch.allclose(model.face_of(model.diffusion_target(x_0, z_sem), z_sem), x_0, atol=1e-6)


def test_residual_diffusion_without_a_coarse_decoder_is_refused() -> None:
    with pytest.raises(InputError, match=r"Set model\.coarse_decoder=true"):
        network(residual_diffusion=True)


def test_frozen_parts_stay_in_evaluation_mode() -> None:
    model = network(encoder_norm="batch", coarse_decoder=True)
    model.encoder.requires_grad_(False)
    model.train()
    assert model.decoder is not None
    assert (model.unet.training, model.encoder.training, model.decoder.training) == (True, False, True)


def test_former_keys_are_read_and_present_keys_are_written() -> None:
    former = {"positions": True, "predicts": "v", "draft": True, "refines": True}
    present = {
        "position_features": True,
        "prediction_type": "v",
        "coarse_decoder": True,
        "residual_diffusion": True,
    }
    config = CompactAutoencoderConfig.model_validate({**SIZES, **former})
    assert config == CompactAutoencoderConfig(**SIZES, **present)
    assert config.model_dump().items() >= present.items()
    assert not former.keys() & config.model_dump().keys()


def test_of_two_names_of_a_key_the_later_one_wins() -> None:
    """An override with a former name follows the present name of a preset, and the other way round."""
    for keys in (("prediction_type", "predicts"), ("predicts", "prediction_type")):
        config = CompactAutoencoderConfig.model_validate({**SIZES, keys[0]: "eps", keys[1]: "v"})
        assert config.prediction_type == "v"
