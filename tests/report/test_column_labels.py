"""Names of per-image columns in the words of the field."""

from __future__ import annotations

import pytest

from facebench.report.column_labels import column_label
from facebench.report.pages.texts import texts


@pytest.mark.parametrize(
    ("column", "label"),
    [
        ("quality:sface-quality", "Face quality (SFace)"),
        ("face_score", "Detector confidence"),
        ("identity_similarity_sface", "ID similarity (SFace)"),
        ("my_column", "my column"),
        ("other:mine", "other (mine)"),
    ],
)
def test_a_column_has_a_readable_name(column: str, label: str) -> None:
    assert column_label(column, texts("en")) == label
