"""Linear editing of z_sem: parity with the official manipulation, and properties of a step along a direction."""

from __future__ import annotations

import pytest
import torch

from facebench.core.errors import InputError, WeightsError
from facebench.training.editing.linear import (
    CELEBA,
    AttributeClassifier,
    LatentStatistics,
    attribute_loss,
    load_official_classifier,
    manipulate,
)


@pytest.fixture(scope="module")
def record(golden):
    return golden("diffae_manipulate")


@pytest.fixture(scope="module")
def statistics(record):
    return LatentStatistics.of(record["conds"])


def test_statistics_and_normalisation_equal_the_official_ones(record, statistics):
    record.check("conds_mean", statistics.mean)
    record.check("conds_std", statistics.std)
    normalised = statistics.normalise(record["cond"])
    record.check("cond_normalised", normalised)
    torch.testing.assert_close(statistics.denormalise(normalised), record["cond"])


def test_manipulation_loss_and_gradients_equal_the_official_ones(record, statistics):
    classifier, _ = load_official_classifier(record.state())
    attribute = CELEBA[int(record["class_id"])]
    for index, strength in enumerate(record["scales"].tolist()):
        edited = manipulate(record["cond"], classifier.direction(attribute), strength, statistics)
        record.check("cond_manipulated", edited, index)
    logits = classifier(statistics.normalise(record["cond"]))
    record.check("logits", logits)
    loss = attribute_loss(logits, record["labels"])
    record.check("loss", loss)
    loss.backward()
    record.check("loss_grad_weight_row", classifier.linear.weight.grad[int(record["class_id"])])
    record.check("loss_grad_bias", classifier.linear.bias.grad)


def test_attributes_have_the_order_of_celeba(record):
    assert list(CELEBA) == record.manifest["train_config"]["attribute_order"]


def test_the_official_checkpoint_contains_the_statistics(record):
    state = record.state()
    _, statistics = load_official_classifier({"state_dict": state})
    assert torch.equal(statistics.std, state["conds_std"][0])


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("classifier.bias", None, r"lack 'classifier\.bias'"),
        ("unknown", torch.zeros(1), "hold 'unknown'"),
        ("classifier.weight", torch.zeros(2, 512), r"'classifier\.weight' has shape \(2, 512\)"),
    ],
)
def test_another_checkpoint_is_refused_with_the_key_that_differs(record, key, value, message):
    state = {**record.state(), key: value}
    with pytest.raises(WeightsError, match=message):
        load_official_classifier({name: entry for name, entry in state.items() if entry is not None})


def test_a_step_raises_the_logit_and_the_opposite_step_undoes_it(statistics, record):
    classifier = AttributeClassifier(512, ["a", "b"])
    z_sem = record["cond"]
    edited = manipulate(z_sem, classifier.direction("b"), 0.3, statistics)
    before, after = (classifier(statistics.normalise(z))[:, 1] for z in (z_sem, edited))
    assert bool((after > before).all())
    back = manipulate(edited, classifier.direction("b"), -0.3, statistics)
    torch.testing.assert_close(back, z_sem, rtol=0, atol=1e-5)


def test_strength_0_returns_the_latents_unchanged(statistics, record):
    # Normalisation and its inverse differ from the identity by rounding.
    assert not torch.equal(statistics.denormalise(statistics.normalise(record["cond"])), record["cond"])
    assert torch.equal(manipulate(record["cond"], torch.ones(512), 0.0, statistics), record["cond"])


def test_the_length_of_a_direction_has_no_effect(statistics, record):
    direction = torch.randn(512, generator=torch.Generator().manual_seed(0))
    short, long = (manipulate(record["cond"], scale * direction, 0.5, statistics) for scale in (1.0, 40.0))
    torch.testing.assert_close(short, long)


def test_invalid_latents_directions_and_attributes_are_refused(statistics, record):
    with pytest.raises(InputError, match="two codes"):
        LatentStatistics.of(torch.zeros(1, 4))
    with pytest.raises(InputError, match="Coordinate 2"):
        LatentStatistics.of(torch.tensor([[0.0, 1.0, 5.0], [1.0, 0.0, 5.0]]))
    with pytest.raises(InputError, match="512"):
        manipulate(record["cond"], torch.zeros(512), 1.0, statistics)
    with pytest.raises(InputError, match=r"no attribute 'Sad'\. Known: Smiling"):
        AttributeClassifier(4, ["Smiling"]).direction("Sad")
