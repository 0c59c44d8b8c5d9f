"""Names of the literature: readable, and distinct in one table."""

from __future__ import annotations

from facebench.compare.metric_names import metric_name, metric_names
from facebench.evaluation.cards import load_cards


def test_every_metric_has_a_name_without_underscores_except_buffalo() -> None:
    names = {metric: metric_name(metric) for metric in load_cards()}
    assert not [name for name in names.values() if "_" in name.replace("buffalo_l", "")]
    assert names["precision_lite0_strict"] == "Precision (Lite0, strict)"
    assert names["genuine_std_sface"] == "Genuine SD (SFace)"
    assert names["face_found"] == "Face found"


def test_labels_replace_names_and_equal_names_keep_their_ids() -> None:
    assert metric_names(["fid_clean", "kid"], {"kid": "FID"}) == {"fid_clean": "fid_clean", "kid": "kid"}
    assert metric_names(["fid_clean", "kid"], {"kid": "KID x 1000"}) == {
        "fid_clean": "FID",
        "kid": "KID x 1000",
    }


def test_all_names_are_distinct() -> None:
    named = metric_names(list(load_cards()))
    assert len(set(named.values())) == len(named)
    assert [metric for metric, name in named.items() if metric == name] == []
