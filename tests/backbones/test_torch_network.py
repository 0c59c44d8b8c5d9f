"""Settings under which networks run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from facebench.backbones.torch_network import exact_float32

NEW = hasattr(torch.backends.cudnn, "conv")
"""Whether PyTorch has a precision for each backend (2.9 or later) or switches for TF32."""


def precision(owner: Any) -> Any:
    return owner.fp32_precision if NEW else owner.allow_tf32


@pytest.fixture
def reduced_precision() -> Iterator[Any]:
    """Allow TF32 in matrix products; the value of the setting."""
    matmul: Any = torch.backends.cuda.matmul
    before, deterministic = precision(matmul), torch.backends.cudnn.deterministic
    name, value = ("fp32_precision", "tf32") if NEW else ("allow_tf32", True)
    setattr(matmul, name, value)
    yield value
    setattr(matmul, name, before)
    torch.backends.cudnn.deterministic = deterministic


def test_float32_is_exact_inside_and_settings_are_restored(reduced_precision: Any) -> None:
    cudnn: Any = torch.backends.cudnn
    with exact_float32():
        assert precision(torch.backends.cuda.matmul) == ("ieee" if NEW else False)
        assert precision(cudnn.conv if NEW else cudnn) == ("ieee" if NEW else False)
        assert cudnn.deterministic
    assert precision(torch.backends.cuda.matmul) == reduced_precision


def test_settings_are_restored_after_an_error(reduced_precision: Any) -> None:
    with pytest.raises(MemoryError), exact_float32():
        raise MemoryError
    assert precision(torch.backends.cuda.matmul) == reduced_precision
