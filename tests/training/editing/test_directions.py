"""Editing directions: every method recovers a known direction, and edits move along it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.covariance import ledoit_wolf

from facebench.core.errors import InputError, WeightsError
from facebench.training.editing import directions as files
from facebench.training.editing.directions import METHODS
from facebench.training.editing.fit_directions import Labels, fit, nuisance_subspace
from facebench.training.engine import model_file
from facebench.training.engine.model_file import ModelFile

PEOPLE, IMAGES, WIDTH = 60, 10, 16


def simulate(
    seed: int = 0, *, confounded: bool = False
) -> tuple[torch.Tensor, Labels, np.ndarray, np.ndarray]:
    """Simulate latents with a known smile direction and a known identity plane that is not orthogonal to it."""
    rng = np.random.default_rng(seed)
    smile = rng.normal(size=WIDTH)
    smile /= np.linalg.norm(smile)
    plane = np.linalg.qr(rng.normal(size=(WIDTH, 2)) + smile[:, None])[0].T
    person = np.repeat(np.arange(PEOPLE), IMAGES)
    positions = rng.normal(size=(PEOPLE, 2))
    # Confounded: the rate of smiles depends on the person.
    share = 1 / (1 + np.exp(-4 * positions[person, 0])) if confounded else 0.5
    smiling = rng.random(len(person)) < share
    latents = 0.3 * rng.normal(size=(len(person), WIDTH))
    latents += (0.5 if confounded else 2.0) * (positions @ plane)[person] + 0.5 * smiling[:, None] * smile
    affect = {"valence": smiling - 0.5, "arousal": rng.normal(size=len(person))}
    return (
        torch.tensor(latents, dtype=torch.float32),
        Labels({"happy": smiling}, affect, person),
        smile,
        plane,
    )


@pytest.mark.parametrize("method", METHODS)
def test_every_method_moves_latents_along_the_attribute(method: str) -> None:
    z_sem, labels, smile, _ = simulate()
    directions = fit(method, z_sem, labels, seed=0)
    attribute = "valence" if method == "ridge" else "happy"
    forward = directions.edit(z_sem, attribute, 0.3) - z_sem
    assert float((forward @ torch.tensor(smile, dtype=torch.float32)).min()) > 0
    backward = directions.edit(z_sem, attribute, -0.3) - z_sem
    assert float((backward @ torch.tensor(smile, dtype=torch.float32)).max()) < 0


@pytest.mark.parametrize("method", ["lda", "mlp"])
def test_strength_0_returns_the_latents_unchanged(method: str) -> None:
    z_sem, labels, _, _ = simulate()
    directions = fit(method, z_sem, labels, seed=0)
    # Normalisation and its inverse differ from the identity by rounding.
    assert not torch.equal(directions.statistics.denormalise(directions.statistics.normalise(z_sem)), z_sem)
    assert torch.equal(directions.edit(z_sem, "happy", 0.0), z_sem)


def test_the_length_of_an_edit_is_strength_times_root_d() -> None:
    z_sem, labels, _, _ = simulate()
    directions = fit("lda", z_sem, labels)
    before, after = (
        directions.statistics.normalise(z) for z in (z_sem, directions.edit(z_sem, "happy", 0.3))
    )
    assert torch.allclose((after - before).norm(dim=1), torch.tensor(0.3 * WIDTH**0.5), atol=1e-4)


def test_lda_is_the_inverse_within_class_covariance_times_the_difference_of_means() -> None:
    z_sem, labels, _, _ = simulate()
    z = ((z_sem - z_sem.mean(0)) / z_sem.std(0)).double().numpy()
    present = labels.classes["happy"]
    covariance = np.zeros((WIDTH, WIDTH))
    for group in (present, ~present):
        scale = z[group].std(axis=0)
        shrunken, _ = ledoit_wolf((z[group] - z[group].mean(0)) / scale)
        covariance += group.mean() * scale[:, None] * shrunken * scale
    expected = np.linalg.solve(covariance, z[present].mean(0) - z[~present].mean(0))
    weight = fit("lda", z_sem, labels).weight
    assert weight is not None
    np.testing.assert_allclose(weight[0].numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", ["logistic", "mlp"])
def test_avoiding_the_identity_reduces_its_drift(method: str) -> None:
    z_sem, labels, _, plane = simulate(confounded=True)
    std = z_sem.std(dim=0)
    identity = torch.linalg.qr((torch.tensor(plane, dtype=torch.float32) / std).T)[0]

    def drift(avoid: int) -> float:
        directions = fit(method, z_sem, labels, avoid=avoid, seed=0)
        moved = directions.edit(z_sem, "happy", 0.3) - z_sem
        return float(((moved / std) @ identity).norm(dim=1).mean())

    # The drift does not vanish: the mean latent of a person who smiles often contains part of the smile.
    assert drift(avoid=2) < 0.7 * drift(avoid=0)


def test_the_nuisance_subspace_is_orthonormal_and_spans_the_identity() -> None:
    z_sem, labels, _, plane = simulate()
    z = (z_sem - z_sem.mean(0)) / z_sem.std(0)
    rows = nuisance_subspace(z, labels, 2)
    assert torch.allclose(rows @ rows.T, torch.eye(2), atol=1e-5)
    identity = torch.linalg.qr((torch.tensor(plane, dtype=torch.float32) / z_sem.std(0)).T)[0]
    assert float(torch.linalg.svdvals(rows @ identity).min()) > 0.95


@pytest.mark.parametrize("method", ["logistic", "mlp"])
def test_directions_survive_writing_and_reading(method: str, tmp_path: Path) -> None:
    z_sem, labels, _, _ = simulate()
    directions = fit(method, z_sem, labels, avoid=1)
    files.write(tmp_path / "directions.safetensors", directions, {"faces": 600})
    read = files.read(tmp_path)
    assert torch.allclose(directions.edit(z_sem, "happy", 0.5), read.edit(z_sem, "happy", 0.5), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attributes": None}, "the directions are damaged"),
        ({"attributes": ["happy", "sad", "tired", "bored"]}, r"'weight' has shape \(3, 16\), not \(4, 16\)"),
        ({"hidden": 10**9}, "layers.0.weight"),
    ],
)
def test_a_damaged_file_is_refused(change: dict[str, object], message: str, tmp_path: Path) -> None:
    z_sem, labels, _, _ = simulate()
    path = tmp_path / "directions.safetensors"
    files.write(path, fit("lda", z_sem, labels), {})
    model = model_file.read(path, "directions")
    model_file.write(path, ModelFile("directions", model.tensors, model.architecture | change))
    with pytest.raises(WeightsError, match=message):
        files.read(path)


def test_labels_that_a_method_cannot_use_are_refused() -> None:
    z_sem, labels, _, _ = simulate()
    constant = Labels({"happy": np.ones(len(z_sem), bool)}, {})
    with pytest.raises(InputError, match="faces with and without it; all of 600 have it"):
        fit("logistic", z_sem, constant)
    with pytest.raises(InputError, match="needs the columns valence and arousal"):
        fit("ridge", z_sem, Labels(labels.classes, {}))
    with pytest.raises(InputError, match="avoid needs people"):
        fit("lda", z_sem, Labels(labels.classes, {}), avoid=2)
    with pytest.raises(InputError, match=r"'ldaa' is not a method\. Did you mean lda"):
        fit("ldaa", z_sem, labels)


def test_an_unknown_attribute_is_refused_with_the_known_ones() -> None:
    z_sem, labels, _, _ = simulate()
    with pytest.raises(
        InputError, match=r"The directions do not contain 'joy'\. Known: arousal, happy, valence"
    ):
        fit("lda", z_sem, labels).edit(z_sem, "joy", 0.3)


def test_the_mean_ignores_shared_noise_that_a_classifier_subtracts() -> None:
    rng = np.random.default_rng(0)
    smiling = np.repeat([False, True], 400)
    # The second coordinate is unrelated to the smile and shares the noise of the first.
    noise = rng.normal(size=800)
    latents = np.stack([smiling + noise, noise + 0.1 * rng.normal(size=800)], 1)
    z_sem, labels = torch.tensor(latents, dtype=torch.float32), Labels({"happy": smiling}, {})
    share = {}
    for method in ("mean", "lda"):
        weight = fit(method, z_sem, labels).weight
        assert weight is not None
        share[method] = float((weight[0] / weight[0].norm())[1].abs())
    assert share["mean"] < 0.2 < 0.5 < share["lda"]
