"""Expression, light and pose carried from one face to another by a DiffusionRig."""

from __future__ import annotations

from facebench.transfer.carry import transfer
from facebench.transfer.pairs import Pair, draw_pairs, pair_up, read_pairs

__all__ = ["Pair", "draw_pairs", "pair_up", "read_pairs", "transfer"]
