"""Finds directions in z_sem from codes and labels, by seven methods behind one interface."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from facebench.core.errors import InputError
from facebench.training.editing.directions import METHODS, AttributeMLP, Directions
from facebench.training.editing.linear import AttributeClassifier, LatentStatistics, attribute_loss

Floats = NDArray[np.float64]

OFFICIAL_SAMPLES, OFFICIAL_BATCH, OFFICIAL_RATE = 300_000, 32, 1e-3
"""Of the official CelebA-HQ classifier: samples seen, batch, Adam's learning rate."""
HIDDEN = 256
FOLDS = 5
PENALTIES = np.logspace(-4, 2, 13)
"""Strengths of regularisation that cross-validation chooses from."""


@dataclass(frozen=True)
class Labels:
    """What is known of n faces.

    Attributes:
        classes: attribute name to (n,) booleans, such as happy or not.
        affect: "valence" and "arousal" to (n,) numbers; empty when unknown.
        identity: (n,) numbers of the people; None when unknown.
        nuisance: (n, m) numbers that an edit should leave alone, such as shape and pose; None when unknown.
    """

    classes: Mapping[str, NDArray[np.bool_]]
    affect: Mapping[str, Floats]
    identity: NDArray[np.int64] | None = None
    nuisance: Floats | None = None


def fit(method: str, z_sem: Tensor, labels: Labels, *, avoid: int = 0, seed: int = 0) -> Directions:
    """Find directions.

    Args:
        method: "linear" (the official classifier: unweighted binary cross-entropy, Adam, 300,000 samples),
            "logistic" (regularisation chosen by cross-validation), "lda" (shrinkage after Ledoit and Wolf), "svm"
            (linear, penalty by cross-validation), "ridge" (valence and arousal, penalty by generalised
            cross-validation), "mean" (from the mean code of those without the attribute to that of those with it; for
            valence and arousal, the covariance with the codes), "mlp" (classes and affect; edits follow its gradient).
        z_sem: (n, d) codes of the faces.
        labels: what is known of them.
        avoid: how many directions that say who the person is, how the head is turned and shaped, edits leave alone;
            0 for none.
        seed: of weights and batches.

    Returns:
        Directions: of classes by the method, except with ridge; of valence and arousal, where they are known, by "mean"
        and "mlp" themselves, else by ridge. The official classifier knows classes only.

    Raises:
        InputError: no such method, a class that all or none of the faces have, no labels for the method.
    """
    if method not in METHODS:
        raise InputError(f"There is no method '{method}'. Known: {', '.join(METHODS)}.")
    targets = _targets(method, labels)
    statistics = LatentStatistics.of(z_sem)
    z = statistics.normalise(z_sem)
    subspace = nuisance_subspace(z, labels, avoid) if avoid else torch.zeros(0, z.shape[1])
    if method == "mlp":
        network = _mlp(z, targets, labels, seed)
        return Directions(method, tuple(targets), statistics, network=network, avoid=subspace)
    if method == "linear":
        weight = _official(z, targets, seed)
    else:
        codes = z.double().numpy()
        rows = [
            _SOLVERS[method if method == "mean" or name in labels.classes else "ridge"](codes, target, seed)
            for name, target in targets.items()
        ]
        weight = torch.as_tensor(np.stack(rows), dtype=torch.float32)
    return Directions(method, tuple(targets), statistics, weight=weight, avoid=subspace)


def nuisance_subspace(z: Tensor, labels: Labels, size: int) -> Tensor:
    """Directions along which codes differ between people, heads and poses.

    The principal directions of what a linear map predicts from identity (the mean code of each person), shape and
    pose together.

    Args:
        z: (n, d) normalised codes.
        labels: with identity or nuisance.
        size: how many directions.

    Returns:
        (size, d) orthonormal rows.

    Raises:
        InputError: nothing to avoid is known, or more directions than codes have.
    """
    codes = z.double().numpy()
    if size >= codes.shape[1]:
        raise InputError(f"avoid={size}: codes have only {codes.shape[1]} dimensions.")
    explained = []
    if labels.identity is not None:
        people, place = np.unique(labels.identity, return_inverse=True)
        means = np.stack([np.bincount(place, codes[:, j], len(people)) for j in range(codes.shape[1])], 1)
        explained.append((means / np.bincount(place)[:, None])[place])
    if labels.nuisance is not None:
        known = np.column_stack([labels.nuisance, np.ones(len(codes))])
        explained.append(known @ np.linalg.lstsq(known, codes, rcond=None)[0])
    if not explained:
        raise InputError("avoid needs people: a column `identity`, or synthetic faces.")
    both = np.concatenate([part - part.mean(axis=0) for part in explained])
    _, _, rows = np.linalg.svd(both, full_matrices=False)
    return torch.as_tensor(rows[:size].copy(), dtype=torch.float32)


