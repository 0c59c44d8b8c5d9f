"""SFace: the same person looks alike, and a row does not depend on its neighbours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor

from facebench.backbones import Backbone, build
from facebench.backbones.face_detection import FaceFinder, crop
from facebench.backbones.sface import unit_and_norm
from facebench.backbones.weights import resolve
from facebench.core.errors import WeightsError
from facebench.images.image_set import ImageSet, decode, read
from facebench.metrics import verification
from tests.helpers.paths import GOLDENS_FOLDER

IMAGES = GOLDENS_FOLDER / "images"
PEOPLE = 8


@pytest.fixture(scope="module")
def sface() -> Backbone:
    return build("sface")


@pytest.fixture(scope="module")
def faces(sface: Backbone) -> Tensor:
    """Four expressions of each of eight people, aligned."""
    finder = FaceFinder()
    images = [decode(read(item)) for item in ImageSet.open(IMAGES / "a").items[: 4 * PEOPLE]]
    return torch.stack([sface.preprocess(crop("face112", image, finder.find(image))) for image in images])


def test_images_of_one_person_are_more_similar_than_those_of_two_people(
    sface: Backbone, faces: Tensor
) -> None:
    embedding = sface.embed(faces)["embedding"].astype(np.float64)
    person = np.repeat(np.arange(PEOPLE), 4)
    one, other = np.triu_indices(len(person), 1)
    same = person[one] == person[other]
    scores = (embedding @ embedding.T)[one, other]
    result = verification(scores[same], scores[~same])
    assert result.eer < 0.1
    assert result.auc > 0.97
    assert result.genuine_mean - result.impostor_mean > 0.2


def test_embeddings_have_unit_length_and_a_separate_norm(sface: Backbone, faces: Tensor) -> None:
    arrays = sface.embed(faces[:4])
    assert set(arrays) == set(sface.arrays)
    assert arrays["embedding"].shape == (4, 128)
    assert arrays["embedding"].dtype == arrays["norm"].dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(arrays["embedding"], axis=1), 1, atol=1e-6)
    assert arrays["norm"].shape == (4,)
    assert (arrays["norm"] > 1).all()


def test_a_row_is_the_same_in_a_batch_of_any_size(sface: Backbone, faces: Tensor) -> None:
    together = sface.embed(faces[:7])
    for size in (1, 3):
        rows = [sface.embed(faces[i : min(i + size, 7)]) for i in range(0, 7, size)]
        for name in sface.arrays:
            found = np.concatenate([row[name] for row in rows])
            np.testing.assert_allclose(found, together[name], rtol=0, atol=4e-6 * abs(together[name]).max())


def test_the_vectors_equal_those_of_onnxruntime(sface: Backbone, faces: Tensor) -> None:
    """PyTorch runs the network; onnxruntime reads the same file independently, one image at a time."""
    path = resolve("sface").path
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    options.log_severity_level = 3
    model = onnx.load(path)
    image = [value for value in model.graph.input if value.name == "data"]
    del model.graph.input[:]
    model.graph.input.extend(image)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    expected = unit_and_norm(
        np.concatenate([session.run(None, {"data": face[None].numpy()})[0] for face in faces[:4]])
    )
    found = sface.embed(faces[:4])
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=0, atol=4e-6 * abs(values).max())


def test_the_input_is_rgb_from_0_to_255(sface: Backbone) -> None:
    image = np.zeros((112, 112, 3), np.uint8)
    image[5, 7] = [255, 128, 3]
    prepared = sface.preprocess(image)
    assert prepared.dtype == torch.float32
    assert prepared[:, 5, 7].tolist() == [255.0, 128.0, 3.0]


def test_red_and_blue_are_not_interchangeable(sface: Backbone, faces: Tensor) -> None:
    right = sface.embed(faces[:1])["embedding"]
    swapped = sface.embed(faces[:1].flip(1))["embedding"]
    assert (right * swapped).sum() < 0.999


def test_the_file_is_the_official_one(sface: Backbone) -> None:
    assert sface.weights.verified
    assert sface.weights.sha256 == "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee"
    assert sface.crop == "face112"


def test_a_file_of_the_user_is_accepted(sface: Backbone, faces: Tensor) -> None:
    own = build("sface", resolve("sface").path)
    np.testing.assert_array_equal(own.embed(faces[:1])["norm"], sface.embed(faces[:1])["norm"])


def test_files_of_other_networks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="another network"):
        build("sface", resolve("yunet").path)
    (tmp_path / "text.onnx").write_text("not a network")
    with pytest.raises(WeightsError, match=r"text\.onnx cannot be read"):
        build("sface", tmp_path / "text.onnx")
    with pytest.raises(WeightsError, match="ONNX"):
        build("sface", {"weight": torch.zeros(1)})


def test_a_network_with_other_operators_is_refused(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("NoSuchOperator", ["data"], ["fc1"])],
        "broken",
        [value("data", TensorProto.FLOAT, [1, 3, 112, 112])],
        [value("fc1", TensorProto.FLOAT, [1, 128])],
    )
    onnx.save(helper.make_model(graph), tmp_path / "broken.onnx")
    with pytest.raises(WeightsError, match=r"broken\.onnx cannot be read"):
        build("sface", tmp_path / "broken.onnx").embed(torch.zeros(1, 3, 112, 112))


def test_the_embedding_of_a_zero_vector_is_nan() -> None:
    arrays = unit_and_norm(np.array([[3, 4], [0, 0]], np.float32))
    np.testing.assert_allclose(arrays["embedding"][0], [0.6, 0.8], atol=1e-7)
    assert np.isnan(arrays["embedding"][1]).all()
    assert arrays["norm"].tolist() == [5, 0]
