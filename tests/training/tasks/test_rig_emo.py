"""Training of DiffusionRig-Emo in both stages, and a transfer with it, with tiny networks on rendered faces."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from facebench.training.engine import model_file
from facebench.training.engine.checkpoints import OPTIMIZER, Checkpoint
from facebench.training.engine.settings import check
from facebench.training.models import DiffusionRigEmo, DiffusionRigEmoConfig
from facebench.training.presets import read
from facebench.training.rig.buffers import BufferSet
from facebench.training.rig.files import open_rig
from facebench.training.tasks.rig_emo import RigEmoSettings
from tests.helpers.lab_database import write_database
from tests.helpers.paper_weights import facebench

SHAPE, IDENTITY = 135, 161
"""Widths of the codes of rendered faces."""
MODEL: dict[str, Any] = {
    "size": 16, "multipliers": [1, 2], "channels": 16, "time_channels": 16, "blocks": 1, "attention": [],
    "dropout": 0.0, "shape_channels": SHAPE, "identity_channels": IDENTITY,
}  # fmt: skip
SETTINGS: dict[str, Any] = {
    "train": "rig-emo", "stage": 1, "steps": 2, "batch_size": 2, "workers": 0, "ema_decay": None,
    "optimizer": {"kind": "adamw", "learning_rate": 1e-3, "max_grad_norm": None}, "model": MODEL,
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Faces, their buffers, an album of the same faces, and a model of stage 1."""
    folder = tmp_path_factory.mktemp("rig-emo")
    (folder / "stage1.yaml").write_text(yaml.safe_dump(SETTINGS))
    (folder / "stage2.yaml").write_text(yaml.safe_dump({**SETTINGS, "stage": 2, "model": None}))
    run("synth", folder / "faces", "--identities", 2, "--images", 3, "--size", 64)
    run("buffers", folder / "faces", "--out", folder / "buffers", "--size", 16)
    run("buffers", folder / "faces", "--out", folder / "album", "--size", 16, "--mean-shape")
    words = ("--config", folder / "stage1.yaml", "--out", folder / "model", "--device", "cpu")
    run("train", "rig", f"data={folder / 'buffers'}", *words)
    return folder


def run(*words: object) -> str:
    done = facebench(*words)
    assert done.code == 0, done.text
    return done.text


def refused(*words: object) -> str:
    done = facebench(*words)
    assert done.code == 2, done.text
    return done.text.replace("\n", " ")


def test_the_codes_of_shape_and_identity_are_training_data(place: Path) -> None:
    buffers = BufferSet(place / "buffers")
    fields = buffers.read(4).fields
    assert (fields["shape"].shape, fields["identity"].shape) == ((SHAPE,), (IDENTITY,))
    assert (fields["identity"][:SHAPE] == fields["shape"]).all()
    assert (fields["shape"][:129] == buffers.codes["beta"][4]).all()


def test_the_prediction_depends_on_the_codes(place: Path) -> None:
    network = open_rig(place / "model").network
    assert isinstance(network, DiffusionRigEmo)
    torch.manual_seed(0)
    x, t, conditions, z = (
        torch.randn(1, 3, 16, 16),
        torch.tensor([500]),
        torch.rand(1, 9, 16, 16),
        torch.zeros(1, 64),
    )
    shape, identity = torch.randn(1, SHAPE), torch.randn(1, IDENTITY)
    eps = network(x, t, conditions, z, shape, identity)
    assert not torch.equal(eps, network(x, t, conditions, z, shape + 1, identity))
    assert not torch.equal(eps, network(x, t, conditions, z, shape, identity + 1))


