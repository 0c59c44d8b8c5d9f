"""Names of the columns of the per-image table on pages, in the words of the field."""

from __future__ import annotations

from typing import Any

from facebench.compare.metric_names import metric_name
from facebench.evaluation.cards import load_cards

NOT_SHOWN = frozenset({"face_x", "face_y", "face_width", "face_height", "map_x", "map_y"})
"""Numbers without a meaning of their own."""
_NETWORKS = {
    "sface-quality": "SFace",
    "sface": "SFace",
    "lite0": "EfficientNet-Lite0",
    "inception": "Inception",
    "dinov2": "DINOv2",
    "arcface": "ArcFace",
    "crfiqa-s": "CR-FIQA(S)",
    "crfiqa-l": "CR-FIQA(L)",
    "facereader": "FaceReader",
    "faceapi-expression": "face-api",
    "faceapi-recognition": "face-api",
    "emonet-8-flip": "EmoNet-8",
    "emonet-5-flip": "EmoNet-5",
    "maxvit-va": "MaxViT V/A",
    "maxvit-combined": "MaxViT",
    "emotieff-b0": "EmotiEffLib",
    "emotieff-mbf": "EmotiEffLib-MBF",
}


def network_name(backbone: str) -> str:
    """Return the name of a network as people write it."""
    return _NETWORKS.get(backbone, backbone)


def column_label(column: str, text: dict[str, Any]) -> str:
    """Return the name of a column: of an image property, of a number that a network reads, or of a metric.

    Args:
        column: column of the per-image table, such as `quality:sface-quality`.
        text: texts of the page.
    """
    array, colon, backbone = column.partition(":")
    arrays: dict[str, str] = text["arrays"]
    if colon:
        return f"{arrays.get(array, array)} ({network_name(backbone)})"
    if column in arrays:
        return arrays[column]
    return metric_name(column) if column.partition("@")[0] in load_cards() else column.replace("_", " ")
