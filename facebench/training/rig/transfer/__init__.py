"""Expression, light and pose carried from one face to another by a DiffusionRig."""

from __future__ import annotations

from facebench.training.rig.transfer.pairs import Pair, draw_pairs, pair_up, read_pairs
from facebench.training.rig.transfer.transfer import transfer

__all__ = ["Pair", "draw_pairs", "pair_up", "read_pairs", "transfer"]
