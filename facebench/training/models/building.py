"""Build the network that a model file describes, after a check that the file holds its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from facebench.core.errors import WeightsError
from facebench.training.engine.checkpoints import check_shapes

N = TypeVar("N", bound=nn.Module)


def build_for(build: Callable[[], N], tensors: Mapping[str, Tensor], where: str) -> N:
    """Build a network for weights.

    The network is first built without memory and compared with the weights: a damaged header could describe a
    network that does not fit in memory.

    Args:
        build: constructor of the network.
        tensors: the weights of the file.
        where: name of the file for messages.

    Raises:
        WeightsError: the architecture is impossible, or names or shapes of the weights differ from it.
    """
    try:
        with torch.device("meta"):
            expected = build().state_dict()
    except Exception as error:  # constructors raise exceptions of any type on impossible sizes
        problem = " ".join(str(error).split())[:200] or type(error).__name__
        raise WeightsError(f"{where}: the architecture in its header is not possible ({problem}).") from error
    check_shapes(tensors, expected, where)
    return build()
