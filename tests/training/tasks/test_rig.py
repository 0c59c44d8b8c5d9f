"""DiffusionRig trained, fine-tuned and used from the command line, on very small networks."""

from __future__ import annotations

import csv
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
from facebench.training.diffusion import Weighting, ddim_decode, q_sample, x_0_from_eps
from facebench.training.engine import model_file
from facebench.training.engine.rng import StepRng
from facebench.training.engine.settings import check, read
from facebench.training.models import DiffusionRig, DiffusionRigConfig
from facebench.training.models.official import official_names
from facebench.training.models.rig import RIG64, RIG256, Predicts
from facebench.training.rig.buffers import BufferSet
from facebench.training.rig.buffers.compact import Compact
from facebench.training.rig.buffers.extractors import Found, NotFound
from facebench.training.rig.buffers.synthetic import Exact
from facebench.training.rig.files import official_name, open_rig, to_conditions
from facebench.training.rig.transfer import draw_pairs
from facebench.training.rig.transfer import transfer as transfer_module
from facebench.training.rig.transfer.pairs import read_pairs
from facebench.training.tasks.rig import RigSettings, RigTask
from tests.goldens.fill import fill
from tests.helpers.paper_weights import facebench

SMALL: dict[str, Any] = {
    "train": "rig", "stage": 1, "steps": 2, "batch": 2, "workers": 0, "average": None,
    "optimiser": {"kind": "adam", "learning_rate": 1e-3, "clip": None},
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
def taught(place: Path) -> Path:
    """A model of stage 1 with everything that small ones learn sooner by."""
    sooner = (
        "model.predicts=change",
        "model.patch=2",
        "model.positions=true",
        "model.groups=4",
        "average=0.9",
    )
    train(place, "taught", *sooner, "average_warm=true", "optimiser.decay=cosine")
    return place / "taught"


def run(*words: object) -> str:
    done = facebench(*words)
    assert done.code == 0, done.text
    return done.text


def train(folder: Path, out: str, *changes: str) -> str:
    data = f"data={folder / 'buffers'}"
    words = ("train", "rig", data, *changes, "--config", folder / "small.yaml", "--out", folder / out)
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


def task(folder: Path, predicts: str = "eps", weighting: Weighting | None = None) -> RigTask:
    model = SMALL["model"] | {"predicts": predicts}
    content = {"data": folder / "buffers", "model": model, "weighting": weighting, "steps": 1, "batch": 2}
    return RigTask(RigSettings.model_validate(content))


def loss(task: RigTask) -> Tensor:
    batch = task._shown()
    return task.losses(task.network, batch, StepRng(0, 0, len(batch), batch.rows, torch.device("cpu")))[
        "loss"
    ]


@pytest.mark.parametrize(("predicts", "fitting"), [("eps", "p2"), ("v", "v"), ("change", "x_0")])
def test_the_weighting_fits_what_is_predicted_unless_another_is_asked_for(
    place: Path, predicts: str, fitting: Weighting
) -> None:
    assert torch.equal(loss(task(place, predicts)), loss(task(place, predicts, fitting)))
    assert not torch.equal(loss(task(place, predicts)), loss(task(place, predicts, "simple")))


def test_what_an_untaught_network_takes_a_noisy_photo_for() -> None:
    """Its numbers are zeros: a photo without noise, a photo and noise, or nothing but noise over the rendered face."""
    x_t, t = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)), torch.tensor([250])
    shrunk = q_sample(torch.ones(1, 1, 1, 1), t, torch.zeros(1, 1, 1, 1))
    implied: dict[Predicts, Tensor] = {
        "eps": x_t / shrunk,
        "v": x_t * shrunk,
        "change": torch.full_like(x_t, 0.5),
    }
    for predicts, x_0 in implied.items():
        network = DiffusionRig(DiffusionRigConfig(16, (1,), channels=16, predicts=predicts)).eval()
        eps = network(x_t, t, torch.full((1, 9, 16, 16), 0.75), torch.zeros(1, 64))
        assert torch.allclose(x_0_from_eps(x_t, t, eps), x_0, atol=1e-5)


@pytest.mark.parametrize("steps", [1, 4, 20])
def test_an_untaught_network_of_the_change_paints_the_rendered_face_in_any_number_of_steps(
    steps: int,
) -> None:
    network = DiffusionRig(DiffusionRigConfig(16, (1,), channels=16, patch=2, predicts="change")).eval()
    generator = torch.Generator().manual_seed(0)
    buffers, noise = (
        torch.rand(1, 9, 16, 16, generator=generator),
        torch.randn(1, 3, 16, 16, generator=generator),
    )
    made = ddim_decode(network.driven_by(buffers), noise, torch.zeros(1, 64), steps)
    assert torch.allclose(made, buffers[:, :3] * 2 - 1, atol=1e-4)