@pytest.mark.parametrize("freeze", [False, True])
def test_stage_2_trains_the_encoder_unless_it_is_frozen(place: Path, freeze: bool) -> None:
    out = place / f"personal-{freeze}"
    words = (
        f"data={place / 'album'}",
        f"init_from={place / 'model'}",
        f"freeze_encoder={str(freeze).lower()}",
    )
    run("train", "rig", *words, "--config", place / "stage2.yaml", "--out", out, "--device", "cpu")
    before, after = (model_file.read(path).tensors for path in (place / "model", out))
    assert torch.equal(before["encoder.conv1.weight"], after["encoder.conv1.weight"]) is freeze
    assert not torch.equal(before["unet.out_conv.weight"], after["unet.out_conv.weight"])


def test_a_transfer_uses_the_codes_of_the_source(place: Path) -> None:
    pairs = place / "pairs.csv"
    pairs.write_text("source,target\nimages/id000/00.png,images/id001/01.png\n")
    run(
        "transfer", "--checkpoint", place / "model", "--source", place / "faces", "--target", place / "faces",
        "--extractor-source", "synthface", "--extractor-target", "synthface", "--pairs", pairs, "--steps", 2,
        "--out", place / "transfers", "--device", "cpu",
    )  # fmt: skip
    assert (place / "transfers" / "images" / "00000.png").is_file()


def test_presets_have_the_published_settings() -> None:
    stage1, stage2 = (
        check(RigEmoSettings, {k: v for k, v in read(name, ["data=x"]).items() if k != "train"}, name)
        for name in ("rig-emo-256-stage1", "rig-emo-256-stage2")
    )
    assert stage1.model == DiffusionRigEmoConfig(size=256, multipliers=(1, 1, 2, 2, 4, 4))
    assert (stage1.steps, stage1.batch_size, stage1.optimizer.learning_rate) == (50000, 16, 1e-4)
    assert (stage2.steps, stage2.batch_size, stage2.optimizer.learning_rate) == (10000, 4, 1e-5)
    assert not stage2.freeze_encoder


def test_other_codes_or_another_network_are_refused(place: Path) -> None:
    words = ("--config", place / "stage1.yaml", "--out", place / "no", "--device", "cpu")
    text = refused("train", "rig", f"data={place / 'buffers'}", "model.shape_channels=100", *words)
    assert "the code 'shape' has 135 values, the network reads 100. Set model.shape_channels=135" in text
    plain = {k: v for k, v in MODEL.items() if k not in ("shape_channels", "identity_channels")}
    (place / "plain.yaml").write_text(yaml.safe_dump({**SETTINGS, "train": "rig", "model": plain}))
    words = ("--config", place / "plain.yaml", "--out", place / "plain", "--device", "cpu")
    run("train", "rig", f"data={place / 'buffers'}", *words)
    words = ("--config", place / "stage2.yaml", "--out", place / "no", "--device", "cpu")
    text = refused("train", "rig", f"data={place / 'album'}", f"init_from={place / 'plain'}", *words)
    assert "has no inputs for the codes of shape and identity" in text


def carried(place: Path, out: str, *words: object, checkpoint: str = "model") -> Path:
    pairs = place / "pairs.csv"
    pairs.write_text("source,target\nimages/id000/00.png,images/id001/01.png\n")
    run(
        "transfer", "--checkpoint", place / checkpoint, "--source", place / "faces", "--target", place / "faces",
        "--extractor-source", "synthface", "--extractor-target", "synthface", "--pairs", pairs,
        "--out", place / out, "--device", "cpu", *words,
    )  # fmt: skip
    return place / out


