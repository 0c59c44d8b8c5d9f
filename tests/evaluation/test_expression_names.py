from __future__ import annotations

import numpy as np

from facebench.backbones.emotieff import EXPRESSIONS as ALPHABETICAL
from facebench.backbones.faceapi_expression import EXPRESSIONS
from facebench.evaluation.expression_names import class_indices, expression_name


def test_synonyms_have_one_name() -> None:
    assert {expression_name(text) for text in ("Fear", "fearful", " afraid ")} == {"afraid"}
    assert expression_name("Bewildered") == "bewildered"


def test_labels_become_the_index_in_each_networks_order() -> None:
    labels = ["happiness", "neutral", None, "contempt", "anger"]
    np.testing.assert_array_equal(class_indices(labels, EXPRESSIONS), [1, 0, np.nan, np.nan, 3])
    np.testing.assert_array_equal(class_indices(labels, ALPHABETICAL), [4, 5, np.nan, 1, 0])
