"""Loss terms that preserve identity: crops, gradients, prior faces, and training on one person."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from facebench.backbones.face_detection import FaceFinder
from facebench.core.errors import InputError
from facebench.synthface import FaceModel
from facebench.training.data.folders import FolderFaces
from facebench.training.data.pairs import FacesWithPartners, geometry_of
from facebench.training.data.synthetic import Population, SynthfaceFaces
from facebench.training.engine.rng import StepRng
from facebench.training.losses import shared_network_warnings
from facebench.training.losses.frozen_networks import open_frozen_networks
from facebench.training.losses.identity_losses import LossInputs, face_losses
from facebench.training.losses.loss_weights import LossWeights, ShapeLoss
from facebench.training.models import DiffAE
from facebench.training.tasks.face_batches import fixed_faces
from tests.helpers import tiny_training

DATA = {"kind": "synthface", "identities": 4, "images": 3, "seed": 3, "render": 64, "cache_renders": True}
MODEL = {**tiny_training.MODEL, "size": 64, "attention": []}


def settings(**changes: Any) -> dict[str, Any]:
    return {"model": MODEL, "data": DATA, "preview_images": 2, **changes}


@pytest.fixture(scope="module")
def initial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Model of an autoencoder after one step."""
    return tiny_training.train("diffae", tmp_path_factory.mktemp("initial"), **settings(steps=1))


def task(**loss: Any) -> Any:
    return tiny_training.prepare("diffae", **settings(loss=loss)).task


def losses(of: Any) -> dict[str, torch.Tensor]:
    batch = fixed_faces(of.faces, 6)
    parts: dict[str, torch.Tensor] = of.losses(of.network.train(), batch, StepRng(0, 0, 6, torch.arange(6)))
    return parts


def test_the_default_loss_is_l_simple() -> None:
    parts = losses(task())
    assert torch.equal(parts["loss"], parts["simple"])


def test_the_shape_loss_has_gradients_for_the_network() -> None:
    trained = task(simple=0, shape=1.0)
    parts = losses(trained)
    assert float(parts["shape"].detach()) > 0
    parts["loss"].backward()
    # The last layer starts at zero, so only this layer has a gradient.
    assert float(trained.network.unet.out_conv.weight.grad.abs().sum()) > 0


def test_identity_and_triplet_losses_have_gradients_for_the_network(untrained_recogniser: Path) -> None:
    for name in ("identity", "triplet"):
        trained = task(simple=0, recogniser=str(untrained_recogniser), **{name: 1.0})
        parts = losses(trained)
        parts["loss"].backward()
        assert float(parts[name].detach()) > 0
        assert float(trained.network.unet.out_conv.weight.grad.abs().sum()) > 0


def test_the_shape_loss_of_the_clean_face_is_zero() -> None:
    batch = fixed_faces(FacesWithPartners(SynthfaceFaces(64, Population(2, 2, seed=3)), partners=False), 4)
    weights = LossWeights(shape=ShapeLoss(weight=1.0))
    inputs = LossInputs(
        batch.x_0,
        batch.x_0,
        torch.zeros(4, dtype=torch.int64),
        batch.fields["landmarks"],
        batch.fields["box"],
    )
    assert float(face_losses(weights, open_frozen_networks(weights), inputs)["shape"]) < 1e-10


def test_faces_without_landmarks_add_nothing_and_are_counted() -> None:
    batch = fixed_faces(FacesWithPartners(SynthfaceFaces(64, Population(2, 2, seed=3)), partners=False), 4)
    weights = LossWeights(shape=ShapeLoss(weight=1.0))
    networks = open_frozen_networks(weights)
    noisy = batch.x_0 + 0.3 * torch.randn(batch.x_0.shape, generator=torch.Generator().manual_seed(0))
    t = torch.zeros(4, dtype=torch.int64)
    known, boxes = batch.fields["landmarks"], batch.fields["box"]
    hidden = known.clone()
    hidden[1:] = torch.nan
    alone = face_losses(weights, networks, LossInputs(batch.x_0, noisy, t, hidden, boxes))
    assert float(alone["without_face"]) == 3
    first = LossInputs(batch.x_0[:1], noisy[:1], t[:1], known[:1], boxes[:1])
    assert float(alone["shape"]) == pytest.approx(
        float(face_losses(weights, networks, first)["shape"]) / 4, rel=1e-5
    )
    hidden[:] = torch.nan
    assert set(face_losses(weights, networks, LossInputs(batch.x_0, noisy, t, hidden, boxes))) == {
        "without_face"
    }


def test_prior_faces_are_the_same_for_the_same_initial_weights(initial: Path) -> None:
    content = settings(init_from=str(initial), prior_images=3, loss={"prior": 1.0})
    first, again = (tiny_training.prepare("diffae", **content).task for _ in range(2))
    assert first.prior.images.shape == (3, 3, 64, 64)
    assert torch.equal(first.prior.images, again.prior.images)
    parts = losses(first)
    assert float(parts["prior"].detach()) > 0
    with pytest.raises(InputError, match=r"loss\.prior needs `init_from`"):
        task(prior=1.0)