def test_an_album_model_uses_the_mean_shape_and_records_it(place: Path) -> None:
    words = (f"data={place / 'album'}", f"init_from={place / 'model'}", "--config", place / "stage2.yaml")
    run("train", "rig", *words, "--out", place / "of-album", "--device", "cpu")
    headers, images = {}, {}
    for shape in (None, "own", "album", place / "album"):
        option = () if shape is None else ("--shape", shape)
        name = f"shape-{Path(str(shape)).name if shape != place / 'album' else 'file'}"
        folder = carried(place, name, "--steps", 2, *option, checkpoint="of-album")
        headers[name] = json.loads((folder / "transfer.json").read_text())["shape"]
        images[name] = (folder / "images" / "00000.png").read_bytes()
    assert headers["shape-None"] == "album"
    assert images["shape-None"] == images["shape-album"]
    # A rendered person has one shape, which is also the mean of the person's album; the buffers hold two people.
    assert images["shape-own"] == images["shape-album"]
    assert images["shape-file"] != images["shape-album"]
    assert headers["shape-own"] == "own"
    text = refused(
        "transfer", "--checkpoint", place / "model", "--source", place / "faces", "--target", place / "faces",
        "--extractor-source", "synthface", "--extractor-target", "synthface", "--pairs", place / "pairs.csv",
        "--out", place / "no", "--shape", place / "albums" / "eve",
    )  # fmt: skip
    assert "The album or mean shape" in text


def test_candidates_are_kept_by_their_sharpness(place: Path) -> None:
    best = carried(place, "sharpest", "--sampler", "ddpm3", "--candidates", 3)
    worst = carried(place, "least", "--sampler", "ddpm3", "--candidates", 3, "--keep", "least-sharp")
    kept = {}
    for folder in (best, worst):
        rows = list(csv.DictReader((folder / "candidates.csv").open()))
        rows = [row for row in rows if row["image"] == "images/00000"]
        assert len(rows) == 3
        (chosen,) = (row for row in rows if row["kept"] == "1")
        kept[folder.name] = float(chosen["sharpness"])
        scores = [float(row["sharpness"]) for row in rows]
        assert kept[folder.name] == (max(scores) if folder == best else min(scores))
        image = (folder / "candidates" / f"images/00000-{chosen['candidate']}.png").read_bytes()
        assert (folder / "images" / "00000.png").read_bytes() == image
    header = json.loads((worst / "transfer.json").read_text())
    assert (header["sampler"], header["steps"], header["keep"]) == ("ddpm", 3, "least-sharp")
    assert kept["sharpest"] > kept["least"]


@pytest.mark.parametrize("album", [False, True])
def test_a_database_of_the_lab_trains_both_stages(place: Path, tmp_path: Path, album: bool) -> None:
    data = write_database(tmp_path / "set", album=album)
    widths = ("model.shape_channels=100", "model.identity_channels=150")
    words = ("--config", place / "stage1.yaml", "--out", tmp_path / "model", "--device", "cpu")
    run("train", "rig", f"data={data}", *widths, *words)
    trained = open_rig(tmp_path / "model")
    assert (trained.source, trained.space, trained.mean_shape) == ("deca", "flame", album)
    words = ("--config", place / "stage2.yaml", "--out", tmp_path / "personal", "--device", "cpu")
    personal = ("train", "rig", f"data={data}", f"init_from={tmp_path / 'model'}", *words)
    if album:
        run(*personal)
    else:
        assert "was not made as an album" in refused(*personal)


def test_stage_2_may_continue_with_the_moments_of_stage_1(place: Path, tmp_path: Path) -> None:
    words = (f"data={place / 'album'}", f"init_from={place / 'model'}", "steps=1", "checkpoint_every=1")
    common = ("train", "rig", *words, "--config", place / "stage2.yaml", "--device", "cpu")
    run(*common, "--out", tmp_path / "new")
    run(*common, f"init_optimizer={place / 'model'}", "--out", tmp_path / "continued")
    steps = {}
    for name in ("new", "continued"):
        tensors = Checkpoint.load(tmp_path / name / "checkpoints" / "step-00000001").tensors[OPTIMIZER]
        steps[name] = {int(value) for key, value in tensors.items() if key.endswith(".step")}
    assert steps == {"new": {1}, "continued": {3}}, "two steps of stage 1, one of stage 2"
    settings = model_file.read(tmp_path / "continued", "rig-emo").provenance["settings"]
    assert settings["init_optimizer"] == str(place / "model")
    text = refused(*common, "init_optimizer=opt100000.pt", "--out", tmp_path / "none")
    assert "The optimizer state opt100000.pt does not exist" in text
