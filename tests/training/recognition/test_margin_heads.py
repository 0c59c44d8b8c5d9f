"""Margin heads: parity with the released losses, and the effect of the margin."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from facebench.core.errors import InputError
from facebench.training.recognition.margin_heads import AdaFace, ArcFace, CosFace

HEADS = {
    "cosface_s64_m035": lambda d, n: CosFace(d, n, margin=0.35),
    "cosface_s64_m040": lambda d, n: CosFace(d, n, margin=0.4),
    "arcface_s64_m050": lambda d, n: ArcFace(d, n, margin=0.5),
    "adaface_as_trained": lambda d, n: AdaFace(d, n, norms="unit"),
    "adaface_raw_norms": lambda d, n: AdaFace(d, n, norms="raw"),
}


@pytest.mark.parametrize("name", HEADS)
def test_logits_loss_and_gradients_equal_the_released_ones(golden, name):
    record = golden("recognition_utility")
    head = HEADS[name](*record["loss.kernel"].shape)
    head.load_state_dict({"kernel": record["loss.kernel"]})
    embeddings = record["loss.embeddings"].clone().requires_grad_()
    labels = record["loss.labels"]
    logits = head(embeddings, labels).detach().numpy()
    np.testing.assert_allclose(logits, record.arrays[f"loss.{name}.logits"], rtol=1e-5, atol=1e-5)
    loss = head.loss(embeddings, labels)
    assert float(loss.detach()) == pytest.approx(record.manifest["values"][f"loss.{name}"], rel=1e-5)
    loss.backward()
    for key, gradient in (("embeddings", embeddings.grad), ("kernel", head.kernel.grad)):
        expected = record.arrays[f"loss.{name}.grad_{key}"]
        np.testing.assert_allclose(gradient.numpy(), expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("head", [CosFace, ArcFace, AdaFace])
def test_the_margin_lowers_the_logit_of_the_label_only(head):
    torch.manual_seed(0)
    embeddings, labels = torch.randn(6, 16), torch.arange(6) % 4
    with_margin, without = head(16, 4), head(16, 4, margin=0.0)
    without.load_state_dict(with_margin.state_dict())
    change = with_margin(embeddings, labels) - without(embeddings, labels)
    assert bool((change[torch.arange(6), labels] < -1).all())
    other_logits = torch.ones(6, 4, dtype=torch.bool)
    other_logits[torch.arange(6), labels] = False
    torch.testing.assert_close(change[other_logits], torch.zeros(18), rtol=0, atol=1e-4)


def test_the_gradient_is_finite_at_a_cosine_of_1():
    """The slope of arccos at 1 is infinite. An embedding on the prototype of another identity must not reach it."""
    head = ArcFace(4, 2)
    head.kernel.data = torch.eye(4)[:, :2].contiguous()
    embeddings = torch.tensor([[1.0, 0.0, 0.0, 0.0]], requires_grad=True)
    head.loss(embeddings, torch.tensor([1])).backward()
    assert bool(torch.isfinite(embeddings.grad).all())


def test_adaface_has_a_larger_margin_for_larger_norms():
    torch.manual_seed(1)
    head = AdaFace(16, 4)
    face = torch.randn(16)
    embeddings = torch.stack([face, 30 * face, 15 * face])
    logits = head(embeddings, torch.zeros(3, dtype=torch.int64))[:, 0].detach()
    without_margin = 64 * torch.nn.functional.cosine_similarity(face, head.kernel[:, 0].detach(), dim=0)
    assert float(logits[1]) < float(logits[2]) < float(without_margin)


def test_adaface_refuses_a_batch_of_one():
    with pytest.raises(InputError, match="two images"):
        AdaFace(4, 2)(torch.ones(1, 4), torch.tensor([0]))
