"""The terms that keep the person look where they should, and their gradients reach the network that is trained."""

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
from facebench.training.data.pairs import FacesWithPartners, landmarks_of
from facebench.training.data.synthetic import SynthfaceFaces
from facebench.training.engine import model_file
from facebench.training.engine.loop import fit
from facebench.training.engine.rng import StepRng
from facebench.training.losses import shared_network_warnings
from facebench.training.losses.identity_losses import LossWeights, Seen, face_terms, open_readers
from facebench.training.models import DiffAE
from facebench.training.recognition.recogniser import NetworkSettings, build_backbone
from facebench.training.tasks import registry
from facebench.training.tasks.diffae import fixed_faces
from tests.training.engine.test_loop import TINY

DATA = {"kind": "synthface", "identities": 4, "images": 3, "seed": 3, "render": 64, "remember": False}
MODEL = {**TINY["model"], "size": 64, "attention": []}


def settings(**changes: Any) -> dict[str, Any]:
    return {**TINY, "flip": False, "model": MODEL, "data": DATA, **changes}


@pytest.fixture(scope="module")
def recogniser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recogniser that knows nobody, but it is one."""
    path = tmp_path_factory.mktemp("recogniser") / "model.safetensors"
    sizes = NetworkSettings(name="iresnet18", width=8, size=28, embedding=16).model_dump(mode="json")
    torch.manual_seed(0)
    model_file.write(path, model_file.ModelFile("recognition", build_backbone(sizes).state_dict(), sizes))
    return path


def task(**loss: Any) -> Any:
    return registry.prepare("diffae", settings(loss=loss), "test").task


def losses(which: Any) -> dict[str, torch.Tensor]:
    batch = fixed_faces(which.faces, 6)
    return which.losses(which.network.train(), batch, StepRng(0, 0, 6, torch.arange(6)))


def test_without_further_terms_the_loss_is_l_simple() -> None:
    parts = losses(task())
    assert torch.equal(parts["loss"], parts["simple"])


def test_the_shape_term_reaches_the_network(tmp_path: Path) -> None:
    trained = task(simple=0, shape=1.0)
    parts = losses(trained)
    assert float(parts["shape"].detach()) > 0
    parts["loss"].backward()
    # The last layer starts at zero, so that the first gradient is its own.
    assert float(trained.network.unet.out_conv.weight.grad.abs().sum()) > 0


def test_the_identity_and_triplet_terms_reach_the_network(recogniser: Path) -> None:
    for name in ("identity", "triplet"):
        trained = task(simple=0, recogniser=str(recogniser), **{name: 1.0})
        parts = losses(trained)
        parts["loss"].backward()
        assert float(parts[name].detach()) > 0
        assert float(trained.network.unet.out_conv.weight.grad.abs().sum()) > 0


def test_terms_vanish_where_x_0_hat_is_the_clean_face() -> None:
    batch = fixed_faces(FacesWithPartners(SynthfaceFaces(64, 2, 2, seed=3), partners=False), 4)
    weights = LossWeights(shape=1.0)
    seen = Seen(batch.x_0, batch.x_0, torch.zeros(4, dtype=torch.int64), batch.fields["landmarks"])
    assert float(face_terms(weights, open_readers(weights), seen)["shape"]) < 1e-10


def test_a_face_that_is_not_found_adds_nothing_and_is_counted() -> None:
    batch = fixed_faces(FacesWithPartners(SynthfaceFaces(64, 2, 2, seed=3), partners=False), 4)
    weights = LossWeights(shape=1.0)
    readers = open_readers(weights)
    noisy = batch.x_0 + 0.3 * torch.randn(batch.x_0.shape, generator=torch.Generator().manual_seed(0))
    t = torch.zeros(4, dtype=torch.int64)
    known = batch.fields["landmarks"]
    hidden = known.clone()
    hidden[1:] = torch.nan
    alone = face_terms(weights, readers, Seen(batch.x_0, noisy, t, hidden))
    assert float(alone["without_face"]) == 3
    first = Seen(batch.x_0[:1], noisy[:1], t[:1], known[:1])
    assert float(alone["shape"]) == pytest.approx(
        float(face_terms(weights, readers, first)["shape"]) / 4, rel=1e-5
    )
    hidden[:] = torch.nan
    assert set(face_terms(weights, readers, Seen(batch.x_0, noisy, t, hidden))) == {"without_face"}


def test_prior_faces_are_those_of_the_starting_checkpoint(tmp_path: Path) -> None:
    out = tmp_path / "start"
    prepared = registry.prepare("diffae", settings(steps=1), "test")
    fit(prepared.task, prepared.settings, prepared.settings.model_dump(mode="json"), out, device="cpu")
    content = settings(start=str(out), prior_images=3, loss={"prior": 1.0})
    first, again = (registry.prepare("diffae", content, "test").task for _ in range(2))
    assert first.prior.shape == (3, 3, 64, 64)
    assert torch.equal(first.prior, again.prior)
    parts = losses(first)
    assert float(parts["prior"].detach()) > 0
    with pytest.raises(InputError, match=r"loss\.prior needs `start`"):
        task(prior=1.0)


def test_landmarks_of_a_small_face_are_those_of_the_large_one() -> None:
    model, finder = FaceModel(), FaceFinder()
    large = model.render(model.sample(1, seed=4), 128)[0]
    small = np.asarray(Image.fromarray(large).resize((64, 64), Image.Resampling.BOX))
    expected = (finder.find(large).landmarks + 0.5) / 2 - 0.5
    assert np.abs(landmarks_of(small, finder) - expected).max() < 1.5
    assert np.isnan(landmarks_of(np.zeros((64, 64, 3), np.uint8), finder)).all()


def test_people_with_one_image_are_refused_before_training(tmp_path: Path) -> None:
    for person, count in (("eve", 2), ("bob", 1), ("ann", 1)):
        for number in range(count):
            path = tmp_path / person / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(path)
    from facebench.training.data.folders import FolderFaces

    with pytest.raises(InputError, match=r"2 of 3 people have a single image \(ann/0\.png, bob/0\.png\)"):
        FacesWithPartners(FolderFaces(tmp_path, 64), partners=True)


def test_identity_terms_without_a_recogniser_are_refused() -> None:
    with pytest.raises(InputError, match=r"need loss\.recogniser"):
        task(triplet=0.1)


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of one person in a sub-folder, and one image that shows nobody."""
    folder, model = tmp_path_factory.mktemp("album"), FaceModel()
    (folder / "eve").mkdir()
    for number, image in enumerate(model.render(model.sample(4, seed=9, images=4), 128)):
        Image.fromarray(image).save(folder / "eve" / f"{number}.png")
    Image.fromarray(np.zeros((128, 128, 3), np.uint8)).save(folder / "eve" / "nobody.png")
    return folder


