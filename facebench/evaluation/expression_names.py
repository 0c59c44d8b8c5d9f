"""Names of expressions: synonyms in manifests and in networks, and class indices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facebench.metrics.arrays import Floats

_SYNONYMS = {
    "afraid": ("fear", "fearful"),
    "angry": ("anger",),
    "contempt": ("contemptuous",),
    "disgusted": ("disgust",),
    "happy": ("happiness", "joy", "smile", "smiling"),
    "neutral": ("none",),
    "sad": ("sadness",),
    "surprised": ("surprise",),
}
_NAME_OF = {synonym: name for name, synonyms in _SYNONYMS.items() for synonym in (name, *synonyms)}


def expression_name(text: str) -> str:
    """Return one name for all synonyms of an expression; unknown names are returned in lower case.

    Example:
        >>> expression_name("Happiness"), expression_name("fear")
        ('happy', 'afraid')
    """
    lowered = text.strip().lower()
    return _NAME_OF.get(lowered, lowered)


def class_indices(labels: Sequence[str | None], classes: Sequence[str]) -> Floats:
    """Return the class index of every label, (n,); NaN for empty labels and for expressions without a class.

    Args:
        labels: names of expressions, or None.
        classes: class names of a network in the order of its logits.

    Example:
        >>> class_indices(["happiness", None, "contempt"], ("neutral", "happy"))
        array([ 1., nan, nan])
    """
    index_of = {expression_name(name): index for index, name in enumerate(classes)}
    return np.array(
        [np.nan if label is None else index_of.get(expression_name(label), np.nan) for label in labels]
    )
