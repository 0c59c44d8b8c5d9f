"""The quality score falls as a face is damaged, and the same crop always gives the same score."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from facebench.backbones import Backbone, build
from facebench.backbones.face_detection import FaceFinder, crop
from facebench.backbones.sface_quality import perturbed, saturate
from facebench.images.image_set import Image, ImageSet, decode, read
from facebench.synthface import write
from facebench.synthface.degradations import ON_IMAGES


@pytest.fixture(scope="module")
def quality() -> Backbone:
    return build("sface-quality")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[Image]:
    folder = tmp_path_factory.mktemp("faces") / "set"
    write(folder, identities=4, images=1, size=128, seed=0)
    return [decode(read(item)) for item in ImageSet.open(folder).items]


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder()


def crops(images: list[Image], found_in: list[Image], finder: FaceFinder, quality: Backbone) -> Tensor:
    pairs = zip(images, found_in, strict=True)
    return torch.stack([quality.preprocess(crop("face112", image, finder.find(one))) for image, one in pairs])


def test_scores_are_between_0_and_1_and_reproducible(
    quality: Backbone, photographs: list[Image], finder: FaceFinder
) -> None:
    batch = crops(photographs, photographs, finder, quality)
    scores = quality.embed(batch)["quality"]
    assert scores.shape == (len(photographs),)
    assert scores.dtype == np.float32
    assert ((scores > 0.5) & (scores < 1)).all()
    np.testing.assert_array_equal(build("sface-quality").embed(batch)["quality"], scores)


def test_a_score_does_not_depend_on_the_batch(
    quality: Backbone, photographs: list[Image], finder: FaceFinder
) -> None:
    batch = crops(photographs, photographs, finder, quality)
    together = quality.embed(batch)["quality"]
    alone = np.concatenate([quality.embed(row[None])["quality"] for row in batch])
    np.testing.assert_allclose(alone, together, atol=1e-6)


@pytest.mark.parametrize("kind", ON_IMAGES)
def test_the_mean_score_falls_with_every_level_of_visible_damage(
    quality: Backbone, photographs: list[Image], finder: FaceFinder, kind: str
) -> None:
    means = []
    for strength in (0.0, 0.5, 1.0):
        damaged = [ON_IMAGES[kind](image, strength, seed) for seed, image in enumerate(photographs)]
        batch = crops(damaged, photographs, finder, quality)
        means.append(quality.embed(batch)["quality"].mean())
    assert (np.diff(means) < 0).all(), means
    # A dark face keeps its structure: its score falls by a tenth only.
    assert means[-1] < (0.95 if kind == "darkness" else 0.75) * means[0]


def test_images_without_a_face_score_low(quality: Backbone) -> None:
    noise = torch.from_numpy(np.random.default_rng(0).uniform(0, 255, (1, 3, 112, 112)).astype(np.float32))
    plain = torch.full((1, 3, 112, 112), 127.0)
    assert (quality.embed(torch.cat([noise, plain]))["quality"] < 0.4).all()


def test_the_copies_are_mirrored_rotated_covered_and_noisy() -> None:
    batch = 100 + 55 * torch.rand(2, 3, 112, 112, generator=torch.Generator().manual_seed(0))
    mirrored, _, covered, noisy = perturbed(batch)
    np.testing.assert_array_equal(mirrored[..., 0], batch[..., -1])
    smooth = torch.linspace(0, 255, 112)[None, None, :, None].expand(1, 3, 112, 112)
    slope = perturbed(smooth)[1][0, 0, 40:70, 40:70]
    angle = torch.atan2(slope.diff(dim=1).mean(), slope.diff(dim=0).mean())
    assert float(angle.abs().rad2deg()) == pytest.approx(6, abs=0.1)
    assert (covered[:, :, 10:46, 10:46] == 127.5).all()
    assert torch.equal(covered[:, :, 46:], batch[:, :, 46:])
    difference = noisy - batch
    torch.testing.assert_close(difference[0], difference[1], atol=1e-4, rtol=0)
    assert 9 < float(difference.std()) < 11
    loud = perturbed(batch * 2 - 100)[3]
    assert loud.min() >= 0
    assert loud.max() <= 255


def test_longer_embeddings_score_higher_between_0_and_1() -> None:
    scores = saturate(np.array([0.0, 1.0, 10.0, 14.0, 30.0]))
    assert scores[0] == 0
    assert scores[2] == pytest.approx(1 - np.exp(-1))
    assert (np.diff(scores) > 0).all()
    assert scores[-1] < 1
