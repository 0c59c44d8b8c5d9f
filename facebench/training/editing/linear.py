"""Linear editing of z_sem: normalisation, attribute classifier, and a step along its weights.

    z  = (z_sem − μ) / σ
    z' = z + strength · √d · w / ‖w‖
    z_sem' = z' · σ + μ

μ and σ are the mean and standard deviation of z_sem over a data set. w is the classifier's weight of one attribute.

Source: Preechakul et al. 2022, section 5.3, with the details of the official classifier and notebook.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from facebench.core.errors import InputError, WeightsError
from facebench.core.suggest import suggest

_CELEBA = """
5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair
Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair
Heavy_Makeup High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face
Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks Sideburns Smiling Straight_Hair Wavy_Hair
Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace Wearing_Necktie Young
"""
CELEBA = tuple(_CELEBA.split())
"""The 40 CelebA attributes, in the order of its annotation file and of the official classifier."""

_OFFICIAL_CHANNELS = 512


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
        """Compute the statistics of latents (n, d).

        Raises:
            InputError: there are fewer than two latents, or a coordinate is constant.
        """
        if z_sem.ndim != 2 or len(z_sem) < 2:
            raise InputError("Statistics of z_sem need at least two codes (n, d).")
        std = z_sem.std(dim=0)
        constant = torch.nonzero(std == 0).flatten().tolist()
        if constant:
            raise InputError(
                f"Coordinate {constant[0]} of z_sem is the same in all {len(z_sem)} images, so it cannot be "
                "normalised. Use more varied images."
            )
        return cls(z_sem.mean(dim=0), std)

    def normalise(self, z_sem: Tensor) -> Tensor:
        """Return (z_sem − mean) / std for latents (n, d)."""
        return (z_sem - self.mean) / self.std

    def denormalise(self, z: Tensor) -> Tensor:
        """Return z · std + mean, the inverse of `normalise` up to rounding."""
        return z * self.std + self.mean


def manipulate(z_sem: Tensor, direction: Tensor, strength: float, statistics: LatentStatistics) -> Tensor:
    """Move latents along a direction of the normalised space.

        z_sem' = z_sem + strength · √d · σ · w / ‖w‖

    A typical normalised latent has length √d, so strength 1 is a step of that length. The official notebook uses 0.3.
    Strength 0 returns the latents unchanged.

    Args:
        z_sem: (n, d) latents.
        direction: (d,) w, such as one row of a classifier's weight; its length has no effect.
        strength: signed step; positive values increase the attribute.
        statistics: mean and standard deviation of the latents that the direction was fitted on.

    Returns:
        (n, d) edited latents.

    Raises:
        InputError: the direction is zero or has another size.
    """
    size = z_sem.shape[1]
    length = direction.norm()
    if direction.shape != (size,) or not length > 0:
        raise InputError(f"An editing direction needs {size} numbers that are not all zero.")
    if strength == 0:
        return z_sem
    step = strength * size**0.5 * direction / length
    return statistics.denormalise(statistics.normalise(z_sem) + step)


class AttributeClassifier(nn.Module):
    """One linear layer from normalised z_sem to the logits of independent attributes.

        logit_a = w_a · z + b_a

    Args:
        code_channels: size d of z_sem.
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
        """Map normalised latents (n, d) to logits (n, attributes)."""
        logits: Tensor = self.linear(z)
        return logits

    def direction(self, attribute: str) -> Tensor:
        """Return the weights w_a (d,) of one attribute, the gradient of its logit.

        Raises:
            InputError: the classifier does not have this attribute.
        """
        if attribute not in self.attributes:
            raise InputError(
                f"The classifier has no attribute '{attribute}'. {suggest(attribute, self.attributes)}"
            )
        return self.linear.weight.detach()[self.attributes.index(attribute)]


def attribute_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Unweighted binary cross-entropy over all attributes; lower is better.

        loss = −mean[ y·log σ(logit) + (1 − y)·log(1 − σ(logit)) ],   y = 1 where label > 0, else 0

    Args:
        logits: (n, attributes).
        labels: (n, attributes), positive where the attribute is present (CelebA uses 1 and -1).

    Returns:
        Scalar.
    """
    return functional.binary_cross_entropy_with_logits(logits, (labels > 0).to(logits.dtype))


def load_official_classifier(
    checkpoint: Mapping[str, object],
) -> tuple[AttributeClassifier, LatentStatistics]:
    """Load an official CelebA-HQ classifier with the statistics it normalises with.

    The checkpoint also holds an averaged copy of the weights. The official editing uses the raw weights.

    Raises:
        WeightsError: a key is missing or unexpected, or a tensor has another shape.
    """
    wrapped = checkpoint.get("state_dict", checkpoint)
    state: dict[str, Tensor] = dict(wrapped) if isinstance(wrapped, Mapping) else {}
    _check_official_shapes(state)
    classifier = AttributeClassifier(state["classifier.weight"].shape[1], CELEBA)
    classifier.linear.load_state_dict(
        {"weight": state["classifier.weight"], "bias": state["classifier.bias"]}
    )
    return classifier, LatentStatistics(state["conds_mean"].flatten(), state["conds_std"].flatten())


def _check_official_shapes(state: Mapping[str, Tensor]) -> None:
    weight = state.get("classifier.weight")
    d = weight.shape[-1] if weight is not None and weight.ndim else _OFFICIAL_CHANNELS
    attributes = len(CELEBA)
    shapes: dict[str, tuple[int, ...]] = {"conds_mean": (1, d), "conds_std": (1, d)}
    for copy in ("classifier", "ema_classifier"):
        shapes |= {f"{copy}.weight": (attributes, d), f"{copy}.bias": (attributes,)}
    for key, expected in shapes.items():
        if key not in state:
            raise WeightsError(f"The classifier's weights lack '{key}'. Is it another checkpoint?")
        if tuple(state[key].shape) != expected:
            raise WeightsError(
                f"'{key}' has shape {tuple(state[key].shape)}, the classifier needs {expected}."
            )
    for key in state:
        if key not in shapes:
            raise WeightsError(f"The classifier's weights hold '{key}', which it does not have.")