def test_a_network_of_the_change_paints_faces_where_one_of_eps_still_paints_noise(place: Path) -> None:
    errors = {}
    for predicts in ("eps", "change"):
        train(place, predicts, f"model.predicts={predicts}", "steps=40", "evaluate_every=40")
        with (place / predicts / "log.csv").open() as file:
            (errors[predicts],) = (
                float(row["value"]) for row in csv.DictReader(file) if row["name"] == "mse"
            )
    assert errors["change"] < 0.5 * errors["eps"]


def test_a_model_knows_what_it_predicts_in_stage_2_and_in_transfer(place: Path, taught: Path) -> None:
    sizes = open_rig(taught).network.config
    assert (sizes.predicts, sizes.patch, sizes.positions, sizes.groups) == ("change", 2, True, 4)
    words = (f"data={place / 'album'}", f"start={taught}", "--config", "rig-64-personal", "steps=2")
    run("train", "rig", *words, "--out", place / "taught-one", "--device", "cpu")
    assert open_rig(place / "taught-one").network.config == sizes
    text = refused(
        "train", "rig", *words, "model={size: 16, multipliers: [1, 2], predicts: v}", "--out", place / "no"
    )
    assert "has " in text
    assert "the settings say" in text
    pairs = pairs_of(place, ("id000/00", "id001/01"))
    run(*carry(place, "taught-worn", "--pairs", pairs, "--checkpoint", place / "taught-one"))
    assert (place / "taught-worn" / "images" / "00000.png").is_file()


@pytest.mark.parametrize("name", ["rig-256-stage1", "rig-256-stage2", "rig-64-personal"])
def test_presets_hold_the_released_settings(name: str) -> None:
    settings = check(RigSettings, {k: v for k, v in read(name, ["data=x"]).items() if k != "train"}, name)
    assert settings.average is None
    assert settings.optimiser.clip is None
    if name == "rig-256-stage1":
        assert (settings.steps, settings.batch, settings.optimiser.learning_rate) == (50000, 256, 1e-4)
        assert settings.model is not None
        released = DiffusionRigConfig(256, (1, 1, 2, 2, 4, 4))
        assert DiffusionRigConfig(**settings.model.model_dump()) == released
    if name == "rig-256-stage2":
        assert (settings.steps, settings.batch, settings.optimiser.learning_rate) == (5000, 4, 1e-5)
        assert settings.stage == 2
    if name == "rig-64-personal":
        assert (settings.stage, settings.batch, settings.model) == (2, 4, None)


def test_a_model_knows_its_buffers(place: Path) -> None:
    trained = open_rig(place / "model")
    assert (trained.size, trained.source, trained.space) == (16, "synthface", "synthface")
    about = model_file.read(place / "model").provenance["buffers"]
    assert about["mean_shape"] is False


def test_stored_buffers_become_the_numbers_of_the_renderer(place: Path) -> None:
    made = BufferSet(place / "buffers")
    space = Exact().space
    exact = space.draw({name: array[3:4] for name, array in made.codes.items()}, 16).conditions
    stored = torch.from_numpy(made.read(3).fields["conditions"])[None]
    np.testing.assert_allclose(to_conditions(stored, 1.0)[0].numpy(), exact, atol=0.51 / 127)


def test_stage_2_freezes_the_encoder_but_not_its_statistics(place: Path) -> None:
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
    """`synth`, `buffers --mean-shape`, `train rig` with the preset, `transfer`: what docs/diffusionrig.md says."""
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
    assert "has encoder resnet18, the settings say resnet50" in text
    text = refused(
        "train", "rig", f"data={place / 'large'}", "--config", place / "small.yaml", "--out", place / "no"
    )
    assert "the network has 16 pixels" in text


def test_an_official_checkpoint_is_told_by_its_names(tmp_path: Path) -> None:
    for config, name in ((RIG64, "diffusionrig-64"), (RIG256, "diffusionrig-256")):
        with torch.device("meta"):
            network = DiffusionRig(config)
        assert official_name(official_names(network).values()) == name
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
        (("--extractor-source", "exact"), "There is no extractor 'exact'"),
        (("--pairs", "PAIRS"), "there is no image 'images/id007/00.png'"),
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
    monkeypatch.setattr(transfer_module, "open_extractor", lambda *_: Blind("images/id001/01.png"))
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