def run(content: dict[str, Any], out: Path, said: list[str] | None = None) -> Path:
    prepared = registry.prepare("diffae", content, "test")
    plain = prepared.settings.model_dump(mode="json")
    say = (lambda text: None) if said is None else said.append
    return fit(prepared.task, prepared.settings, plain, out, device="cpu", say=say)


def test_one_person_is_learnt_with_all_terms_that_need_nobody_else(
    album: Path, recogniser: Path, tmp_path: Path
) -> None:
    start = run(settings(steps=1), tmp_path / "start")
    loss = {"simple": 1.0, "prior": 1.0, "identity": 0.1, "shape": 0.05, "recogniser": str(recogniser)}
    others = {**DATA, "identities": 2, "images": 1}
    for number, person in enumerate((album, album / "eve")):
        content = settings(
            start=str(start), data={"kind": "folder", "path": str(person)}, loss=loss, prior_images=2, steps=2, batch=5,
            prior_data=others, lora={"rank": 2, "alpha": 2.0},
        )  # fmt: skip
        said: list[str] = []
        out = tmp_path / str(number)
        run(content, out, said)
        assert sum("FaceReader, which the loss of the shape looks through" in text for text in said) == 1
        lines = [line.split(",") for line in (out / "log.csv").read_text().splitlines()]
        names = {name for _, name, _ in lines}
        assert {"prior", "identity", "shape"} <= names
        assert [value for _, name, value in lines if name == "without_face"] == ["1", "1"]


def test_the_triplet_of_one_person_is_refused_with_what_to_do(album: Path, recogniser: Path) -> None:
    loss = {"triplet": 0.1, "recogniser": str(recogniser)}
    for person, reason in ((album, "holds one person only"), (album / "eve", "who is who")):
        with pytest.raises(InputError, match=rf"{reason}.* give loss\.identity a weight"):
            registry.prepare(
                "diffae", settings(data={"kind": "folder", "path": str(person)}, loss=loss), "test"
            )


def test_prior_faces_of_one_person_may_be_other_people(
    album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = run(settings(steps=1), tmp_path / "start")
    data = {"kind": "folder", "path": str(album)}
    content = settings(start=str(start), data=data, loss={"prior": 1.0}, prior_images=2)
    seen: list[torch.Tensor] = []
    encode = DiffAE.encode
    monkeypatch.setattr(DiffAE, "encode", lambda self, x: encode(self, seen.append(x) or x))
    registry.prepare("diffae", content, "test")
    registry.prepare("diffae", {**content, "prior_data": DATA}, "test")
    known = [SynthfaceFaces(64, 4, 3, seed=3, render=64).read(index).image for index in range(12)]
    people = [torch.from_numpy(image).permute(2, 0, 1).float() / 127.5 - 1 for image in known]
    is_other = [all(any(torch.equal(x, person) for person in people) for x in batch) for batch in seen]
    assert is_other == [False, True]


def test_a_recogniser_that_metrics_look_through_too_is_said(
    recogniser: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path))
    assert shared_network_warnings.warnings(recogniser) == ()
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "arcface_iresnet100.pth").write_bytes(recogniser.read_bytes())
    for given in (recogniser, recogniser.parent):
        (said,) = shared_network_warnings.warnings(given)
        assert "eer_arcface" in said
        assert "another network" in said
    assert "eer_arcface" in task(identity=1.0, recogniser=str(recogniser)).warnings[0]
    assert task(recogniser=str(recogniser)).warnings == ()
