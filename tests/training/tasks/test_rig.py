"""Training, fine-tuning and use of DiffusionRig and of the compact rig from the command line, with tiny networks."""

from __future__ import annotations

import csv
import importlib
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch import Tensor

from facebench import load_run
from facebench.backbones.facereader import FaceReader
from facebench.backbones.facereader import build as build_reader
from facebench.backbones.weights import WeightsSource
from facebench.core.errors import InputError, WeightsError
from facebench.images.image_set import ImageSet, Item
from facebench.training.diffusion import Weighting
from facebench.training.engine import model_file
from facebench.training.engine.rng import StepRng
from facebench.training.engine.settings import check
from facebench.training.models import CompactRig, DiffusionRig, DiffusionRigConfig
from facebench.training.models.diffusionrig import RIG64, RIG256
from facebench.training.models.official import official_names
from facebench.training.presets import read
from facebench.training.rig.buffers import BufferSet
from facebench.training.rig.buffers.compact import Compact
from facebench.training.rig.buffers.results import Found, NotFound
from facebench.training.rig.buffers.synthetic import Exact
from facebench.training.rig.files import official_name, open_rig, to_conditions
from facebench.training.rig.transfer import draw_pairs
from facebench.training.rig.transfer.pairs import read_pairs
from facebench.training.tasks.compact_rig import CompactRigSettings, CompactRigTask
from facebench.training.tasks.rig import RigSettings
from tests.goldens.fill import fill
from tests.helpers.paper_weights import facebench

