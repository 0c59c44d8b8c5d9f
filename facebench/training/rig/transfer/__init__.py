"""Transfer of expression, light and pose from one face to another with a DiffusionRig."""

from __future__ import annotations

from facebench.training.rig.transfer.pairs import Pair, draw_pairs, pair_up, read_pairs
from facebench.training.rig.transfer.transfer import transfer

__all__ = ["Pair", "draw_pairs", "pair_up", "read_pairs", "transfer"]