def _targets(method: str, labels: Labels) -> dict[str, NDArray[Any]]:
    """What to predict; classes that cannot be learnt are refused."""
    wanted: dict[str, NDArray[Any]] = {}
    if method != "ridge":
        for name, has in labels.classes.items():
            if has.all() or not has.any():
                share = "all" if has.all() else "none"
                raise InputError(
                    f"A direction for '{name}' needs faces with and without it; {share} of {len(has)} have it."
                )
            wanted[name] = has
    if method != "linear":
        wanted |= dict(labels.affect)
    if not wanted:
        what = "the columns valence and arousal" if method == "ridge" else "the column expression"
        raise InputError(f"The method '{method}' needs {what}.")
    return wanted


def _official(z: Tensor, targets: Mapping[str, NDArray[Any]], seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    classifier = AttributeClassifier(z.shape[1], tuple(targets))
    truth = torch.as_tensor(np.stack(list(targets.values()), 1).astype(np.float32)) * 2 - 1
    optimiser = torch.optim.Adam(classifier.parameters(), OFFICIAL_RATE)
    for _ in range(OFFICIAL_SAMPLES // OFFICIAL_BATCH):
        rows = torch.randint(len(z), (OFFICIAL_BATCH,), generator=generator)
        optimiser.zero_grad(set_to_none=True)
        attribute_loss(classifier(z[rows]), truth[rows]).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return classifier.linear.weight.detach().clone()


def _logistic(z: Floats, has: NDArray[Any], seed: int) -> Floats:
    from sklearn.linear_model import LogisticRegressionCV

    solver = LogisticRegressionCV(Cs=PENALTIES, cv=FOLDS, scoring="neg_log_loss", max_iter=500)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the weakest penalties need not converge: they are not chosen
        solver.fit(z, has)
    return np.asarray(solver.coef_[0], np.float64)


def _lda(z: Floats, has: NDArray[Any], seed: int) -> Floats:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    return np.asarray(
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(z, has).coef_[0], np.float64
    )


def _svm(z: Floats, has: NDArray[Any], seed: int) -> Floats:
    from sklearn.model_selection import GridSearchCV
    from sklearn.svm import LinearSVC

    search = GridSearchCV(LinearSVC(random_state=seed, dual=False), {"C": PENALTIES[:9]}, cv=FOLDS)
    return np.asarray(search.fit(z, has).best_estimator_.coef_[0], np.float64)


def _ridge(z: Floats, value: NDArray[Any], seed: int) -> Floats:
    from sklearn.linear_model import RidgeCV

    return np.asarray(RidgeCV(alphas=np.logspace(-2, 5, 15)).fit(z, value).coef_, np.float64)


def _mean(z: Floats, value: NDArray[Any], seed: int) -> Floats:
    """Where codes go when the attribute comes: the pattern, of which a classifier's weights are the filter.

    Source: Haufe et al. 2014, "On the interpretation of weight vectors of linear models in multivariate neuroimaging".
    """
    centred = np.asarray(value, np.float64) - np.mean(value)
    covariance: Floats = centred @ z / len(z)
    return covariance


_SOLVERS = {"mean": _mean, "logistic": _logistic, "lda": _lda, "svm": _svm, "ridge": _ridge}


def _mlp(z: Tensor, targets: Mapping[str, NDArray[Any]], labels: Labels, seed: int) -> AttributeMLP:
    """Classes by cross-entropy, affect by squared error; stops where a held-out tenth stops getting better."""
    torch.manual_seed(seed)
    network = AttributeMLP(z.shape[1], HIDDEN, len(targets))
    truth = torch.as_tensor(
        np.stack([np.asarray(t, np.float64) for t in targets.values()], 1), dtype=torch.float32
    )
    classes = torch.tensor([name in labels.classes for name in targets])
    shuffled = torch.randperm(len(z))
    held, kept = shuffled[: max(1, len(z) // 10)], shuffled[max(1, len(z) // 10) :]

    def error(rows: Tensor) -> Tensor:
        scores, wanted = network(z[rows]), truth[rows]
        parts = []
        if classes.any():
            parts.append(functional.binary_cross_entropy_with_logits(scores[:, classes], wanted[:, classes]))
        if (~classes).any():
            parts.append(functional.mse_loss(scores[:, ~classes], wanted[:, ~classes]))
        return torch.stack(parts).sum()

    optimiser = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=0.05)
    best, best_state, waited = float("inf"), network.state_dict(), 0
    while waited < 10:
        network.train()
        for rows in torch.split(kept[torch.randperm(len(kept))], 128):
            optimiser.zero_grad(set_to_none=True)
            error(rows).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        network.eval()
        with torch.no_grad():
            now = float(error(held))
        waited += 1
        if now < best - 1e-4:
            best, waited = now, 0
            best_state = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(best_state)
    return network.eval().requires_grad_(False)