SMALL: dict[str, Any] = {
    "train": "rig", "stage": 1, "steps": 2, "batch_size": 2, "workers": 0, "ema_decay": None,
    "optimizer": {"kind": "adam", "learning_rate": 1e-3, "max_grad_norm": None},
    "model": {"size": 16, "multipliers": [1, 2], "channels": 16, "time_channels": 16, "blocks": 1,
              "attention": [], "dropout": 0.0},
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def one_thread_for_all() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Faces, their buffers, the same as an album, and a model of stage 1."""
    folder = tmp_path_factory.mktemp("rig")
    (folder / "small.yaml").write_text(yaml.safe_dump(SMALL))
    run("synth", folder / "faces", "--identities", 2, "--images", 3, "--size", 64)
    run("buffers", folder / "faces", "--out", folder / "buffers", "--size", 16)
    run("buffers", folder / "faces", "--out", folder / "album", "--size", 16, "--mean-shape")
    train(folder, "model")
    return folder


@pytest.fixture(scope="module")
def compact(place: Path) -> Path:
    """Compact rig of stage 1, with the settings of older versions: kind `rig` and former keys."""
    options = (
        "model.predicts=change",
        "model.patch=2",
        "model.positions=true",
        "model.groups=4",
        "ema_decay=0.9",
    )
    train(place, "compact", *options, "ema_warmup=true", "optimizer.decay=cosine")
    return place / "compact"


def run(*words: object) -> str:
    done = facebench(*words)
    assert done.code == 0, done.text
    return done.text


def train(folder: Path, out: str, *changes: str, kind: str = "rig") -> str:
    data = f"data={folder / 'buffers'}"
    config = folder / f"{kind}.yaml"
    config.write_text(yaml.safe_dump({**SMALL, "train": kind}))
    words = ("train", kind, data, *changes, "--config", config, "--out", folder / out)
    return run(*words, "--device", "cpu")


def refused(*words: object) -> str:
    done = facebench(*words)
    assert done.code == 2, done.text
    return done.text.replace("\n", " ")


def carry(
    folder: Path, out: str, *words: object, source: str = "synthface", target: str = "synthface"
) -> tuple[object, ...]:
    return (
        "transfer", "--checkpoint", folder / "model", "--source", folder / "faces", "--target", folder / "faces",
        "--extractor-source", source, "--extractor-target", target, "--out", folder / out, "--steps", 2,
        "--device", "cpu", *words,
    )  # fmt: skip


def pairs_of(folder: Path, *pairs: tuple[str, str]) -> Path:
    path = folder / "pairs.csv"
    path.write_text("source,target\n" + "".join(f"images/{a}.png,images/{b}.png\n" for a, b in pairs))
    return path


def task(folder: Path, prediction_type: str = "eps", weighting: Weighting | None = None) -> CompactRigTask:
    model = SMALL["model"] | {"prediction_type": prediction_type}
    content = {
        "data": folder / "buffers",
        "model": model,
        "weighting": weighting,
        "steps": 1,
        "batch_size": 2,
    }
    return CompactRigTask(CompactRigSettings.model_validate(content))


def loss(task: CompactRigTask) -> Tensor:
    batch = task._preview_batch()
    return task.losses(task.network, batch, StepRng(0, 0, len(batch), batch.rows, torch.device("cpu")))[
        "loss"
    ]


@pytest.mark.parametrize(("prediction_type", "weighting"), [("eps", "p2"), ("v", "v"), ("change", "x_0")])
def test_the_default_weighting_depends_on_the_prediction_type(
    place: Path, prediction_type: str, weighting: Weighting
) -> None:
    assert torch.equal(loss(task(place, prediction_type)), loss(task(place, prediction_type, weighting)))
    assert not torch.equal(loss(task(place, prediction_type)), loss(task(place, prediction_type, "simple")))


def test_a_network_of_the_change_learns_in_fewer_steps_than_one_of_eps(place: Path) -> None:
    errors = {}
    for prediction_type in ("eps", "change"):
        options = (f"model.prediction_type={prediction_type}", "steps=10", "evaluate_every=10")
        train(place, prediction_type, *options, kind="compact-rig")
        with (place / prediction_type / "log.csv").open() as file:
            (errors[prediction_type],) = (
                float(row["value"]) for row in csv.DictReader(file) if row["name"] == "mse"
            )
    assert errors["change"] < 0.5 * errors["eps"]


def test_the_network_of_a_compact_rig_stays_the_same_in_stage_2_and_in_transfer(
    place: Path, compact: Path
) -> None:
    network = open_rig(compact).network
    assert isinstance(network, CompactRig)
    config = network.config
    assert (config.prediction_type, config.patch, config.position_features, config.groups) == (
        "change",
        2,
        True,
        4,
    )
    words = (f"data={place / 'album'}", f"start={compact}", "--config", "rig-64-personal", "steps=2")
    run("train", "rig", *words, "--out", place / "compact-personal", "--device", "cpu")
    assert open_rig(place / "compact-personal").network.config == config
    text = refused(
        "train", "rig", *words, "model={size: 16, multipliers: [1, 2], predicts: v}", "--out", place / "no"
    )
    assert "has " in text
    assert "the settings have" in text
    pairs = pairs_of(place, ("id000/00", "id001/01"))
    run(*carry(place, "compact-worn", "--pairs", pairs, "--checkpoint", place / "compact-personal"))
    assert (place / "compact-worn" / "images" / "00000.png").is_file()


@pytest.mark.parametrize("name", ["rig-256-stage1", "rig-256-stage2", "rig-64-personal"])
def test_presets_have_the_released_settings(name: str) -> None:
    settings = check(RigSettings, {k: v for k, v in read(name, ["data=x"]).items() if k != "train"}, name)
    assert settings.ema_decay is None
    assert settings.optimizer.max_grad_norm is None
    if name == "rig-256-stage1":
        assert (settings.steps, settings.batch_size, settings.optimizer.learning_rate) == (50000, 256, 1e-4)
        assert settings.model is not None
        assert settings.model == DiffusionRigConfig(size=256, multipliers=(1, 1, 2, 2, 4, 4))
    if name == "rig-256-stage2":
        assert (settings.steps, settings.batch_size, settings.optimizer.learning_rate) == (5000, 4, 1e-5)
        assert settings.stage == 2
    if name == "rig-64-personal":
        assert (settings.stage, settings.batch_size, settings.model) == (2, 4, None)


def test_a_model_records_its_buffers(place: Path) -> None:
    trained = open_rig(place / "model")
    assert (trained.size, trained.source, trained.space) == (16, "synthface", "synthface")
    about = model_file.read(place / "model").provenance["buffers"]
    assert about["mean_shape"] is False


def test_stored_buffers_convert_to_the_values_of_the_renderer(place: Path) -> None:
    made = BufferSet(place / "buffers")
    space = Exact().space
    exact = space.draw({name: array[3:4] for name, array in made.codes.items()}, 16).conditions
    stored = torch.from_numpy(made.read(3).fields["conditions"])[None]
    np.testing.assert_allclose(to_conditions(stored, 1.0)[0].numpy(), exact, atol=0.51 / 127)


def test_stage_2_freezes_the_weights_of_the_encoder_but_not_its_batch_statistics(place: Path) -> None:
    (place / "stage2.yaml").write_text(yaml.safe_dump({**SMALL, "stage": 2, "model": None}))
    run(
        "train", "rig", f"data={place / 'album'}", f"start={place / 'model'}", "--config", place / "stage2.yaml",
        "--out", place / "personal", "--device", "cpu",
    )  # fmt: skip
    before, after = (model_file.read(place / name).tensors for name in ("model", "personal"))
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    encoder = {key for key in moved if key.startswith("encoder.")}
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    assert encoder
    assert all(key.endswith(statistics) for key in encoder)
    assert any(key.startswith("unet.") for key in moved)


def test_one_persons_album_becomes_a_model_that_wears_other_peoples_expressions(place: Path) -> None:
    """Commands of docs/diffusionrig.md: `synth`, `buffers --mean-shape`, `train rig` with the preset, `transfer`."""
    person, album = place / "person", place / "person-album"
    run("synth", person, "--identities", 1, "--images", 5, "--size", 64, "--seed", 7)
    run("buffers", person, "--source", "synthface", "--mean-shape", "--size", 16, "--out", album)
    run(
        "train", "rig", f"data={album}", f"start={place / 'model'}", "--config", "rig-64-personal", "steps=2",
        "--out", place / "one", "--device", "cpu",
    )  # fmt: skip
    assert open_rig(place / "one").network.config == open_rig(place / "model").network.config
    assert model_file.read(place / "one").provenance["buffers"]["mean_shape"] is True
    pairs = place / "person.csv"
    pairs.write_text("source,target\nimages/id000/00.png,images/id001/01.png\n")
    out = place / "worn"
    run(
        "transfer", "--checkpoint", place / "one", "--source", person, "--target", place / "faces", "--pairs", pairs,
        "--extractor-source", "synthface", "--extractor-target", "synthface", "--out", out, "--steps", 2,
        "--device", "cpu",
    )  # fmt: skip
    with (out / "manifest.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["identity"], row["expression"]) == ("id000", "happy")
    assert (out / row["image"]).is_file()


def test_stage_2_refuses_what_does_not_fit_the_checkpoint(place: Path) -> None:
    run("buffers", place / "faces", "--out", place / "large", "--size", 32, "--mean-shape")
    begin = (
        "train",
        "rig",
        "stage=2",
        f"start={place / 'model'}",
        "--config",
        place / "small.yaml",
        "--out",
        place / "no",
    )
    text = refused(*begin, f"data={place / 'large'}")
    assert "buffers of 32 pixels from synthface" in text
    assert "trained with buffers of 16 pixels from synthface" in text
    elsewhere = place / "elsewhere"
    shutil.copytree(place / "album", elsewhere)
    header = json.loads((elsewhere / "buffers.json").read_text())
    (elsewhere / "buffers.json").write_text(json.dumps(header | {"source": "compact"}))
    text = refused(*begin, f"data={elsewhere}")
    assert "buffers of 16 pixels from compact" in text
    assert "trained with buffers of 16 pixels from synthface" in text
    assert "was not made as an album" in refused(*begin, f"data={place / 'buffers'}")
    text = refused(*begin, f"data={place / 'album'}", "model.encoder=resnet50")
    assert "has encoder resnet18, but the settings have resnet50" in text
    text = refused(
        "train", "rig", f"data={place / 'large'}", "--config", place / "small.yaml", "--out", place / "no"
    )
    assert "the network has 16 pixels" in text


def test_official_checkpoints_are_identified_by_their_names(tmp_path: Path) -> None:
    for config, name in ((RIG64, "diffusionrig-64"), (RIG256, "diffusionrig-256")):
        with torch.device("meta"):
            network = DiffusionRig(config)
        names = official_names(network)
        state = {names[key]: value for key, value in network.state_dict().items()}
        assert official_name(state) == name
    torch.save({"denoisingUNet.out.0.weight": torch.zeros(3)}, tmp_path / "model.pt")
    with pytest.raises(WeightsError, match="diffusionrig-64: the weights lack"):
        open_rig(tmp_path / "model.pt")


def test_a_transfer_ends_in_a_manifest_that_can_be_evaluated(place: Path) -> None:
    chosen = [("id000/00", "id001/01"), ("id000/00", "id001/02"), ("id001/00", "id000/01"),
              ("id001/00", "id000/02"), ("id000/01", "id001/02")]  # fmt: skip
    text = run(*carry(place, "carried", "--pairs", pairs_of(place, *chosen)))
    assert "5 transfers" in text
    with (place / "carried" / "manifest.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["expression"] for row in rows] == ["happy", "sad", "happy", "sad", "sad"]
    assert rows[0]["identity"] == "id000"
    assert float(rows[0]["valence"]) > 0 > float(rows[1]["valence"])
    assert {rows[0][name] for name in ("age", "gender", "skin")} <= {"low", "middle", "high"}
    out = place / "evaluated"
    words = (
        "--protocol",
        "expression-transfer",
        "--metrics",
        "face_found",
        "--max-rejected",
        1,
        "--out",
        out,
    )
    run("evaluate", place / "carried" / "manifest.csv", *words)
    assert "face_found" in load_run(out).metrics


def test_what_is_transferred_and_what_is_rebuilt(place: Path) -> None:
    """The same source is rebuilt once; a transfer of another face differs from it, one run equals the other."""
    pairs = pairs_of(place, ("id000/00", "id001/01"))
    run(*carry(place, "once", "--pairs", pairs))
    first = (place / "once" / "images" / "00000.png").read_bytes()
    (place / "once" / "images" / "00000.png").unlink()
    run(*carry(place, "once", "--pairs", pairs))
    assert (place / "once" / "images" / "00000.png").read_bytes() == first
    for take in ("light", "pose"):
        run(*carry(place, take, "--pairs", pairs, "--take", take))
    made = {
        take: np.array(Image.open(place / take / "images" / "00000.png"))
        for take in ("once", "light", "pose")
    }
    rebuilt = np.array(Image.open(place / "once" / "reconstructions" / "images__id000__00.png"))
    assert made["once"].shape == (16, 16, 3)
    for image in made.values():
        assert not np.array_equal(image, rebuilt)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--take", "age"), "'age' cannot be transferred. Known: expression, light, pose."),
        ((), "6 of 6 pairs have the same image as source and target"),
        (
            ("--extractor-target", "deca"),
            "'deca' reads flame codes, but the checkpoint was trained with buffers of 16",
        ),
        (("--extractor-source", "exact"), "'exact' is not an extractor"),
        (("--pairs", "PAIRS"), "does not contain the image 'images/id007/00.png'"),
    ],
)
def test_what_cannot_be_transferred_is_refused(place: Path, words: tuple[str, ...], message: str) -> None:
    pairs = str(pairs_of(place, ("id007/00", "id001/01")))
    given = [pairs if word == "PAIRS" else word for word in words]
    assert message in refused(*carry(place, "refused", *given))


class Blind(Exact):
    """Reads synthetic faces, but finds no face in one image."""

    def __init__(self, image: str) -> None:
        super().__init__()
        self.image = image

    def read(self, images: ImageSet, items: Sequence[Item], size: int) -> list[Found | NotFound]:
        """As `Exact`, except for the one image."""
        read = super().read(images, items, size)
        missing = NotFound("no_face", "the detector found none")
        return [missing if item.name == self.image else one for item, one in zip(items, read, strict=True)]


def test_a_pair_without_a_face_is_skipped_and_listed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The package exports a function of the same name as this module.
    module = importlib.import_module("facebench.training.rig.transfer.transfer")
    monkeypatch.setattr(module, "open_extractor", lambda *_: Blind("images/id001/01.png"))
    pairs = pairs_of(place, ("id000/00", "id001/01"), ("id000/00", "id001/02"))
    text = run(*carry(place, "blind", "--pairs", pairs))
    assert "1 transfers" in text
    assert "skipped 1" in text
    assert "images/id001/01.png: no_face" in text
    with (place / "blind" / "skipped.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["target"], row["image"], row["reason"]) == (
        "images/id001/01.png", "images/id001/01.png", "no_face",
    )  # fmt: skip
    pairs = pairs_of(place, ("id000/00", "id001/01"))
    text = refused(*carry(place, "nobody", "--pairs", pairs))
    assert "No face was found in one or both images of all 1 pairs" in text


def test_a_folder_with_other_transfers_is_left_alone(place: Path) -> None:
    pairs = pairs_of(place, ("id000/00", "id001/01"))
    run(*carry(place, "kept", "--pairs", pairs))
    assert "holds other transfers" in refused(*carry(place, "kept", "--pairs", pairs, "--seed", 1))


def test_drawn_pairs_are_of_other_people_and_expressions(place: Path) -> None:
    images = ImageSet.open(place / "faces")
    pairs = draw_pairs(images, images, 4, seed=1)
    assert len(pairs) == 4
    for pair in pairs:
        assert pair.source.columns["identity"] != pair.target.columns["identity"]
        assert pair.source.columns["expression"] != pair.target.columns["expression"]
    (place / "empty.csv").write_text("source,target\n")
    with pytest.raises(InputError, match="has no rows"):
        read_pairs(place / "empty.csv", images, images)


def test_the_compact_extractor_changes_expression_and_pose_alone(place: Path) -> None:
    shapes = {name: tuple(value.shape) for name, value in FaceReader().state_dict().items()}
    reader = build_reader("facereader", WeightsSource.of("facereader", fill(shapes)), "cpu")
    images = ImageSet.open(place / "faces")
    (exact,) = Exact().read(images, images.items[:1], 16)
    (compact,) = Compact(reader=reader).read(images, images.items[:1], 16)
    assert isinstance(exact, Found)
    assert isinstance(compact, Found)
    changed = [name for name in exact.codes if not np.array_equal(exact.codes[name], compact.codes[name])]
    assert changed == ["psi", "pose"]
    assert exact.codes["pose"][0, 2] == compact.codes["pose"][0, 2]
    assert compact.codes["psi"].min() >= 0
    assert compact.codes["psi"].max() <= 1
