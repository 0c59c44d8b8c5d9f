"""Margin heads: parity with the released losses, and what a margin does."""

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
def test_logits_loss_and_gradients_are_the_released_ones(golden, name):
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
def test_a_margin_lowers_the_right_logit_and_no_other(head):
    torch.manual_seed(0)
    embeddings, labels = torch.randn(6, 16), torch.arange(6) % 4
    with_margin, without = head(16, 4), head(16, 4, margin=0.0)
    without.load_state_dict(with_margin.state_dict())
    change = with_margin(embeddings, labels) - without(embeddings, labels)
    assert bool((change[torch.arange(6), labels] < -1).all())
    others = torch.ones(6, 4, dtype=torch.bool)
    others[torch.arange(6), labels] = False
    torch.testing.assert_close(change[others], torch.zeros(18), rtol=0, atol=1e-4)


def test_a_perfect_embedding_still_has_a_gradient():
    """The arc cosine has no slope at 1; a face exactly on another identity's prototype must not poison it."""
    head = ArcFace(4, 2)
    head.kernel.data = torch.eye(4)[:, :2].contiguous()
    embeddings = torch.tensor([[1.0, 0.0, 0.0, 0.0]], requires_grad=True)
    head.loss(embeddings, torch.tensor([1])).backward()
    assert bool(torch.isfinite(embeddings.grad).all())


def test_adaface_is_harder_on_faces_of_higher_quality():
    torch.manual_seed(1)
    head = AdaFace(16, 4)
    face = torch.randn(16)
    embeddings = torch.stack([face, 30 * face, 15 * face])
    logits = head(embeddings, torch.zeros(3, dtype=torch.int64))[:, 0].detach()
    plain = 64 * torch.nn.functional.cosine_similarity(face, head.kernel[:, 0].detach(), dim=0)
    assert float(logits[1]) < float(logits[2]) < float(plain)


def test_adaface_refuses_a_batch_of_one():
    with pytest.raises(InputError, match="two images"):
        AdaFace(4, 2)(torch.ones(1, 4), torch.tensor([0]))
