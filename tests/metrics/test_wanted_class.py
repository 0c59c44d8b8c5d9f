from __future__ import annotations

import numpy as np
import pytest

from facebench.core.errors import InputError
from facebench.metrics import wanted_class

LOGITS = np.array([[2.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.1, 0.0], [1.0, 1.0, 0.0]])


def test_the_share_counts_images_of_the_wanted_class() -> None:
    assert wanted_class(LOGITS, [0, 1, 2, 0]).mean == 0.75


def test_of_equal_logits_the_first_class_counts() -> None:
    assert wanted_class(LOGITS[3:], [1]).mean == 0


def test_an_index_without_a_class_is_refused() -> None:
    for wrong in (3, -1, 0.5):
        with pytest.raises(InputError, match="indices from 0 to 2"):
            wanted_class(LOGITS, [0, 1, 2, wrong])


def test_lengths_must_match() -> None:
    with pytest.raises(InputError, match="4 images and 2 wanted classes"):
        wanted_class(LOGITS, [0, 1])
