"""Directions are found where they are known to lie, and edits move along them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from facebench.core.errors import InputError
from facebench.training.editing import directions as files
from facebench.training.editing.directions import METHODS
from facebench.training.editing.fit_directions import Labels, fit, nuisance_subspace

PEOPLE, IMAGES, WIDTH = 60, 10, 16


def world(seed: int = 0, *, confounded: bool = False) -> tuple[torch.Tensor, Labels, np.ndarray, np.ndarray]:
    """Codes in which a known direction makes a smile and a known plane makes the person, not at right angles."""
    rng = np.random.default_rng(seed)
    smile = rng.normal(size=WIDTH)
    smile /= np.linalg.norm(smile)
    plane = np.linalg.qr(rng.normal(size=(WIDTH, 2)) + smile[:, None])[0].T
    person = np.repeat(np.arange(PEOPLE), IMAGES)
    places = rng.normal(size=(PEOPLE, 2))
    # Confounded: some people smile much more than others, so that who it is says something about the smile.
    share = 1 / (1 + np.exp(-4 * places[person, 0])) if confounded else 0.5
    smiling = rng.random(len(person)) < share
    codes = 0.3 * rng.normal(size=(len(person), WIDTH))
    codes += (0.5 if confounded else 2.0) * (places @ plane)[person] + 0.5 * smiling[:, None] * smile
    affect = {"valence": smiling - 0.5, "arousal": rng.normal(size=len(person))}
    return torch.tensor(codes, dtype=torch.float32), Labels({"happy": smiling}, affect, person), smile, plane


@pytest.mark.parametrize("method", METHODS)
def test_an_edit_adds_the_attribute_whatever_the_method(method: str) -> None:
    z_sem, labels, smile, _ = world()
    found = fit(method, z_sem, labels, seed=0)
    attribute = "valence" if method == "ridge" else "happy"
    moved = found.edit(z_sem, attribute, 0.3) - z_sem
    assert float((moved @ torch.tensor(smile, dtype=torch.float32)).min()) > 0
    back = found.edit(z_sem, attribute, -0.3) - z_sem
    assert float((back @ torch.tensor(smile, dtype=torch.float32)).max()) < 0


def test_the_length_of_an_edit_is_its_strength_in_typical_codes() -> None:
    z_sem, labels, _, _ = world()
    found = fit("lda", z_sem, labels)
    before, after = (found.statistics.normalise(z) for z in (z_sem, found.edit(z_sem, "happy", 0.3)))
    assert torch.allclose((after - before).norm(dim=1), torch.tensor(0.3 * WIDTH**0.5), atol=1e-4)


@pytest.mark.parametrize("method", ["logistic", "mlp"])
def test_an_edit_that_avoids_the_person_leaves_the_person(method: str) -> None:
    z_sem, labels, _, plane = world(confounded=True)
    std = z_sem.std(dim=0)
    along = torch.tensor(plane, dtype=torch.float32)

    def drift(avoid: int) -> float:
        found = fit(method, z_sem, labels, avoid=avoid, seed=0)
        moved = found.edit(z_sem, "happy", 0.3) - z_sem
        # In the normalised space, where people are avoided.
        return float(((moved / std) @ torch.linalg.qr((along / std).T)[0]).norm(dim=1).mean())

    # Not zero: people who smile more have smiles in their mean code.
    assert drift(avoid=2) < 0.7 * drift(avoid=0)


def test_the_avoided_directions_are_orthonormal_and_those_of_the_people() -> None:
    z_sem, labels, _, plane = world()
    z = (z_sem - z_sem.mean(0)) / z_sem.std(0)
    rows = nuisance_subspace(z, labels, 2)
    assert torch.allclose(rows @ rows.T, torch.eye(2), atol=1e-5)
    true = torch.linalg.qr((torch.tensor(plane, dtype=torch.float32) / z_sem.std(0)).T)[0]
    assert float(torch.linalg.svdvals(rows @ true).min()) > 0.95


@pytest.mark.parametrize("method", ["logistic", "mlp"])
def test_directions_come_back_from_their_file(method: str, tmp_path: Path) -> None:
    z_sem, labels, _, _ = world()
    found = fit(method, z_sem, labels, avoid=1)
    files.write(tmp_path / "directions.safetensors", found, {"faces": 600})
    again = files.read(tmp_path)
    assert torch.allclose(found.edit(z_sem, "happy", 0.5), again.edit(z_sem, "happy", 0.5), atol=1e-6)


def test_a_class_that_everybody_has_is_refused() -> None:
    z_sem, labels, _, _ = world()
    everybody = Labels({"happy": np.ones(len(z_sem), bool)}, {})
    with pytest.raises(InputError, match="faces with and without it; all of 600 have it"):
        fit("logistic", z_sem, everybody)
    with pytest.raises(InputError, match="needs the columns valence and arousal"):
        fit("ridge", z_sem, Labels(labels.classes, {}))
    with pytest.raises(InputError, match="avoid needs people"):
        fit("lda", z_sem, Labels(labels.classes, {}), avoid=2)


def test_an_unknown_attribute_is_told_which_there_are() -> None:
    z_sem, labels, _, _ = world()
    with pytest.raises(InputError, match="no direction for 'joy', but for: happy"):
        fit("lda", z_sem, labels).edit(z_sem, "joy", 0.3)


def test_the_mean_goes_where_codes_go_and_a_filter_only_tells_them_apart() -> None:
    rng = np.random.default_rng(0)
    smiling = np.repeat([False, True], 400)
    # The second number says nothing of the smile and shares the noise of the first: a filter subtracts it.
    noise = rng.normal(size=800)
    codes = np.stack([smiling + noise, noise + 0.1 * rng.normal(size=800)], 1)
    ways = {
        method: fit(method, torch.tensor(codes, dtype=torch.float32), Labels({"happy": smiling}, {})).weight[
            0
        ]
        for method in ("mean", "lda")
    }
    sideways = {method: float((way / way.norm())[1].abs()) for method, way in ways.items()}
    assert sideways["mean"] < 0.2 < 0.5 < sideways["lda"]
