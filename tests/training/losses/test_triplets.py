"""The triplet loss: sources of positives and negatives, with and without identity labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from facebench.core.errors import InputError
from facebench.synthface import FaceModel
from facebench.training import losses, presets
from facebench.training.data.pairs import FacesWithPartners
from facebench.training.data.synthetic import Population, SynthfaceFaces
from facebench.training.engine.rng import StepRng
from facebench.training.losses.differentiable_crop import aligned_crop
from facebench.training.losses.frozen_networks import FrozenNetworks
from facebench.training.losses.identity_losses import LossInputs, face_losses
from facebench.training.losses.loss_weights import LossWeights, TripletLoss
from facebench.training.losses.triplets import Embeddings, of_other_identity, other_people
from facebench.training.tasks import prior_faces
from facebench.training.tasks.face_batches import fixed_faces
from tests.helpers import tiny_training

SYNTHFACE = {
    "kind": "synthface",
    "identities": 4,
    "images": 2,
    "seed": 3,
    "render": 64,
    "cache_renders": True,
}
SELF_PRIOR = {"weight": 0.5, "positive": "self", "negative": "prior"}


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five faces in one folder, without identities."""
    folder, model = tmp_path_factory.mktemp("unlabelled"), FaceModel()
    for number, image in enumerate(model.render(model.sample(5, seed=2), 128)):
        Image.fromarray(image).save(folder / f"{number}.png")
    return folder


def pixels(crops: torch.Tensor) -> torch.Tensor:
    """A simple embedder: averaged pixels."""
    return torch.nn.functional.adaptive_avg_pool2d(crops, 8).flatten(1)


def task(recogniser: Path, data: dict[str, Any], triplet: dict[str, Any], **changes: Any) -> Any:
    """A task that fine-tunes the shipped autoencoder with the triplet loss alone."""
    loss = {"simple": 0, "triplet": triplet, "recogniser": str(recogniser)}
    content = presets.read("diffae-64-personal")
    content |= {"data": data, "prior_data": None, "prior_images": 3, "loss": loss, "lora": None, **changes}
    return tiny_training.prepare("compact-autoencoder", **content).task


def test_the_form_of_the_slides_equals_the_formula() -> None:
    batch = fixed_faces(FacesWithPartners(SynthfaceFaces(64, Population(3, 1, seed=3)), partners=False), 3)
    x_0_hat = batch.x_0 + 0.2 * torch.randn(batch.x_0.shape, generator=torch.Generator().manual_seed(0))
    t, landmarks = torch.tensor([0, 500, 900]), batch.fields["landmarks"]
    prior = Embeddings(
        torch.randn(3, 192, generator=torch.Generator().manual_seed(1)), torch.tensor([True, True, False])
    )
    inputs = LossInputs(batch.x_0, x_0_hat, t, landmarks, batch.fields["box"], prior=prior)
    weights = LossWeights(triplet=TripletLoss(weight=0.5, positive="self", negative="prior"), margin=1.5)
    actual = face_losses(weights, FrozenNetworks(pixels, None), inputs)["triplet"]
    anchor, clean = (
        pixels(aligned_crop(images.clamp(-1, 1), landmarks.numpy())) for images in (x_0_hat, batch.x_0)
    )
    cosine = torch.nn.functional.cosine_similarity
    rows = ((1 - cosine(anchor, clean)) - (1 - cosine(anchor, prior.vectors)) + 1.5).clamp(min=0)
    expected = 0.5 * (losses.timestep_weight(t) * rows)[:2].sum() / 3  # the last prior face shows no face
    torch.testing.assert_close(actual, expected)


def test_distances_pull_and_similarities_would_push() -> None:
    """The formula with similarities in place of distances moves the anchor away from the positive."""
    anchor = torch.tensor([[1.0, 1.0]], requires_grad=True)
    positive, negative = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    cosine = torch.nn.functional.cosine_similarity
    wrong = (cosine(anchor, positive) - cosine(anchor, negative) + 1).clamp(min=0).sum()
    (step,) = torch.autograd.grad(wrong, anchor)
    assert (cosine(anchor - 0.1 * step, positive) < cosine(anchor, positive)).all()
    (step,) = torch.autograd.grad(losses.triplet_identity(anchor, positive, negative), anchor)
    assert (cosine(anchor - 0.1 * step, positive) > cosine(anchor, positive)).all()


def test_negatives_are_other_people() -> None:
    faces = Embeddings(torch.arange(4.0)[:, None], torch.tensor([True, True, False, True]))
    negatives = other_people(faces, torch.tensor([0, 0, 1, 1]))
    assert negatives.vectors.flatten().tolist() == [3, 3, 0, 0]
    assert other_people(faces, torch.zeros(4)).known.tolist() == [False] * 4
    kept = of_other_identity(faces, torch.tensor([0, 1, 2, 3]), torch.tensor([0, 2, 2, 0]))
    assert kept.known.tolist() == [False, True, False, True]


def test_unlabelled_folders_train_with_self_and_prior(unlabelled: Path, untrained_recogniser: Path) -> None:
    trained = task(untrained_recogniser, {"kind": "folder", "path": str(unlabelled)}, SELF_PRIOR)
    batch = fixed_faces(trained.faces, 4)
    parts = trained.losses(trained.network.train(), batch, StepRng(0, 0, 4, torch.arange(4)))
    assert float(parts["triplet"].detach()) > 0
    assert "prior" not in parts
    parts["loss"].backward()
    assert all(float(weight.grad.abs().sum()) > 0 for weight in trained.network.unet.out_conv.parameters())
    assert any("give prior_data of other people" in text for text in trained.warnings)


def test_prior_faces_without_a_face_are_refused(
    unlabelled: Path, untrained_recogniser: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = np.full((5, 2), np.nan, np.float32), np.full(4, np.nan, np.float32)
    monkeypatch.setattr(prior_faces, "geometry_of", lambda image, finder: nothing)
    with pytest.raises(InputError, match=r"None of the 3 faces .* shows a face"):
        task(untrained_recogniser, {"kind": "folder", "path": str(unlabelled)}, SELF_PRIOR)


def test_negatives_from_the_prior_need_init_from_and_other_people(untrained_recogniser: Path) -> None:
    with pytest.raises(InputError, match=r"negative=prior needs `init_from`"):
        task(untrained_recogniser, SYNTHFACE, SELF_PRIOR, init_from=None)
    with pytest.raises(InputError, match="codes of one person"):
        task(untrained_recogniser, {**SYNTHFACE, "identities": 1}, SELF_PRIOR)


def test_other_people_need_labels(unlabelled: Path, untrained_recogniser: Path) -> None:
    data = {"kind": "folder", "path": str(unlabelled)}
    for form in ({"positive": "other", "negative": "prior"}, {"positive": "self", "negative": "other"}):
        with pytest.raises(
            InputError, match=r"needs identities.*positive=self and loss\.triplet\.negative=prior"
        ):
            task(untrained_recogniser, data, {"weight": 1.0, **form})
