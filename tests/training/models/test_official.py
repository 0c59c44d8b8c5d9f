"""Official checkpoints: parity with the official code, and errors that name the first weight that does not fit."""

from __future__ import annotations

import pytest
import torch

from facebench.core.errors import InputError, WeightsError
from facebench.training import latent_statistics, load_official, official_names
from facebench.training.diffusion import ddim_decode, p2_weight, training_loss
from facebench.training.models import DiffAE, DiffusionRig, DiffusionRigConfig, DiffusionRigEmo
from facebench.training.models.diffae import TINY
from facebench.training.models.diffusionrig_emo import EMO64


@pytest.mark.parametrize("size", [128, 256])
def test_diffae_matches_the_official_codes_and_predictions(golden, size):
    record = golden(f"diffae_ffhq{size}_autoenc")
    model = load_official(f"diffae-ffhq{size}", record.state())
    with torch.no_grad():
        z_sem = model.encode(record["x"])
        record.check("z_sem", z_sem)
        record.check("eps", model(record["x_t"], record["t"], z_sem))
        if "z_other" in record.arrays:
            other = model(record["x_t"], record["t"], record["z_other"])
            record.check("eps_other", other[:, :, ::4, ::4])


def test_diffusionrig_256_matches_the_official_codes_and_predictions(golden):
    record = golden("diffusionrig_256")
    model = load_official("diffusionrig-256", record.state())
    conditions = torch.cat([record["rendered"], record["normal"], record["albedo"]], dim=1)
    with torch.no_grad():
        z = model.encode(record["x_start"])
        record.check("z", z)
        record.check("eps", model(record["x_t"], record["t"], conditions, z))


@pytest.mark.parametrize("encoder", ["resnet18", "resnet50"])
def test_diffusionrig_emo_matches_the_official_predictions_losses_and_samples(golden, encoder):
    record = golden(f"diffusionrig_codes_64_{encoder}")
    model = load_official(f"diffusionrig-codes-64-{encoder}", record.state())
    conditions = torch.cat([record["rendered"], record["normal"], record["albedo"]], dim=1)
    driven = model.driven_by(conditions, record["shape"], record["identity"])
    t = record["t"]
    with torch.no_grad():
        z = model.encode(record["x_start"])
        record.check("z", z)
        record.check("eps", model(record["x_t"], t, conditions, z, record["shape"], record["identity"]))
        loss = p2_weight(t) * training_loss(driven, record["x_start"], t, record["noise"], z)
        record.check("loss_per_sample", loss)
    chain = []
    ddim_decode(driven, record["x_T"], z, 5, on_step=lambda step: chain.append(step.x))
    record.check("decode", torch.stack(chain))


def test_a_diffusionrig_emo_with_another_encoder_or_other_codes_is_refused():
    with torch.device("meta"):
        network = DiffusionRigEmo(EMO64)
    names = official_names(network)
    state = {names[key]: torch.empty(value.shape) for key, value in network.state_dict().items()}
    assert load_official("diffusionrig-codes-64-resnet18", state).config == EMO64
    with pytest.raises(WeightsError, match=r"hold a resnet18\. Use diffusionrig-codes-64-resnet18"):
        load_official("diffusionrig-codes-64-resnet50", state)
    key = "denoisingUNet.input_blocks.1.0.cond_emb_layers.1.weight"
    with pytest.raises(WeightsError, match="codes of 264 values, this network has 314"):
        load_official("diffusionrig-codes-64-resnet18", {**state, key: torch.empty(256, 264)})


@pytest.fixture(scope="module")
def tiny_state(golden):
    return golden("diffae_tiny").state()


def test_official_names_equal_the_names_in_the_checkpoint(tiny_state):
    names = official_names(DiffAE(TINY))
    assert sorted(names.values()) == sorted(tiny_state)


def test_loading_copies_the_weights(tiny_state):
    state = {key: value.clone() for key, value in tiny_state.items()}
    model = load_official("diffae-tiny", state)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert all(torch.equal(state[key], value) for key, value in tiny_state.items())


def test_a_missing_weight_is_named(tiny_state):
    state = {key: value for key, value in tiny_state.items() if key != "middle_block.1.qkv.bias"}
    with pytest.raises(WeightsError, match=r"middle_block\.1\.qkv\.bias"):
        load_official("diffae-tiny", state)


def test_an_unexpected_weight_is_named(tiny_state):
    with pytest.raises(WeightsError, match="unexpected"):
        load_official("diffae-tiny", {**tiny_state, "unexpected": torch.zeros(1)})


def test_a_misshapen_weight_is_named_with_both_shapes(tiny_state):
    with pytest.raises(WeightsError, match=r"out\.2\.bias.*\(4,\).*\(3,\)"):
        load_official("diffae-tiny", {**tiny_state, "out.2.bias": torch.zeros(4)})


def test_an_unknown_network_is_refused_with_the_known_names(tiny_state):
    with pytest.raises(InputError, match="diffae-ffhq128"):
        load_official("diffae-512", tiny_state)


@pytest.fixture(scope="module")
def training_checkpoint(tiny_state):
    """Training checkpoint with raw and averaged weights, noise, and statistics of z_sem."""
    return {
        "global_step": 7,
        "state_dict": {
            **{f"model.{key}": value + 1 for key, value in tiny_state.items()},
            **{f"ema_model.{key}": value for key, value in tiny_state.items()},
            "ema_model.latent_net.time_embed.0.weight": torch.zeros(512, 64),
            "x_T": torch.zeros(2, 3, 32, 32),
            "conds_mean": torch.full((1, 64), 2.0),
            "conds_std": torch.full((1, 64), 3.0),
        },
    }


def test_a_training_checkpoint_gives_its_averaged_weights(training_checkpoint, tiny_state):
    model = load_official("diffae-tiny", training_checkpoint)
    assert torch.equal(model.unet.out_conv.bias, tiny_state["out.2.bias"])
    mean, std = latent_statistics(training_checkpoint)
    assert mean.shape == (64,)
    assert float(std[0]) == 3.0


def test_a_training_checkpoint_with_an_unknown_key_is_refused(training_checkpoint):
    state = {**training_checkpoint["state_dict"], "optimizer.step": torch.zeros(1)}
    with pytest.raises(WeightsError, match=r"optimizer\.step"):
        load_official("diffae-tiny", {"state_dict": state})


def test_weights_without_latent_statistics_are_refused(tiny_state):
    with pytest.raises(WeightsError, match="conds_mean"):
        latent_statistics(tiny_state)


def test_the_depth_of_the_encoder_follows_from_the_weights():
    with torch.device("meta"):
        deep = DiffusionRig(DiffusionRigConfig(size=64, multipliers=(1, 2, 3, 4), encoder="resnet50"))
    names = official_names(deep)
    state = {names[key]: torch.empty(value.shape) for key, value in deep.state_dict().items()}
    assert load_official("diffusionrig-64", state).config.encoder == "resnet50"
