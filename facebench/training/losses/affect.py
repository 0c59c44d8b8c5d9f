"""Losses of affect networks.

    combined = CE_w(expression) + 5 · MSE(valence, arousal)                              (CAGE, combined)
    va       = 3 · MSE_V + 3 · MSE_A + (1 - CCC_V) + (1 - CCC_A)                         (CAGE, valence and arousal)
    ccc      = CE_w(expression) + (1 - CCC_V) / 2 + (1 - CCC_A) / 2                      (HSEmotion)

CAGE's released script subtracts the CCC without the constant 1, which changes no gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

EPSILON = 1e-8
"""Added to the denominator of the concordance; batches of one label would divide by zero."""


def concordance(prediction: Tensor, label: Tensor) -> Tensor:
    """Lin's concordance correlation of (n,) values over a batch, population moments; a scalar in [-1, 1].

    Example:
        >>> float(concordance(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 1.0])).round(decimals=4))
        1.0
    """
    x, y = prediction - prediction.mean(), label - label.mean()
    bias = prediction.mean() - label.mean()
    return 2 * (x * y).mean() / (x.square().mean() + y.square().mean() + bias.square() + EPSILON)


def class_weights(expression: Tensor, classes: int) -> Tensor:
    """Weights (classes,) proportional to 1 / number of images, with sum 1; absent classes weigh 0.

    Labels of -1 are left out. This gives CAGE's published weights on AffectNet.
    """
    counts = torch.bincount(expression[expression >= 0], minlength=classes).double()
    weights = torch.where(counts > 0, 1 / counts.clamp(min=1), 0.0)
    return (weights / weights.sum()).float()


def affect_losses(
    kind: str, outputs: dict[str, Tensor], labels: dict[str, Tensor], weights: Tensor
) -> dict[str, Tensor]:
    """Compute the loss of a batch and its parts.

    Args:
        kind: "combined", "va" or "ccc".
        outputs: `valence`, `arousal` (n,), and `expression` logits (n, classes) unless the kind is "va".
        labels: the same names; expression (n,) with -1 where unknown, valence and arousal with NaN where unknown.
        weights: (classes,) of the expressions.

    Returns:
        `loss`, which is minimised, and its parts.
    """
    known = torch.isfinite(labels["valence"]) & torch.isfinite(labels["arousal"])
    parts: dict[str, Tensor] = {}
    if kind != "va":
        parts["expression"] = functional.cross_entropy(
            outputs["expression"], labels["expression"], weight=weights, ignore_index=-1
        )
        parts["expression"] = torch.nan_to_num(parts["expression"])  # a batch without labelled expressions
    for name in ("valence", "arousal"):
        prediction, label = outputs[name][known], labels[name][known].float()
        parts[f"{name}_mse"] = (
            functional.mse_loss(prediction, label) if len(label) else outputs[name].sum() * 0
        )
        parts[f"{name}_ccc"] = 1 - concordance(prediction, label) if len(label) else outputs[name].sum() * 0
    return {"loss": _total(kind, parts), **parts}


def _total(kind: str, parts: dict[str, Tensor]) -> Tensor:
    mse, ccc = (parts[f"valence_{name}"] + parts[f"arousal_{name}"] for name in ("mse", "ccc"))
    if kind == "va":
        return 3 * mse + ccc
    return parts["expression"] + (5 * mse / 2 if kind == "combined" else ccc / 2)
