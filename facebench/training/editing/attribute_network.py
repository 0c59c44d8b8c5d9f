"""Training of the attribute network, whose gradient the method "mlp" follows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from facebench.training.editing.directions import AttributeMLP

HIDDEN = 256
BATCH = 128
PATIENCE = 10
"""Epochs without improvement after which training stops."""

_IMPROVEMENT = 1e-4
_Loss = Callable[[Tensor], Tensor]


def train_network(
    z: Tensor, targets: Mapping[str, NDArray[Any]], classes: Collection[str], seed: int
) -> AttributeMLP:
    """Train one score per attribute, with early stopping on a held-out tenth of the faces.

        loss = mean cross-entropy(score, y) over classes + mean (score − y)² over valence and arousal

    Args:
        z: (n, d) normalised latents.
        targets: (n,) labels by attribute.
        classes: names of the attributes that are classes.
        seed: seed of initial weights, split and batches.

    Returns:
        The network with the lowest held-out loss, in evaluation mode and without gradients.
    """
    torch.manual_seed(seed)
    network = AttributeMLP(z.shape[1], HIDDEN, len(targets))
    truth = torch.as_tensor(
        np.stack([np.asarray(t, np.float64) for t in targets.values()], 1), dtype=torch.float32
    )
    is_class = torch.tensor([name in classes for name in targets])
    shuffled = torch.randperm(len(z))
    held_out = max(1, len(z) // 10)

    def loss(rows: Tensor) -> Tensor:
        return _loss(network(z[rows]), truth[rows], is_class)

    _train(network, loss, shuffled[held_out:], shuffled[:held_out])
    return network.eval().requires_grad_(False)


def _loss(scores: Tensor, truth: Tensor, is_class: Tensor) -> Tensor:
    parts = []
    if is_class.any():
        parts.append(functional.binary_cross_entropy_with_logits(scores[:, is_class], truth[:, is_class]))
    if (~is_class).any():
        parts.append(functional.mse_loss(scores[:, ~is_class], truth[:, ~is_class]))
    return torch.stack(parts).sum()


def _train(network: AttributeMLP, loss: _Loss, training: Tensor, held_out: Tensor) -> None:
    """Run AdamW until the held-out loss stops improving; restore the best weights."""
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=0.05)
    best, best_state, epochs_since_best = float("inf"), network.state_dict(), 0
    while epochs_since_best < PATIENCE:
        network.train()
        for rows in torch.split(training[torch.randperm(len(training))], BATCH):
            optimizer.zero_grad(set_to_none=True)
            loss(rows).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        network.eval()
        with torch.no_grad():
            current = float(loss(held_out))
        epochs_since_best += 1
        if current < best - _IMPROVEMENT:
            best, epochs_since_best = current, 0
            best_state = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(best_state)
