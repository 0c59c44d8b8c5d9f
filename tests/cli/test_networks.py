"""`facebench networks`: a network from outside the repository is checked, measured with, listed and removed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import yaml

from facebench import backbones, evaluate
from facebench.evaluation.cards import load_cards
from facebench.evaluation.plan import make_plan
from facebench.evaluation.protocols import find_protocol
from tests.cli.conftest import Command
from tests.evaluation.test_estimate_transfer import transfers
from tests.helpers.onnx_files import one_pixel_times

OUTPUTS = {
    "valence": {"columns": 0},
    "arousal": {"output": "output", "columns": 1},
    "expression": {"columns": [2, 5], "classes": ["neutral", "happy", "sad"]},
    "embedding": {"columns": [5, 9]},
    "quality": {"columns": 9},
}
CODE = """
import torch

class Bright:
    def __call__(self, batch):
        return {"mean": batch.mean(dim=(1, 2, 3))}
"""

RECOGNISER = """
from facebench import backbones

def recogniser():
    network = backbones.build("sface")
    return lambda batch: network.embed(batch)["embedding"]
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "300")


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write the ONNX file and its description; keyword arguments replace keys."""
    matrix = np.random.default_rng(0).normal(0, 0.5, (3, 10)).astype(np.float32)
    one_pixel_times(tmp_path / "own.onnx", matrix, 112)

    def write(**changes: Any) -> Path:
        content: dict[str, Any] = {
            "name": "mynet",
            "title": "My network",
            "file": "own.onnx",
            "crop": "face112",
            "size": 112,
            "colour": "bgr",
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
            "outputs": OUTPUTS,
            "licence": "MIT",
        }
        file = tmp_path / "mynet.yaml"
        file.write_text(yaml.safe_dump({**content, **changes}))
        return file

    return write


def test_an_added_network_has_every_card_in_every_protocol(
    facebench: Command, write: Callable[..., Path], faces: Path, tmp_path: Path
) -> None:
    done = facebench("networks", "add", write())
    assert done.returncode == 0, done.stderr
    for metric in ("valence_error_mynet", "expression_agreement_mynet", "eer_mynet_real", "quality_mynet"):
        assert metric in done.stdout
    assert {"valence_ccc_mynet", "arousal_gap_mynet"} <= set(
        find_protocol("expression-transfer").suites["compact"]
    )
    assert "eer_mynet" in find_protocol("identity").suites["paper"]
    assert "quality_mynet" in find_protocol("quality").suites["compact"]
    assert "shape_distance_mynet" not in find_protocol("edit").suites["compact"]
    run = evaluate(transfers(faces, tmp_path / "set", "target"), protocol="expression-transfer", suite="auto")
    assert run.metrics["valence_error_mynet"].value == pytest.approx(0, abs=1e-6)
    assert run.metrics["expression_agreement_mynet"].value == 1.0
    assert run.metrics["valence_gap_mynet"].value > 0
    assert run.metrics["valence_error_reader"].value is not None, "it displaces no other network"
    assert run.backbones["mynet"].licence == "MIT"
    assert "mynet" in facebench("networks", "list").stdout
    assert "mynet" in facebench("doctor").stdout
    assert facebench("networks", "remove", "mynet").returncode == 0
    assert "valence_ccc_mynet" not in find_protocol("expression-transfer").suites["compact"]


def test_its_input_and_outputs_are_those_of_the_description(
    facebench: Command, write: Callable[..., Path], tmp_path: Path
) -> None:
    assert facebench("networks", "add", write()).returncode == 0
    network = backbones.build("mynet")
    image = np.random.default_rng(1).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    arrays = network.embed(torch.stack([network.preprocess(image)] * 2))
    matrix = np.random.default_rng(0).normal(0, 0.5, (3, 10)).astype(np.float32)
    expected = (image[30, 70, ::-1] / 255 - 0.5) / 0.5 @ matrix
    assert arrays["valence"] == pytest.approx([expected[0]] * 2, abs=1e-5)
    assert arrays["arousal"][0] == pytest.approx(expected[1], abs=1e-5)
    assert arrays["expression"][0] == pytest.approx(expected[2:5], abs=1e-5)
    assert np.linalg.norm(arrays["embedding"], axis=1) == pytest.approx([1, 1], abs=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"outputs": {"valence": {"output": "logits"}}}, "has no output 'logits' for 'valence'"),
        ({"outputs": {"valence": {}}}, "the output of 'valence' has 10 columns, it needs 1"),
        (
            {"outputs": {"expression": {"columns": [2, 5], "classes": ["neutral", "happy"]}}},
            "the output of 'expression' has 3 columns, 'classes' names 2",
        ),
        ({"outputs": {"expression": {"columns": [2, 5]}}}, "needs 'classes'"),
        ({"outputs": {"quality": {"columns": 12}}}, "but the output has 10 columns"),
        ({"outputs": {"mood": {"columns": 0}}}, "outputs.mood"),
        ({"size": 96}, "cannot be read as an ONNX network that runs on its described input"),
        ({"file": "nothing.onnx"}, "nothing.onnx, the network"),
        ({"colur": "rgb"}, "unknown key. Did you mean colour"),
        ({"name": "sface"}, "is taken"),
        ({"outputs": {"embedding": {"columns": [5, 9], "threshold": 0.3}}}, "needs its false match rate"),
        ({"outputs": {"embedding": {"threshold": 1.5, "rate": "x"}}}, "outputs.embedding.threshold"),
        (
            {"outputs": {"quality": {"columns": 9, "threshold": 0.3, "rate": "x"}}},
            "only 'embedding' has a threshold",
        ),
        ({"name": "My-Net"}, "name: "),
    ],
)
def test_a_wrong_description_is_named(
    facebench: Command, write: Callable[..., Path], changes: dict[str, Any], message: str
) -> None:
    done = facebench("networks", "add", write(**changes))
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_network_that_returns_nan_is_refused(
    facebench: Command, write: Callable[..., Path], tmp_path: Path
) -> None:
    one_pixel_times(tmp_path / "own.onnx", np.full((3, 10), np.nan, np.float32), 112)
    done = facebench("networks", "add", write())
    assert done.returncode == 2
    assert "is NaN or infinite on a random image" in done.stderr


def test_a_file_that_is_no_network_is_refused(
    facebench: Command, write: Callable[..., Path], tmp_path: Path
) -> None:
    for name in ("own.onnx", "own.pt"):
        (tmp_path / name).write_bytes(b"not a network")
        done = facebench("networks", "add", write(file=name))
        assert done.returncode == 2
        assert "cannot be read as" in done.stderr


def test_weights_among_the_inputs_of_an_onnx_file_are_no_inputs(
    facebench: Command, write: Callable[..., Path], tmp_path: Path
) -> None:
    path, file = tmp_path / "own.onnx", write()
    assert facebench("networks", "add", file).returncode == 0
    images = torch.rand(2, 3, 112, 112)
    expected = backbones.build("mynet").embed(images)["valence"]
    model = onnx.load(path)
    for name, shape in (("matrix", [3, 10]), ("replaced", [7])):
        model.graph.input.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape))
    onnx.save(model, path)
    done = facebench("networks", "add", file)
    assert done.returncode == 0, done.stderr
    assert (backbones.build("mynet").embed(images)["valence"] == expected).all()
    del model.graph.initializer[0]
    onnx.save(model, path)
    refused = facebench("networks", "add", file)
    assert refused.returncode == 2
    assert "it has 2 inputs: input tensor(float) ['n', 3, 112, 112], matrix tensor(float)" in refused.stderr


def test_weights_beside_an_onnx_file_are_copied_too(
    facebench: Command, write: Callable[..., Path], tmp_path: Path
) -> None:
    path, file = tmp_path / "own.onnx", write()
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="own.data", size_threshold=100)
    done = facebench("networks", "add", file)
    assert done.returncode == 0, done.stderr
    path.unlink()
    (tmp_path / "own.data").unlink()
    assert backbones.build("mynet").embed(torch.rand(1, 3, 112, 112))["valence"].shape == (1,)


def test_a_torchscript_network_is_measured_with(
    facebench: Command, write: Callable[..., Path], tmp_path: Path
) -> None:
    layers = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 2))
    torch.jit.trace(layers, torch.zeros(1, 3, 32, 32)).save(str(tmp_path / "own.pt"))
    outputs = {"valence": {"columns": 0}, "arousal": {"columns": 1}}
    done = facebench("networks", "add", write(file="own.pt", size=32, outputs=outputs))
    assert done.returncode == 0, done.stderr
    assert "arousal_ccc_mynet" in done.stdout


def test_python_code_runs_only_where_the_user_names_it(
    facebench: Command, write: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "bright.py").write_text(CODE)
    outputs = {"quality": {"output": "mean"}}
    file = write(file=None, code="bright.py:Bright", outputs=outputs)
    refused = facebench("networks", "add", file)
    assert refused.returncode == 2
    assert "runs the code in" in refused.stderr
    done = facebench("networks", "add", file, "--code", tmp_path / "bright.py")
    assert done.returncode == 0, done.stderr
    assert "quality_mynet" in {card.id for card in make_plan("quality", "compact").cards}
    stored = tmp_path / "cache" / "networks" / "mynet" / "bright.py"
    stored.write_text(CODE + "\n")
    with pytest.raises(Exception, match="has changed"):
        backbones.build("mynet")


def test_a_stated_threshold_gives_the_cards_that_need_one(
    facebench: Command, write: Callable[..., Path], faces: Path, tmp_path: Path
) -> None:
    assert "identity_verified_mynet" not in facebench("networks", "add", write()).stdout
    embedding = {"columns": [5, 9], "threshold": 0.9, "rate": "0.1 % false matches on LFW"}
    done = facebench("networks", "add", write(outputs={"embedding": embedding}))
    assert done.returncode == 0, done.stderr
    card = load_cards()["identity_verified_mynet"]
    assert card.params == {"threshold": 0.9}
    assert "from a cosine of 0.9 on (0.1 % false matches on LFW)" in card.about
    assert load_cards()["distinct_identities_share_mynet"].params == {"threshold": 0.9}
    run = evaluate(transfers(faces, tmp_path / "set", "target"), protocol="expression-transfer")
    cosines = run.per_image["identity_similarity_mynet"].dropna()
    assert run.metrics["identity_verified_mynet"].value == (cosines >= 0.9).mean()


def test_pairs_of_different_people_give_the_threshold(
    facebench: Command, write: Callable[..., Path], faces: Path, tmp_path: Path
) -> None:
    (tmp_path / "recogniser.py").write_text(RECOGNISER)
    file = write(file=None, code="recogniser.py:recogniser", colour="rgb", scale=1, mean=[0, 0, 0], std=[1, 1, 1],
                 outputs={"embedding": {}})  # fmt: skip
    done = facebench("networks", "add", file, "--code", tmp_path / "recogniser.py", "--impostors", faces)
    assert done.returncode == 0, done.stderr
    assert "two faces match from a cosine of 0." in done.stdout
    assert "pairs of 12 people of faces" in done.stdout
    assert {"identity_verified_mynet", "distinct_identities_share_mynet"} <= set(load_cards())


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"embedding": {"columns": [5, 9]}}, "no threshold separates them"),
        ({"quality": {"columns": 9}}, "has no output 'embedding'"),
    ],
)
def test_impostors_without_use_are_refused(
    facebench: Command, write: Callable[..., Path], faces: Path, outputs: dict[str, Any], message: str
) -> None:
    refused = facebench("networks", "add", write(outputs=outputs), "--impostors", faces)
    assert refused.returncode == 2
    assert message in refused.stderr
    assert "mynet" not in facebench("networks", "list").stdout, "nothing is stored"
