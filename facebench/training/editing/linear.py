"""Editing by directions in z_sem: normalisation, a linear classifier, and the step along its weights.

Source: Preechakul et al. 2022, section 5.3, with the details of the official classifier and notebook.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from facebench.core.errors import InputError, WeightsError

_CELEBA = """
5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair
Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair
Heavy_Makeup High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face
Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks Sideburns Smiling Straight_Hair Wavy_Hair
Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace Wearing_Necktie Young
"""
CELEBA = tuple(_CELEBA.split())
"""The 40 attributes of CelebA, in the order of its annotation file and of the official classifier."""


@dataclass(frozen=True, eq=False)
class LatentStatistics:
    """Mean and unbiased standard deviation of z_sem over a data set.

    Example:
        >>> statistics = LatentStatistics.of(torch.tensor([[0.0, 1.0], [2.0, 5.0]]))
        >>> statistics.mean, statistics.std
        (tensor([1., 3.]), tensor([1.4142, 2.8284]))
    """

    mean: Tensor
    """(d,)"""
    std: Tensor
    """(d,)"""

    @classmethod
    def of(cls, z_sem: Tensor) -> LatentStatistics:
        """Statistics of codes (n, d).

        Raises:
            InputError: fewer than two codes, or a coordinate that never varies.
        """
        if z_sem.ndim != 2 or len(z_sem) < 2:
            raise InputError("Statistics of z_sem need at least two codes (n, d).")
        std = z_sem.std(dim=0)
        still = torch.nonzero(std == 0).flatten().tolist()
        if still:
            raise InputError(
                f"Coordinate {still[0]} of z_sem is the same in all {len(z_sem)} images, so it cannot be "
                "normalised. Use more varied images."
            )
        return cls(z_sem.mean(dim=0), std)

    def normalise(self, z_sem: Tensor) -> Tensor:
        """Codes (n, d) in units of the standard deviation around the mean."""
        return (z_sem - self.mean) / self.std

    def denormalise(self, z: Tensor) -> Tensor:
        """Undo `normalise`."""
        return z * self.std + self.mean


def manipulate(z_sem: Tensor, direction: Tensor, strength: float, statistics: LatentStatistics) -> Tensor:
    """Move codes along a direction of the normalised space.

    Strength 1 is a step as long as a typical normalised code, sqrt(d); the official notebook uses 0.3.

    Args:
        z_sem: (n, d) codes.
        direction: (d,) of any length but 0, such as one row of a classifier's weight.
        strength: positive towards the attribute.
        statistics: those that the direction was found with.

    Returns:
        (n, d) edited codes.

    Raises:
        InputError: the direction is zero or of another size.
    """
    size = z_sem.shape[1]
    length = direction.norm()
    if direction.shape != (size,) or not length > 0:
        raise InputError(f"An editing direction needs {size} numbers that are not all zero.")
    step = strength * size**0.5 * direction / length
    return statistics.denormalise(statistics.normalise(z_sem) + step)


class AttributeClassifier(nn.Module):
    """One linear layer from normalised z_sem to the logits of independent attributes.

    Args:
        code_channels: size of z_sem.
        attributes: names of the outputs, in order.

    Example:
        >>> classifier = AttributeClassifier(512, ["Smiling", "Young"])
        >>> classifier(torch.zeros(3, 512)).shape, classifier.direction("Young").shape
        (torch.Size([3, 2]), torch.Size([512]))
    """

    def __init__(self, code_channels: int, attributes: Sequence[str]) -> None:
        super().__init__()
        self.attributes = tuple(attributes)
        self.linear = nn.Linear(code_channels, len(attributes))

    def forward(self, z: Tensor) -> Tensor:
        """Map normalised codes (n, d) to logits (n, attributes)."""
        logits: Tensor = self.linear(z)
        return logits

    def direction(self, attribute: str) -> Tensor:
        """Weights (d,) of one attribute: the direction that raises its logit fastest.

        Raises:
            InputError: no such attribute.
        """
        if attribute not in self.attributes:
            raise InputError(f"The classifier knows no '{attribute}', but: {', '.join(self.attributes)}.")
        return self.linear.weight.detach()[self.attributes.index(attribute)]


def attribute_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy over all attributes, unweighted; lower is better.

    Args:
        logits: (n, attributes).
        labels: (n, attributes), positive where the attribute is there (CelebA writes 1 and -1).

    Returns:
        Scalar.
    """
    return functional.binary_cross_entropy_with_logits(logits, (labels > 0).to(logits.dtype))


def load_official_classifier(
    checkpoint: Mapping[str, object],
) -> tuple[AttributeClassifier, LatentStatistics]:
    """Read an official CelebA-HQ classifier: its raw weights and the statistics it normalises with.

    An averaged copy is kept beside the raw weights, but the official editing uses the raw ones.

    Raises:
        WeightsError: a key is missing, unexpected or misshapen.
    """
    wrapped = checkpoint.get("state_dict", checkpoint)
    state: dict[str, Tensor] = dict(wrapped) if isinstance(wrapped, Mapping) else {}
    shapes: dict[str, tuple[int, ...]] = {"conds_mean": (1, 512), "conds_std": (1, 512)}
    for copy in ("classifier", "ema_classifier"):
        shapes |= {f"{copy}.weight": (40, 512), f"{copy}.bias": (40,)}
    for key, wanted in shapes.items():
        if key not in state:
            raise WeightsError(f"The classifier's weights lack '{key}'. Is it another checkpoint?")
        if tuple(state[key].shape) != wanted:
            raise WeightsError(f"'{key}' has shape {tuple(state[key].shape)}, the classifier needs {wanted}.")
    for key in state:
        if key not in shapes:
            raise WeightsError(f"The classifier's weights hold '{key}', which it does not have.")
    classifier = AttributeClassifier(512, CELEBA)
    classifier.linear.load_state_dict(
        {"weight": state["classifier.weight"], "bias": state["classifier.bias"]}
    )
    return classifier, LatentStatistics(state["conds_mean"].flatten(), state["conds_std"].flatten())
