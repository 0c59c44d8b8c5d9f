"""Formulas of the losses: parity with the ID-Booth script, and the directions of their gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from facebench.training import losses
from facebench.training.diffusion import q_sample, x_0_from_eps
from facebench.training.diffusion.schedule import Schedule
from facebench.training.losses.differentiable_crop import box_crop
from facebench.training.losses.id_booth import IdentityTerm, NoisePrediction, step_loss


@pytest.fixture(scope="module")
def record(golden):
    return golden("losses_identity")


@pytest.mark.parametrize(("key", "others"), [("l_id", ["positive"]), ("l_tid", ["positive", "negative"])])
def test_identity_losses_and_their_gradients_match_the_official_ones(record, key, others):
    loss = losses.identity if key == "l_id" else losses.triplet_identity
    anchor = record["anchor"].clone().requires_grad_()
    rows = loss(anchor, *(record[name] for name in others), reduction="none")
    record.check(key, rows)
    rows.sum().backward()
    record.check(f"{key}_grad_anchor", anchor.grad)
    torch.testing.assert_close(loss(anchor, *(record[name] for name in others)), rows.mean())


def test_the_triplet_loss_uses_distances_and_not_similarities(record):
    rows = losses.triplet_identity(record["anchor"], record["positive"], record["negative"], reduction="none")
    assert not np.allclose(rows.numpy(), record.arrays["not_l_tid"], atol=0.1)


def test_prior_preservation_matches_the_official_sum(record):
    prediction, target = record["eps_pred"], record["eps_target"]
    for index, weight in enumerate(record["prior_weights"].tolist()):
        record.check("loss_with_prior", losses.prior_preservation(prediction, target, weight), index)
        record.check("instance_loss", losses.simple(prediction[:2], target[:2]), index)
        record.check("prior_loss", losses.simple(prediction[2:], target[2:]), index)
    pairs = losses.prior_preservation(prediction, target, reduction="none")
    assert pairs.shape == (2,)
    torch.testing.assert_close(pairs.mean(), losses.prior_preservation(prediction, target))


def test_schedule_noise_and_x_0_of_stable_diffusion_match_the_official_ones(record):
    schedule = Schedule.scaled_linear()
    record.check("alphas_cumprod", schedule.alphas_cumprod)
    x_t, t, eps = record["x_t"], record["t"], record["eps_pred"]
    record.check("x0_hat", x_0_from_eps(x_t, t, eps, schedule))
    record.check("noisy", q_sample(x_t, t, eps, schedule))
    record.check("timestep_weight", losses.timestep_weight(t))


@pytest.mark.parametrize("size", ["small", "large"])
def test_the_box_crop_matches_the_official_input_of_the_recogniser(record, size):
    pixels = record[f"crop_{size}"]
    height, width, _ = pixels.shape
    image = pixels.permute(2, 0, 1) / 127.5 - 1
    record.check(f"arcface_{size}", box_crop(image, [0, 0, width, height]))


def test_id_booth_steps_match_the_official_losses_and_gradients(golden):
    record = golden("losses_idbooth_step")
    latents, noise, boxes = record["latents"], record["noise"], record["boxes"]

    def decode(latent):
        return 0.05 * functional.interpolate(latent[:, :3] / 0.18215, scale_factor=8, mode="nearest")

    def recognise(face):
        return functional.adaptive_avg_pool2d(face, 8).flatten(1) @ record["embedder"].T

    kinds = {"none": "none", "identity": "identity", "triplet_prior": "triplet"}
    for index, case in enumerate(record.manifest["cases"]):
        term = IdentityTerm(
            kinds[case["loss"]],
            decode,
            (lambda image: box_crop(image, boxes[0])) if case["face_found"] else (lambda image: None),
            recognise,
            case["timestep_weighting"],
        )
        prediction = (noise + record["eps_error"]).requires_grad_()
        t = torch.tensor(case["timesteps"])
        loss = step_loss(NoisePrediction(latents, noise, prediction, t), term, record["embeddings"])
        loss.total.backward()
        record.check("loss", loss.total, index)
        record.check("grad_eps_pred", prediction.grad, index)
        assert loss.without_face == int(case["loss"] != "none" and not case["face_found"])
    for index, t in enumerate(record["timesteps"]):
        schedule = Schedule.scaled_linear()
        x_t = q_sample(latents[:1], t[:1], noise[:1], schedule)
        x_0 = x_0_from_eps(x_t, t[:1], (noise + record["eps_error"])[:1], schedule)
        record.check("x0_hat", x_0[0], index)


def test_images_without_a_face_do_not_affect_other_images():
    generator = torch.Generator().manual_seed(0)
    latents, noise = (torch.randn(4, 3, 8, 8, generator=generator) for _ in range(2))
    embeddings = torch.randn(4, 192, generator=generator)
    t = torch.tensor([5, 5, 300, 700])
    cropped = []

    def crop(image):
        cropped.append(image)
        return None if len(cropped) == 2 else image[None]

    term = IdentityTerm("identity", lambda latent: latent, crop, lambda face: face.flatten(1))
    prediction = noise.clone().requires_grad_()
    loss = step_loss(NoisePrediction(latents, noise, prediction, t), term, embeddings)
    loss.total.backward()
    assert loss.without_face == 1
    assert not loss.reconstruction.any()
    assert bool(prediction.grad[0].any())
    assert not prediction.grad[1:].any()


@pytest.fixture
def people():
    generator = torch.Generator().manual_seed(3)
    return torch.randn(8, 32, generator=generator), torch.randn(8, 32, generator=generator)


def test_the_gradient_of_the_triplet_loss_moves_towards_the_person_and_away_from_the_other(people):
    person, other = people
    anchor = torch.zeros(8, 32).add(person + other).requires_grad_()
    losses.triplet_identity(anchor, person, other).backward()
    moved = anchor.detach() - anchor.grad
    cos = functional.cosine_similarity
    assert bool((cos(moved, person) > cos(anchor, person)).all())
    assert bool((cos(moved, other) < cos(anchor, other)).all())


def test_the_gradient_of_the_identity_loss_moves_towards_the_person(people):
    person, anchor = people[0], people[1].clone().requires_grad_()
    losses.identity(anchor, person).backward()
    cos = functional.cosine_similarity
    assert bool((cos(anchor.detach() - anchor.grad, person) > cos(anchor, person)).all())


def test_identity_losses_do_not_depend_on_the_norm_of_embeddings(people):
    person, other = people
    torch.testing.assert_close(losses.identity(5 * other, person), losses.identity(other, 0.1 * person))


def test_losses_of_the_same_person_and_of_satisfied_triplets_are_zero(people):
    person = people[0]
    assert float(losses.identity(person, person)) == pytest.approx(0, abs=1e-6)
    assert float(losses.triplet_identity(person, person, -person)) == 0.0
    assert float(losses.triplet_identity(person, -person, person)) == pytest.approx(3.0)
    assert float(losses.triplet_identity(person, -person, person, margin=0.5)) == pytest.approx(2.5)


def test_the_shape_loss_is_quadratic_and_zero_for_equal_shapes(people):
    beta = people[0]
    rows = [losses.shape(beta + step, beta, reduction="none") for step in (0.0, 0.1, 0.2)]
    assert not rows[0].any()
    torch.testing.assert_close(rows[2], 4 * rows[1])


def test_the_timestep_weight_decreases_from_one():
    weight = losses.timestep_weight(torch.arange(1000))
    assert float(weight[0]) == 1.0
    assert bool((weight[1:] < weight[:-1]).all())
    assert float(weight[-1]) == pytest.approx(1e-6, rel=1e-4)
