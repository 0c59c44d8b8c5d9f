"""Affect training: losses, labels, a small network on rendered faces, and its use as weights or as a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from facebench import backbones
from facebench.backbones.maxvit import maxvit_network
from facebench.core.errors import FacebenchError, InputError
from facebench.evaluation.record_reading import load_run
from facebench.images.affectnet import AFFECTNET
from facebench.training.data.affect_faces import AffectFaces, AffectNetData
from facebench.training.data.sources import FolderData
from facebench.training.engine import loop, model_file
from facebench.training.engine.checkpoints import MODEL, OPTIMIZER, Checkpoint
from facebench.training.losses.affect import affect_losses, class_weights, concordance
from facebench.training.models.affect_network import AffectNetwork, load_initial
from facebench.training.presets import read
from facebench.training.tasks import registry
from facebench.training.tasks.affect import AffectSettings
from tests.helpers.paper_weights import facebench

SMALL = (
    "data.identities=60", "held_out.identities=20", "data.render=64", "held_out.render=64", "steps=150",
    "batch_size=32", "evaluate_every=75", "checkpoint_every=75", "workers=0",
)  # fmt: skip


def affectnet(root: Path, split: str = "train") -> Path:
    images, notes = root / f"{split}_set" / "images", root / f"{split}_set" / "annotations"
    images.mkdir(parents=True)
    notes.mkdir()
    for number, expression in enumerate([0] * 6 + [1] * 3 + [7, 8]):
        Image.fromarray(np.full((40, 40, 3), number * 10, np.uint8)).save(images / f"{number:02d}.jpg")
        values = {"exp": expression, "val": -2 if expression == 8 else 0.1 * expression, "aro": 0.2}
        for name, value in values.items():
            np.save(notes / f"{number:02d}_{name}.npy", np.array(str(value)))
    return root


def lay_out(faces: Path, root: Path, layout: str) -> Path:
    """Write rendered faces in AffectNet's folders or with CAGE's tables; return what the commands are given."""
    table = pd.read_csv(faces / "manifest.csv")
    rows = [row for row in table.itertuples() if row.expression in AFFECTNET][:36]
    for split, part in (("train", rows[:24]), ("val", rows[24:])):
        images, notes = root / f"{split}_set" / "images", root / f"{split}_set" / "annotations"
        images.mkdir(parents=True)
        lines = ["number,exp,val,aro"]
        for number, row in enumerate(part):
            Image.open(faces / row.image).save(images / f"{number}.jpg", quality=95)
            values = {"exp": AFFECTNET.index(row.expression), "val": row.valence, "aro": row.arousal}
            lines.append(",".join(map(str, (number, *values.values()))))
            if layout == "folders":
                notes.mkdir(exist_ok=True)
                for name, value in values.items():
                    np.save(notes / f"{number}_{name}.npy", np.array(str(value)))
        if layout == "tables":
            (root / f"{split}_set_annotation_without_lnd.csv").write_text("\n".join(lines))
    return root


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("affect")
    done = facebench(
        "train", "affect", *SMALL, "--config", "affect-synthface", "--out", out, "--device", "cpu"
    )
    assert done.code == 0, done.text
    return out


def test_a_small_network_learns_from_rendered_faces(trained: Path) -> None:
    content = model_file.read(trained, "affect")
    settings = {**read("affect-synthface", list(SMALL)), "train": "affect"}
    task = registry.prepare("affect", settings, "test").task
    untrained = task.evaluate(task.network.eval())
    task.network.body.load_state_dict(content.tensors)
    values = task.evaluate(task.network.eval())
    assert values["valence_ccc"] > untrained["valence_ccc"] + 0.15
    assert values["expression_recall"] > 0.16
    assert set(values) == {
        "score", "valence_ccc", "valence_rmse", "arousal_ccc", "arousal_rmse", "expression_accuracy",
        "expression_recall",
    }  # fmt: skip


def test_the_result_is_measured_with_as_a_network_of_ones_own(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path / "cache"))
    done = facebench("networks", "add-trained", trained, "--name", "mine")
    assert done.code == 0, done.text
    assert "valence_truth_ccc_mine" in done.text
    network = backbones.build("mine")
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    own = AffectNetwork("small").eval()
    own.body.load_state_dict(model_file.read(trained, "affect").tensors)
    x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        expected = own(x)
    arrays = network.embed(network.preprocess(image)[None])
    assert arrays["valence"] == pytest.approx(expected["valence"].numpy(), abs=1e-4)
    assert arrays["expression"] == pytest.approx(expected["expression"].numpy(), abs=1e-4)


@pytest.mark.parametrize("layout", ["folders", "tables"])
def test_a_network_trained_on_affectnet_is_judged_on_its_validation_set(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path / "cache"))
    root, run = lay_out(faces, tmp_path / "AffectNet", layout), tmp_path / "run"
    data = [
        f"{role}.{change}" for role in ("data", "held_out") for change in ("kind=affectnet", f"path={root}")
    ]
    few = ("steps=2", "batch_size=8", "evaluate_every=2", "checkpoint_every=2", "workers=0")
    commands = (
        ("train", "affect", *data, *few, "--config", "affect-synthface", "--out", run, "--device", "cpu"),
        ("networks", "add-trained", run, "--name", "mine"),
        (
            *("evaluate", root, "--protocol", "affect-accuracy", "--out", tmp_path / "judged"),
            *("--metrics", "valence_truth_rmse_mine,expression_recall_mine"),
        ),
    )
    for words in commands:
        done = facebench(*words)
        assert done.code == 0, done.text
    judged = load_run(tmp_path / "judged")
    assert 0 < judged.metrics["valence_truth_rmse_mine"].value < 2
    assert judged.metrics["valence_truth_rmse_mine"].n == {"generated": 12}
    assert np.sum(judged.confusions["mine"].counts) == 12


def test_maxvit_trained_here_is_imported_as_the_published_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path / "cache"))
    torch.manual_seed(0)
    network = AffectNetwork("maxvit-va").eval()
    model = model_file.ModelFile("affect", network.body.state_dict(), {"network": "maxvit-va", "size": 224})
    model_file.write(tmp_path / "model.safetensors", model)
    done = facebench("weights", "import", "maxvit-va", tmp_path / "model.safetensors")
    assert done.code == 0, done.text
    backbone = backbones.build("maxvit-va")
    image = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    with torch.no_grad():
        expected = network(torch.from_numpy(image).permute(2, 0, 1)[None].float() / 127.5 - 1)
    arrays = backbone.embed(backbone.preprocess(image)[None])
    assert arrays["valence"] == pytest.approx(expected["valence"].numpy(), abs=1e-4)


def test_the_va_network_starts_from_the_combined_one(tmp_path: Path) -> None:
    torch.manual_seed(1)
    torch.save(maxvit_network("maxvit-combined").state_dict(), tmp_path / "combined.pt")
    network = AffectNetwork("maxvit-va")
    assert load_initial(network, tmp_path / "combined.pt") == ["classifier.6.weight"]
    with pytest.raises(FacebenchError, match="tensors fit the network 'small'"):
        load_initial(AffectNetwork("small"), tmp_path / "combined.pt")


def test_losses_follow_their_formulas() -> None:
    rng = np.random.default_rng(0)
    outputs = {name: torch.from_numpy(rng.normal(size=16)) for name in ("valence", "arousal")}
    outputs["expression"] = torch.from_numpy(rng.normal(size=(16, 8)))
    labels = {name: torch.from_numpy(rng.uniform(-1, 1, 16)).float() for name in ("valence", "arousal")}
    labels["expression"] = torch.from_numpy(rng.integers(0, 8, 16))
    weights = class_weights(labels["expression"], 8).double()
    parts = {kind: affect_losses(kind, outputs, labels, weights) for kind in ("combined", "va", "ccc")}
    va = parts["va"]
    mse, ccc = (sum(float(va[f"{n}_{what}"]) for n in ("valence", "arousal")) for what in ("mse", "ccc"))
    expression = float(parts["ccc"]["expression"])
    assert float(va["loss"]) == pytest.approx(3 * mse + ccc, rel=1e-5)
    assert float(parts["combined"]["loss"]) == pytest.approx(expression + 2.5 * mse, rel=1e-5)
    assert float(parts["ccc"]["loss"]) == pytest.approx(expression + ccc / 2, rel=1e-5)
    assert float(concordance(labels["valence"], labels["valence"])) == pytest.approx(1, abs=1e-4)


def test_unknown_labels_change_no_gradient() -> None:
    valence = torch.zeros(4, requires_grad=True)
    outputs = {
        "valence": valence,
        "arousal": valence * 1.0,
        "expression": torch.zeros(4, 8, requires_grad=True),
    }
    unknown = torch.full((4,), float("nan"))
    labels = {"valence": unknown, "arousal": unknown, "expression": torch.full((4,), -1)}
    loss = affect_losses("combined", outputs, labels, torch.ones(8))["loss"]
    loss.backward()
    assert float(loss.detach()) == 0
    assert not valence.grad.any()


def test_class_weights_are_those_of_the_released_script() -> None:
    counts = [74874, 134415, 25459, 14090, 6378, 3803, 24882, 3750]
    labels = torch.from_numpy(np.repeat(np.arange(8), counts))
    published = [0.015605, 0.008709, 0.046078, 0.083078, 0.185434, 0.305953, 0.046934, 0.30821]
    found = class_weights(torch.cat([labels, torch.tensor([-1])]), 8).numpy()
    assert found == pytest.approx(np.array(published) / sum(published), rel=0.02)


def test_affectnet_is_read_with_its_classes_and_balanced_once(tmp_path: Path) -> None:
    data = AffectNetData(kind="affectnet", path=affectnet(tmp_path))
    faces = AffectFaces(data, 32)
    assert np.bincount(faces.labels("expression")).tolist() == [6, 3, 0, 0, 0, 0, 0, 1]
    balanced = AffectFaces(data, 32, balanced=16)
    assert np.bincount(balanced.labels("expression")).tolist() == [2, 2, 0, 0, 0, 0, 0, 1]
    assert float(balanced.read(len(balanced) - 1).fields["valence"]) == pytest.approx(0.7)


def test_labels_of_another_scale_or_none_are_errors(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "manifest.csv").write_text("image,valence,arousal\na.png,7,2\n")
    with pytest.raises(InputError, match=r"valence ranges from 7 to 7 .* Rescale the column"):
        AffectFaces(FolderData(kind="folder", path=tmp_path), 32)
    (tmp_path / "manifest.csv").write_text("image\na.png\n")
    with pytest.raises(InputError, match="has no expression, valence or arousal"):
        AffectFaces(FolderData(kind="folder", path=tmp_path), 32)


def test_what_is_left_out_of_a_training_is_said(tmp_path: Path) -> None:
    root = affectnet(tmp_path / "set")
    (root / "train_set" / "images" / "00.jpg").unlink()
    faces = AffectFaces(AffectNetData(kind="affectnet", path=root), 32, balanced=16)
    assert faces.notes == (
        f"{root}: 1 images of AffectNet's classes 8 to 10 (none, uncertain, no face) are not used",
        f"{root}: 1 files are not used (first: train_set/images/00.jpg: missing)",
        "no image is labelled sad, surprised, afraid, disgusted, angry",
        "5 images are used in place of 16: classes have too few images",
    )
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "manifest.csv").write_text("image,expression,valence\na.png,bored,0.5\n")
    (note,) = AffectFaces(FolderData(kind="folder", path=tmp_path), 32).notes
    assert "1 expressions are none of AffectNet's classes (first: 'bored')" in note


@pytest.mark.parametrize(
    "name", ["cage-maxvit-va", "cage-maxvit-combined", "efficientnet-va", "affect-synthface"]
)
def test_presets_are_valid_settings(name: str) -> None:
    content = {key: value for key, value in read(name).items() if key != "train"}
    assert AffectSettings.model_validate(content).batch_size > 0


def test_a_network_that_does_not_fit_its_loss_is_an_error(tmp_path: Path) -> None:
    content = {**read("cage-maxvit-va"), "loss": "combined"}
    with pytest.raises(InputError, match="has no expression classes: use loss=va"):
        registry.prepare("affect", content, "test")


def test_the_first_steps_train_only_the_last_layer_then_the_optimizer_starts_anew(tmp_path: Path) -> None:
    changes = [
        *SMALL, "steps=4", "head_steps=2", "head_learning_rate=0.01", "optimizer.sam_rho=0.05",
        "optimizer.warmup=0", "selected_by=expression_accuracy", "checkpoint_every=1", "evaluate_every=4",
        "keep_checkpoints=9", "data.identities=16", "held_out.identities=8",
    ]  # fmt: skip
    content = read("affect-synthface", changes)
    prepared = registry.prepare("affect", content, "test")
    first = {name: value.clone() for name, value in prepared.task.network.state_dict().items()}
    loop.fit(prepared.task, prepared.settings, tmp_path / "run", device="cpu", on_message=lambda _: None)
    trained = {name for name, _ in prepared.task.network.named_parameters()}
    head = {name for name in trained if name.startswith("body.14")}
    saved = [
        Checkpoint.load(tmp_path / "run" / "checkpoints" / f"step-{step:08d}").tensors
        for step in (1, 2, 3, 4)
    ]

    def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
        return {name for name in trained if not torch.equal(before[name], after[name])}

    models = [tensors[MODEL] for tensors in saved]
    assert len(head) == 2
    assert changed(first, models[0]) == changed(models[0], models[1]) == head
    assert changed(models[1], models[2]) == trained
    steps = [{int(value) for name, value in each[OPTIMIZER].items() if "step" in name} for each in saved]
    assert steps == [{1}, {2}, {1}, {2}], "the optimizer starts anew with the second phase"
    again = registry.prepare("affect", content, "test")
    assert again.task.best_metric == ("expression_accuracy", True)
