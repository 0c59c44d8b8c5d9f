"""Fit editing directions in z_sem from latents and labels, by one of seven methods.

    z = (z_sem − μ) / σ,   direction w of an attribute y:
    linear    w = argmin  Σ cross-entropy(w·z + b, y)                   (Adam, as the official classifier)
    logistic  w = argmin  Σ cross-entropy(w·z + b, y) + ‖w‖² / (2 C)    (C by cross-validation)
    lda       w = Σ_w⁻¹ (m_1 − m_0)                                     (Σ_w: shrunken within-class covariance)
    svm       w = argmin  (‖w‖² + b²) / 2 + C Σ max(0, 1 − y (w·z + b))²  (C by cross-validation, y = ±1)
    ridge     w = argmin  Σ (w·z + b − y)² + α ‖w‖²                     (α by generalised cross-validation)
    mean      w = mean[(y − ȳ) z]                                       (for classes: proportional to m_1 − m_0)
    mlp       u(z) = ∇_z score_y(z) / ‖∇_z score_y(z)‖                  (network with two hidden layers)

m_1 and m_0 are the mean latents of faces with and without the attribute.

Sources: Preechakul et al. 2022, section 5.3 (linear); Ledoit and Wolf 2004 (covariance of lda); Haufe et al. 2014,
"On the interpretation of weight vectors of linear models in multivariate neuroimaging" (mean).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facebench.core.errors import InputError
from facebench.core.suggest import suggest
from facebench.training.editing.attribute_network import train_network
from facebench.training.editing.directions import METHODS, Directions
from facebench.training.editing.linear import AttributeClassifier, LatentStatistics, attribute_loss

Floats = NDArray[np.float64]

OFFICIAL_SAMPLES, OFFICIAL_BATCH, OFFICIAL_RATE = 300_000, 32, 1e-3
"""Training of the official CelebA-HQ classifier: samples, batch size, learning rate of Adam."""
FOLDS = 5
PENALTIES = np.logspace(-4, 2, 13)
"""Candidate values of C, the inverse regularisation strength, for cross-validation."""


@dataclass(frozen=True)
class Labels:
    """Labels of n faces.

    Attributes:
        classes: (n,) booleans by class name, such as "happy".
        affect: (n,) numbers of "valence" and "arousal"; empty when unknown.
        identity: (n,) numbers of the people; None when unknown.
        nuisance: (n, m) numbers that an edit should not change, such as shape and pose; None when unknown.
    """

    classes: Mapping[str, NDArray[np.bool_]]
    affect: Mapping[str, Floats]
    identity: NDArray[np.int64] | None = None
    nuisance: Floats | None = None


def fit(method: str, z_sem: Tensor, labels: Labels, *, avoid: int = 0, seed: int = 0) -> Directions:
    """Fit editing directions; the module's docstring defines the methods.

    Classes are fitted with `method`, except by "ridge", which ignores them. Valence and arousal are fitted with "mean"
    and "mlp" by that method, with "linear" not at all, and with any other method by "ridge".

    Args:
        method: one of `METHODS`.
        z_sem: (n, d) latents of the faces.
        labels: labels of the faces.
        avoid: size of the subspace of identity, pose and shape that edits do not move along; 0 for none.
        seed: seed of initial weights and batches.

    Returns:
        One direction per attribute.

    Raises:
        InputError: the method is unknown, the labels it needs are missing, or a class has only one value.
    """
    if method not in METHODS:
        raise InputError(f"'{method}' is not a method. {suggest(method, METHODS)}")
    targets = _targets(method, labels)
    statistics = LatentStatistics.of(z_sem)
    z = statistics.normalise(z_sem)
    subspace = nuisance_subspace(z, labels, avoid) if avoid else torch.zeros(0, z.shape[1])
    if method == "mlp":
        network = train_network(z, targets, labels.classes.keys(), seed)
        return Directions(method, tuple(targets), statistics, network=network, avoid=subspace)
    if method == "linear":
        weight = _official(z, targets, seed)
    else:
        latents = z.double().numpy()
        rows = [
            _SOLVERS[method if method == "mean" or name in labels.classes else "ridge"](latents, target, seed)
            for name, target in targets.items()
        ]
        weight = torch.as_tensor(np.stack(rows), dtype=torch.float32)
    return Directions(method, tuple(targets), statistics, weight=weight, avoid=subspace)


def nuisance_subspace(z: Tensor, labels: Labels, size: int) -> Tensor:
    """Principal directions of the latents as predicted from identity, shape and pose.

        A = first `size` right singular vectors of [ Z_identity ; Z_nuisance ], columns centred
        Z_identity: each row is the mean latent of its person
        Z_nuisance: least-squares prediction of z from shape and pose

    Args:
        z: (n, d) normalised latents.
        labels: labels with identity or nuisance.
        size: number of directions.

    Returns:
        (size, d) orthonormal rows.

    Raises:
        InputError: neither identity nor nuisance is known, or `size` is not below d.
    """
    latents = z.double().numpy()
    if size >= latents.shape[1]:
        raise InputError(f"avoid={size}: codes have only {latents.shape[1]} dimensions.")
    predictions = []
    if labels.identity is not None:
        predictions.append(_means_of_people(latents, labels.identity))
    if labels.nuisance is not None:
        predictors = np.column_stack([labels.nuisance, np.ones(len(latents))])
        predictions.append(predictors @ np.linalg.lstsq(predictors, latents, rcond=None)[0])
    if not predictions:
        raise InputError("avoid needs people: a column `identity`, or synthetic faces.")
    centred = np.concatenate([part - part.mean(axis=0) for part in predictions])
    _, _, rows = np.linalg.svd(centred, full_matrices=False)
    return torch.as_tensor(rows[:size].copy(), dtype=torch.float32)


def _means_of_people(latents: Floats, identity: NDArray[np.int64]) -> Floats:
    """Replace every latent by the mean latent of its person."""
    people, person = np.unique(identity, return_inverse=True)
    sums = np.stack([np.bincount(person, latents[:, j], len(people)) for j in range(latents.shape[1])], 1)
    means: Floats = (sums / np.bincount(person)[:, None])[person]
    return means


def _targets(method: str, labels: Labels) -> dict[str, NDArray[Any]]:
    """Select what the method predicts; refuse classes with only one value."""
    targets: dict[str, NDArray[Any]] = {}
    if method != "ridge":
        for name, present in labels.classes.items():
            if present.all() or not present.any():
                share = "all" if present.all() else "none"
                raise InputError(
                    f"A direction for '{name}' needs faces with and without it; {share} of {len(present)} have it."
                )
            targets[name] = present
    if method != "linear":
        targets |= dict(labels.affect)
    if not targets:
        column = "the columns valence and arousal" if method == "ridge" else "the column expression"
        raise InputError(f"The method '{method}' needs {column}.")
    return targets


def _official(z: Tensor, targets: Mapping[str, NDArray[Any]], seed: int) -> Tensor:
    """Train the official classifier: unweighted binary cross-entropy, Adam, 300,000 samples."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    classifier = AttributeClassifier(z.shape[1], tuple(targets))
    truth = torch.as_tensor(np.stack(list(targets.values()), 1).astype(np.float32)) * 2 - 1
    optimizer = torch.optim.Adam(classifier.parameters(), OFFICIAL_RATE)
    for _ in range(OFFICIAL_SAMPLES // OFFICIAL_BATCH):
        rows = torch.randint(len(z), (OFFICIAL_BATCH,), generator=generator)
        optimizer.zero_grad(set_to_none=True)
        attribute_loss(classifier(z[rows]), truth[rows]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return classifier.linear.weight.detach().clone()


def _logistic(z: Floats, present: NDArray[Any], seed: int) -> Floats:
    """Solve w = argmin Σ cross-entropy(w·z + b, y) + ‖w‖² / (2 C); C by the held-out log loss."""
    from sklearn.linear_model import LogisticRegressionCV

    solver = LogisticRegressionCV(Cs=PENALTIES, cv=FOLDS, scoring="neg_log_loss", max_iter=500)
    with warnings.catch_warnings():
        # Fits with the weakest penalties may not converge. Cross-validation does not select them.
        warnings.simplefilter("ignore")
        solver.fit(z, present)
    return np.asarray(solver.coef_[0], np.float64)


def _lda(z: Floats, present: NDArray[Any], seed: int) -> Floats:
    """Compute w = Σ_w⁻¹ (m_1 − m_0), with the Ledoit-Wolf estimate of the within-class covariance Σ_w."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    solver = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    return np.asarray(solver.fit(z, present).coef_[0], np.float64)


def _svm(z: Floats, present: NDArray[Any], seed: int) -> Floats:
    """Solve w = argmin (‖w‖² + b²) / 2 + C Σ max(0, 1 − y (w·z + b))², y = ±1; C by the held-out accuracy."""
    from sklearn.model_selection import GridSearchCV
    from sklearn.svm import LinearSVC

    search = GridSearchCV(LinearSVC(random_state=seed, dual=False), {"C": PENALTIES[:9]}, cv=FOLDS)
    return np.asarray(search.fit(z, present).best_estimator_.coef_[0], np.float64)


def _ridge(z: Floats, value: NDArray[Any], seed: int) -> Floats:
    """Solve w = argmin Σ (w·z + b − y)² + α ‖w‖²; α by generalised cross-validation."""
    from sklearn.linear_model import RidgeCV

    return np.asarray(RidgeCV(alphas=np.logspace(-2, 5, 15)).fit(z, value).coef_, np.float64)


def _mean(z: Floats, value: NDArray[Any], seed: int) -> Floats:
    """Compute w = mean[(y − ȳ) z], the covariance of attribute and latents.

    This is the activation pattern of Haufe et al. 2014. The weights of a classifier are the corresponding filter.
    """
    centred = np.asarray(value, np.float64) - np.mean(value)
    covariance: Floats = centred @ z / len(z)
    return covariance


_SOLVERS = {"mean": _mean, "logistic": _logistic, "lda": _lda, "svm": _svm, "ridge": _ridge}
