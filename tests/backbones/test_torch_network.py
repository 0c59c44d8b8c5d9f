from __future__ import annotations

import pytest
import torch

from facebench.backbones.torch_network import exact_float32


@pytest.fixture
def fast_and_loose() -> object:
    matmul, deterministic = torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.deterministic
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    yield
    torch.backends.cuda.matmul.fp32_precision = matmul
    torch.backends.cudnn.deterministic = deterministic


@pytest.mark.usefixtures("fast_and_loose")
def test_float32_is_exact_inside_and_settings_are_restored() -> None:
    with exact_float32():
        assert torch.backends.cuda.matmul.fp32_precision == "ieee"
        assert torch.backends.cudnn.conv.fp32_precision == "ieee"
        assert torch.backends.cudnn.deterministic
    assert torch.backends.cuda.matmul.fp32_precision == "tf32"


@pytest.mark.usefixtures("fast_and_loose")
def test_settings_are_restored_after_an_error() -> None:
    with pytest.raises(MemoryError), exact_float32():
        raise MemoryError
    assert torch.backends.cuda.matmul.fp32_precision == "tf32"
