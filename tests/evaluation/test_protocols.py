"""Protocols: their headline metrics."""

from __future__ import annotations

import pytest

from facebench.evaluation.protocols import (
    MAX_HEADLINE,
    Protocol,
    find_protocol,
    load_protocols,
    primary_metrics,
)


@pytest.mark.parametrize("protocol", load_protocols().values(), ids=lambda protocol: protocol.id)
def test_every_suite_has_a_headline_of_at_most_eight_metrics(protocol: Protocol) -> None:
    for suite, metrics in protocol.suites.items():
        shown = protocol.headline_of(metrics)
        assert 3 <= len(shown) <= MAX_HEADLINE, (protocol.id, suite)
        assert set(shown) <= set(metrics)


def test_the_headline_of_a_transfer_reads_one_network() -> None:
    protocol = find_protocol("expression-transfer")
    shown = protocol.headline_of(protocol.suites["paper"])
    assert shown[:5] == [
        "valence_error_emonet8",
        "valence_gap_emonet8",
        "arousal_error_emonet8",
        "arousal_gap_emonet8",
        "expression_agreement_emonet8",
    ]
    assert shown[5:] == ["identity_similarity_arcface", "identity_verified_arcface", "face_found"]


def test_a_headline_shows_every_reference_set() -> None:
    shown = find_protocol("id-booth").headline_of(["fd_lite0@TFD", "fd_lite0@FFHQ", "fid_clean@TFD"])
    assert shown == ["fid_clean@TFD"]
    shown = find_protocol("id-booth").headline_of(["fd_lite0@TFD", "fd_lite0@FFHQ"])
    assert shown == ["fd_lite0@TFD", "fd_lite0@FFHQ"]


def test_a_run_with_networks_of_both_suites_is_sorted_by_either_primary_metric() -> None:
    assert primary_metrics("quality", "auto") == ["fid_clean", "fd_lite0"]
    assert primary_metrics("quality", "compact") == ["fd_lite0"]
    assert primary_metrics("nothing", "auto") == []
