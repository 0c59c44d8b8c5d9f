from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cleanfid.fid
import numpy as np
import pytest
import torch
from cleanfid.features import build_feature_extractor
from cleanfid.inception_pytorch import InceptionV3 as CleanFidInception
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from facebench.backbones import Backbone, build
from facebench.core.errors import WeightsError
from facebench.metrics import frechet_distance
from tests.helpers.golden_networks import GOLDENS, Golden, State, answers, read

GOLDEN = Golden("inception_fid")
FILES = GOLDEN.facts["images"]["files"]
LIBRARY = {
    "inception-tf": "torch_fidelity",
    "inception-clean": "clean_fid",
    "inception-legacy": "pytorch_fid",
}


@pytest.fixture(scope="module")
def state() -> State:
    return GOLDEN.state()


@pytest.fixture(scope="module")
def backbones(state: State) -> dict[str, Backbone]:
    return {name: build(name, state) for name in LIBRARY}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three images a side: whatever the peers do, they do it to all of them."""
    root = tmp_path_factory.mktemp("peers")
    for side in "ab":
        (root / side).mkdir()
        for file in FILES[side][:3]:
            shutil.copy(GOLDENS / "images" / side / file, root / side / file)
    return {side: root / side for side in "ab"}


@pytest.fixture(scope="module")
def weights_file(state: State, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where PyTorch's hub looks for the published file, so that the peers read it and fetch nothing."""
    path = tmp_path_factory.mktemp("hub") / "checkpoints" / "pt_inception-2015-12-05-6726825d.pth"
    path.parent.mkdir()
    torch.save(state, path)
    return path


@pytest.fixture
def hub(weights_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(weights_file.parent.parent))


def clean_network() -> Callable[[torch.Tensor], torch.Tensor]:
    """clean-fid's own network; what it runs in mode "clean" is a TorchScript download of the same weights."""
    network = CleanFidInception(resize_input=False, normalize_input=False).eval()
    return lambda x: network((x - 128) / 128)[0].flatten(1)


def images(side: str, count: int) -> list[np.ndarray]:
    return [read(f"{side}/{file}") for file in FILES[side][:count]]


def fid(backbone: Backbone, count: int) -> float:
    generated, reference = (answers(backbone, images(side, count))["pool"] for side in "ab")
    return frechet_distance(generated, reference)


@pytest.mark.parametrize("name", LIBRARY)
def test_inputs_and_features_equal_the_recorded_ones(name: str, backbones: dict[str, Backbone]) -> None:
    for side in "ab":
        batch = torch.stack([backbones[name].preprocess(image) for image in images(side, 4)])
        recorded = GOLDEN[f"input.{LIBRARY[name]}.{side}"]
        np.testing.assert_allclose(batch[:2, :, ::13, ::13], recorded, rtol=0, atol=1e-4)
        difference = np.abs(backbones[name].embed(batch)["pool"] - GOLDEN[f"{LIBRARY[name]}.{side}"][:4])
        assert difference.max() < 1e-4
        assert difference.mean() < 1e-5


def test_fid_of_all_images_equals_the_recorded_ones(backbones: dict[str, Backbone]) -> None:
    recorded = GOLDEN.facts["distances_a_b"]["clean_fid"]
    actual = fid(backbones["inception-clean"], 32)
    assert actual == pytest.approx(recorded["fid.exact"], rel=1e-4)
    assert actual == pytest.approx(recorded["fid.clean_fid_function"], rel=1e-3)


def test_logits_come_with_and_without_the_bias(backbones: dict[str, Backbone], state: State) -> None:
    actual = answers(backbones["inception-tf"], images("a", 4))
    np.testing.assert_allclose(actual["logits_unbiased"], GOLDEN["logits_unbiased.a"], rtol=0, atol=1e-4)
    biased = actual["logits_unbiased"] + state["fc.bias"].numpy()
    np.testing.assert_allclose(actual["logits"], biased, rtol=0, atol=1e-6)


def test_torch_fidelity_gives_the_same_features_for_images_of_any_size(
    backbones: dict[str, Backbone], weights_file: Path
) -> None:
    wanted = ["2048", "logits_unbiased", "logits"]
    peer = FeatureExtractorInceptionV3("peer", wanted, feature_extractor_weights_path=str(weights_file))
    whole = read("a/id000_angry.png")
    enlarged = np.repeat(np.repeat(whole, 3, axis=0), 2, axis=1)
    for image in (whole[10:90, 20:220], enlarged):
        recorded = peer(torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None])
        actual = answers(backbones["inception-tf"], [image])
        for array, values in zip(("pool", "logits_unbiased", "logits"), recorded, strict=True):
            np.testing.assert_allclose(actual[array], values, rtol=0, atol=1e-4)


@pytest.mark.filterwarnings("default")
@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize(
    ("name", "mode", "network"),
    [("inception-clean", "clean", clean_network), ("inception-legacy", "legacy_pytorch", None)],
)
def test_clean_fid_gives_the_same_features(
    name: str,
    mode: str,
    network: Callable[[], Callable[[torch.Tensor], torch.Tensor]] | None,
    backbones: dict[str, Backbone],
    folders: dict[str, Path],
) -> None:
    cpu = torch.device("cpu")
    model = network() if network else build_feature_extractor(mode, cpu, use_dataparallel=False)
    peer = cleanfid.fid.get_folder_features(
        str(folders["a"]), model, num_workers=0, device=cpu, mode=mode, verbose=False
    )
    actual = answers(backbones[name], images("a", 3))["pool"]
    np.testing.assert_allclose(actual, peer, rtol=0, atol=1e-4)


def test_the_three_preprocessings_give_different_features(backbones: dict[str, Backbone]) -> None:
    assert len({backbone.preprocessing for backbone in backbones.values()}) == 3
    tf, clean, legacy = (backbone.preprocess(images("a", 1)[0]) for backbone in backbones.values())
    for one, other in ((tf, clean), (tf, legacy), (clean, legacy)):
        assert (one - other).abs().mean() > 1e-3


def test_the_features_of_an_image_do_not_depend_on_its_batch(backbones: dict[str, Backbone]) -> None:
    alone = answers(backbones["inception-tf"], images("a", 2)[1:])["pool"][0]
    np.testing.assert_allclose(GOLDEN["torch_fidelity.a"][1], alone, rtol=0, atol=1e-5)


def test_a_file_without_batch_counters_is_complete(state: State) -> None:
    old = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    network = build("inception-tf", old).network
    assert network is not None
    assert all((value == state[key]).all() for key, value in network.state_dict().items())


def test_weights_of_another_network_are_refused_with_the_first_wrong_key(state: State) -> None:
    with pytest.raises(WeightsError, match=r"lack 'Mixed_7c\.branch_pool\.conv\.weight'"):
        build("inception-tf", {k: v for k, v in state.items() if k != "Mixed_7c.branch_pool.conv.weight"})
    with pytest.raises(WeightsError, match=r"contain 'AuxLogits\.fc\.weight'"):
        build("inception-tf", state | {"AuxLogits.fc.weight": torch.zeros(1000, 768)})
    with pytest.raises(WeightsError, match=r"'fc\.weight' has shape \(1000, 2048\).*\(1008, 2048\)"):
        build("inception-tf", state | {"fc.weight": torch.zeros(1000, 2048)})
