"""Domains of networks: the kind of face images that a network was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Domain = Literal["photographs", "rendered", "any"]
"""`any`: the network is used on photographs and on rendered faces. Its numbers compare only within one of them."""

DOMAINS: Mapping[str, Domain] = {
    "facereader": "rendered",
    **dict.fromkeys(
        (
            "faceapi-expression",
            "emonet-8",
            "emonet-5",
            "emonet-8-flip",
            "emonet-5-flip",
            "maxvit-va",
            "maxvit-combined",
            "emotieff-b0",
            "emotieff-mbf",
            "deca",
            "emoca",
        ),
        "photographs",
    ),
}
"""Domain by backbone, for the networks that read only one."""


def domain_of(backbone: str) -> Domain:
    """Return the domain of a network.

    Example:
        >>> domain_of("facereader"), domain_of("sface")
        ('rendered', 'any')
    """
    return DOMAINS.get(backbone, "any")
