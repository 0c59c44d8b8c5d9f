"""Notes of many metrics: each sentence once, with the metrics that it holds for."""

from __future__ import annotations

from facebench.core.notes import group_sentences, listed


def test_a_sentence_that_several_notes_share_is_written_once() -> None:
    notes = [("60 images; 12 identities", "a"), ("12 identities", "b"), ("60 images; 12 identities", "a")]
    assert group_sentences(notes) == {"60 images": ["a"], "12 identities": ["a", "b"]}


def test_a_reason_with_commands_stays_whole() -> None:
    assert group_sentences([("run x; run y", "a")], whole=True) == {"run x; run y": ["a"]}


def test_only_a_complete_list_of_several_metrics_is_all_metrics() -> None:
    assert listed(["b", "a"], ["a", "b"]) == "all metrics"
    assert listed(["a"], ["a"]) == "a"
    assert listed(["a", "b"], ["a", "b", "c"]) == "a, b"
    assert listed(["a", "b", "c"], ["a", "b", "c", "d"], limit=1) == "a and 2 more"
