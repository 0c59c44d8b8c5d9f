from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from facebench.backbones import Backbone, build
from facebench.backbones.arcface import flip_summed
from facebench.core.errors import InputError, WeightsError
from tests.helpers.golden_networks import Golden, State, agrees, answers, calmed, stand_in_crops
from tests.helpers.onnx_files import SEEN, one_pixel_times

GOLDEN = Golden("arcface_iresnet")
# The deeper the network, the fewer images: what differs between images is the same code.
IMAGES = {"iresnet18": 4, "iresnet50": 2, "iresnet100": 1}


def raw(actual: dict[str, np.ndarray]) -> np.ndarray:
    return actual["embedding"] * actual["norm"][:, None]


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    one, other = one.astype(np.float64), other.astype(np.float64)
    return (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)


@pytest.fixture(scope="module")
def small_state() -> State:
    return GOLDEN.state("parameters iresnet18")


@pytest.fixture(scope="module")
def small(small_state: State) -> Backbone:
    return build("arcface-iresnet18", small_state)


def test_the_stand_in_crops_are_those_of_the_golden() -> None:
    np.testing.assert_array_equal(stand_in_crops(GOLDEN, 2), GOLDEN["crop.first_two"])


@pytest.mark.parametrize("network", ["iresnet18", "iresnet50", "iresnet100"])
def test_embeddings_equal_insightface(network: str) -> None:
    state = GOLDEN.state(f"parameters {network}")
    crops = stand_in_crops(GOLDEN, IMAGES[network])
    for kind, weights in (("", state), (".calmed", calmed(state))):
        actual = answers(build(f"arcface-{network}", weights), crops)
        recorded = GOLDEN[network + kind]
        agrees(raw(actual), recorded, rows=len(actual["norm"]))
        assert cosines(actual["embedding"], recorded[: len(actual["norm"])]).min() > 0.99999
        np.testing.assert_allclose(np.linalg.norm(actual["embedding"], axis=1), 1, rtol=1e-6)


def test_the_flip_protocol_adds_raw_embeddings_before_normalising(small: Backbone) -> None:
    batch = torch.stack([small.preprocess(crop) for crop in stand_in_crops(GOLDEN, 2)])
    agrees(raw(small.embed(batch.flip(-1))), GOLDEN["iresnet18.flipped_first_two"])
    summed = GOLDEN["iresnet18"][:2] + GOLDEN["iresnet18.flipped_first_two"]
    assert cosines(flip_summed(small, batch), summed).min() > 0.99999
    assert cosines(flip_summed(small, batch), GOLDEN["iresnet18"][:2]).max() < 0.99999


def test_bgr_gives_a_plausible_but_different_similarity(small: Backbone) -> None:
    crops = stand_in_crops(GOLDEN, 2)
    rgb = answers(small, crops)["embedding"]
    bgr = answers(small, [crop[:, :, ::-1] for crop in crops])["embedding"]
    assert abs(rgb[0] @ rgb[1] - bgr[0] @ bgr[1]) > 1e-4
    assert cosines(rgb, bgr).max() < 0.9999


def test_only_an_aligned_face_is_accepted(small: Backbone) -> None:
    with pytest.raises(InputError, match="aligned to 112 x 112"):
        small.preprocess(np.zeros((224, 224, 3), np.uint8))


def test_a_checkpoint_of_data_parallel_is_read(tmp_path: Path, small_state: State) -> None:
    file = tmp_path / "backbone.pth"
    torch.save({f"module.{key}": value for key, value in small_state.items()}, file)
    backbone = build("arcface-iresnet18", file)
    assert backbone.network is not None
    torch.testing.assert_close(backbone.network.state_dict(), small_state)
    assert backbone.weights.name == "backbone.pth"
    assert not backbone.weights.verified


def test_a_wrong_checkpoint_is_refused_with_its_first_wrong_key(small_state: State) -> None:
    cut = {key: value for key, value in small_state.items() if not key.startswith("layer4")}
    with pytest.raises(WeightsError, match=r"lack 'layer4\.0\.bn1\.weight'"):
        build("arcface-iresnet18", cut)
    with pytest.raises(WeightsError, match=r"contain 'qs\.weight'"):
        build("arcface-iresnet18", small_state | {"qs.weight": torch.zeros(1, 512)})
    with pytest.raises(WeightsError, match=r"'fc\.weight' has shape \(512, 12544\)"):
        build("arcface-iresnet18", small_state | {"fc.weight": torch.zeros(512, 12544)})
    with pytest.raises(WeightsError, match=r"lack 'layer1\.2\.bn1\.weight'"):
        build("arcface-iresnet50", small_state)


def test_a_truncated_file_is_refused(tmp_path: Path, small_state: State) -> None:
    file = tmp_path / "half.pth"
    torch.save(small_state, file)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(WeightsError, match=r"half\.pth"):
        build("arcface-iresnet18", file)


@pytest.mark.parametrize("name", ["arcface-buffalo_l", "arcface-antelopev2"])
@pytest.mark.parametrize("batch", ["n", 1])
def test_an_onnx_file_gives_unit_embeddings_of_rgb_in_minus_one_to_one(
    tmp_path: Path, name: str, batch: int | str
) -> None:
    matrix = np.random.default_rng(0).standard_normal((3, 512)).astype(np.float32)
    backbone = build(name, one_pixel_times(tmp_path / "w.onnx", matrix, 112, batch))
    crops = stand_in_crops(GOLDEN, 3)
    actual = answers(backbone, crops)
    expected = np.stack([(crop[SEEN] / 127.5 - 1) @ matrix for crop in crops])
    np.testing.assert_allclose(raw(actual), expected, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(actual["embedding"], axis=1), 1, rtol=1e-6)
    assert backbone.network is None


def test_an_onnx_file_of_another_network_is_refused(tmp_path: Path) -> None:
    wide = one_pixel_times(tmp_path / "other.onnx", np.zeros((3, 512), np.float32), 224)
    with pytest.raises(WeightsError, match=r"other\.onnx takes .*224.*another network"):
        build("arcface-buffalo_l", wide)
    (tmp_path / "damaged.onnx").write_bytes(b"\x08\x00 not a network")
    with pytest.raises(WeightsError, match=r"damaged\.onnx cannot be read"):
        build("arcface-buffalo_l", tmp_path / "damaged.onnx")
    with pytest.raises(WeightsError, match="ONNX"):
        build("arcface-buffalo_l", {"conv1.weight": torch.zeros(1)})
