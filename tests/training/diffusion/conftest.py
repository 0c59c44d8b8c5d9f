"""The tiny official autoencoder that the tests of diffusion share."""

from __future__ import annotations

import pytest

from facebench.training import load_official


@pytest.fixture(scope="session")
def tiny(golden):
    """Golden record of the tiny autoencoder, and the network it was recorded with."""
    record = golden("diffae_tiny")
    return record, load_official("diffae-tiny", record.state())
