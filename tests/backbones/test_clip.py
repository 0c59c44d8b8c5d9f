from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from facebench.backbones import Backbone, build
from facebench.backbones.clip import vision_tower
from facebench.core.errors import WeightsError
from tests.helpers.golden_networks import Golden, State

GOLDEN = Golden("clip_vision_336")
PLAIN = torch.tensor(1.0)


def hollow(shapes: dict[str, tuple[int, ...]]) -> State:
    """A state dict of the right shapes that takes no memory: names are checked before numbers are read."""
    return {name: PLAIN.expand(shape) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def hf() -> State:
    return hollow({name: tuple(shape) for name, shape in GOLDEN.facts["parameters"]})


@pytest.fixture(scope="module")
def openai() -> State:
    with torch.device("meta"):
        return hollow({name: tuple(value.shape) for name, value in vision_tower().state_dict().items()})


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return build("clip-vitl14-336", GOLDEN.state())


def test_input_and_embedding_equal_the_recorded_ones(backbone: Backbone) -> None:
    batch = backbone.preprocess(GOLDEN.images(1)[0])[None]
    np.testing.assert_allclose(batch[:, :, ::12, ::12], GOLDEN["input.first"], rtol=0, atol=1e-4)
    actual, recorded = backbone.embed(batch)["embedding"], GOLDEN["a"][:1]
    np.testing.assert_allclose(actual, recorded, rtol=0, atol=1e-4)
    np.testing.assert_allclose((actual * recorded).sum(axis=1), 1, rtol=0, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(actual, axis=1), 1, rtol=0, atol=1e-6)


def test_borders_of_a_wide_image_are_ignored_and_resizing_is_antialiased(backbone: Backbone) -> None:
    image = np.random.default_rng(0).integers(0, 256, (400, 701, 3), dtype=np.uint8)
    bordered = image.copy()
    bordered[:, :150], bordered[:, 550:] = 0, 255
    np.testing.assert_array_equal(backbone.preprocess(image), backbone.preprocess(bordered))
    checks = np.tile(np.array([[0, 255], [255, 0]], np.uint8)[:, :, None], (672, 672, 3))
    assert np.ptp(backbone.preprocess(checks)[0, 20:-20, 20:-20].numpy()) < 0.05


def test_names_of_transformers_and_openai_give_the_same_network(hf: State, openai: State) -> None:
    attention = "vision_model.encoder.layers.7.self_attn"
    parts = {part: torch.rand(1024, 1024) for part in "qkv"}
    projection = torch.rand(768, 1024)
    hf = hf | {f"{attention}.{part}_proj.weight": value for part, value in parts.items()}
    hf |= {"visual_projection.weight": projection, "logit_scale": PLAIN}
    hf |= {"vision_model.embeddings.position_ids": torch.arange(577)[None]}
    tower = build("clip-vitl14-336", hf).network
    assert tower is not None
    actual = tower.state_dict()
    stacked = torch.cat([parts["q"], parts["k"], parts["v"]])
    assert torch.equal(actual["transformer.resblocks.7.attn.in_proj_weight"], stacked)
    assert torch.equal(actual["proj"], projection.T)
    assert actual.keys() == openai.keys()


def test_half_precision_and_text_encoder_of_openai_are_accepted(openai: State) -> None:
    whole = {f"visual.{name}": value.half() for name, value in openai.items() if "resblocks" not in name}
    whole |= {f"visual.{name}": value for name, value in openai.items() if "resblocks" in name}
    text = ("positional_embedding", "text_projection", "logit_scale", "token_embedding.weight")
    whole |= dict.fromkeys((*text, "transformer.resblocks.0.ln_1.weight", "input_resolution"), PLAIN)
    network = build("clip-vitl14-336", whole).network
    assert network is not None
    assert {value.dtype for value in network.state_dict().values()} == {torch.float32}


def test_the_first_wrong_key_is_named_as_in_the_file(hf: State, openai: State) -> None:
    last = "vision_model.encoder.layers.23.mlp.fc2.bias"
    with pytest.raises(WeightsError, match=f"lack '{last}'"):
        build("clip-vitl14-336", {name: value for name, value in hf.items() if name != last})
    with pytest.raises(WeightsError, match=r"'visual_projection\.weight' has shape \(512, 1024\)"):
        build("clip-vitl14-336", hf | {"visual_projection.weight": PLAIN.expand(512, 1024)})
    extra = "vision_model.encoder.layers.24.layer_norm1.bias"
    with pytest.raises(WeightsError, match=f"contain '{extra}'"):
        build("clip-vitl14-336", hf | {extra: PLAIN})
    smaller = openai | {"positional_embedding": PLAIN.expand(257, 1024)}
    with pytest.raises(WeightsError, match=r"'positional_embedding' has shape \(257, 1024\)"):
        build("clip-vitl14-336", smaller)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_tensors_of_a_torchscript_file_are_read(tmp_path: Path) -> None:
    tower = torch.nn.Sequential(torch.nn.Linear(2, 2))
    torch.jit.save(torch.jit.script(tower), tmp_path / "ViT-L-14-336px.pt")
    with pytest.raises(WeightsError, match="lack 'class_embedding'"):
        build("clip-vitl14-336", tmp_path / "ViT-L-14-336px.pt")