def test_landmarks_and_boxes_of_small_faces_match_those_of_large_ones() -> None:
    model, finder = FaceModel(), FaceFinder()
    large = model.render(model.sample(1, seed=4), 128)[0]
    small = np.asarray(Image.fromarray(large).resize((64, 64), Image.Resampling.BOX))
    expected = (finder.find(large).landmarks + 0.5) / 2 - 0.5
    landmarks, box = geometry_of(small, finder)
    assert np.abs(landmarks - expected).max() < 1.5
    assert np.abs(box - np.array(finder.find(large).box) / 2).max() < 2.0
    assert all(np.isnan(part).all() for part in geometry_of(np.zeros((64, 64, 3), np.uint8), finder))


def test_people_with_a_single_image_are_refused(tmp_path: Path) -> None:
    for person, count in (("eve", 2), ("bob", 1), ("ann", 1)):
        for number in range(count):
            path = tmp_path / person / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(path)
    with pytest.raises(InputError, match=r"2 of 3 people have a single image \(ann/0\.png, bob/0\.png\)"):
        FacesWithPartners(FolderFaces(tmp_path, 64), partners=True)


def test_identity_losses_need_a_recogniser() -> None:
    with pytest.raises(InputError, match=r"need loss\.recogniser"):
        task(triplet=0.1)


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of one person in a sub-folder, and one image without a face."""
    folder, model = tmp_path_factory.mktemp("album"), FaceModel()
    (folder / "eve").mkdir()
    for number, image in enumerate(model.render(model.sample(4, seed=9, images=4), 128)):
        Image.fromarray(image).save(folder / "eve" / f"{number}.png")
    Image.fromarray(np.zeros((128, 128, 3), np.uint8)).save(folder / "eve" / "black.png")
    return folder


def test_training_on_one_person_with_all_losses_but_the_triplet(
    album: Path, initial: Path, untrained_recogniser: Path, tmp_path: Path
) -> None:
    loss = {
        "simple": 1.0,
        "prior": 1.0,
        "identity": 0.1,
        "shape": 0.05,
        "recogniser": str(untrained_recogniser),
    }
    others = {**DATA, "identities": 2, "images": 1}
    for number, person in enumerate((album, album / "eve")):
        content = settings(
            init_from=str(initial), data={"kind": "folder", "path": str(person)}, loss=loss, prior_images=2, steps=2,
            batch=5, prior_data=others, lora={"rank": 2, "alpha": 2.0},
        )  # fmt: skip
        messages: list[str] = []
        out = tmp_path / str(number)
        tiny_training.run(tiny_training.prepare("diffae", **content), out, on_message=messages.append)
        assert sum("FaceReader of the shape loss" in text for text in messages) == 1
        for name in ("prior", "identity", "shape"):
            assert len(tiny_training.log_values(out, name)) == 2
        assert tiny_training.log_values(out, "without_face") == [1, 1]


def test_the_triplet_loss_needs_several_people(album: Path, untrained_recogniser: Path) -> None:
    loss = {"triplet": 0.1, "recogniser": str(untrained_recogniser)}
    for person, reason in ((album, "the data holds one"), (album / "eve", "needs identities")):
        with pytest.raises(InputError, match=rf"{reason}.* give loss\.identity a weight"):
            tiny_training.prepare(
                "diffae", **settings(data={"kind": "folder", "path": str(person)}, loss=loss)
            )


def test_prior_data_provides_the_codes_of_prior_faces(
    album: Path, initial: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = {"kind": "folder", "path": str(album)}
    content = settings(init_from=str(initial), data=data, loss={"prior": 1.0}, prior_images=2)
    encoded: list[torch.Tensor] = []
    encode = DiffAE.encode
    monkeypatch.setattr(DiffAE, "encode", lambda self, x: encode(self, encoded.append(x) or x))
    tiny_training.prepare("diffae", **content)
    tiny_training.prepare("diffae", **content, prior_data=DATA)
    known = [SynthfaceFaces(64, Population(4, 3, seed=3)).read(index).image for index in range(12)]
    people = [torch.from_numpy(image).permute(2, 0, 1).float() / 127.5 - 1 for image in known]
    is_other = [all(any(torch.equal(x, person) for person in people) for x in batch) for batch in encoded]
    assert is_other == [False, True]


def test_metrics_with_the_recogniser_of_the_loss_are_named_in_a_warning(
    untrained_recogniser: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path))
    assert shared_network_warnings.warnings(untrained_recogniser) == ()
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "arcface_iresnet100.pth").write_bytes(untrained_recogniser.read_bytes())
    for path in (untrained_recogniser, untrained_recogniser.parent):
        (text,) = shared_network_warnings.warnings(path)
        assert "_arcface" in text
        assert "second recogniser" in text
        assert "eer_arcface" not in text.partition("Evaluate with")[2]
    assert "_arcface" in task(identity=1.0, recogniser=str(untrained_recogniser)).warnings[0]
    assert task(recogniser=str(untrained_recogniser)).warnings == ()


def test_shape_metrics_with_the_reader_of_the_loss_are_named_first() -> None:
    for reader in ("deca", "emoca"):
        (text,) = shared_network_warnings.warnings(None, reader)
        assert (
            f"{reader.upper()} of the shape loss is also used by shape_distance_deca, shape_distance_emoca"
            in text
        )
    (text,) = shared_network_warnings.warnings(None, "facereader")
    assert "also used by shape_distance_reader, " in text
