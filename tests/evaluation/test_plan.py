"""Choice of metrics by suite and by the weights on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from facebench.backbones.weights import lockfile, registry
from facebench.backbones.weights.cache import cache_dir, path_of
from facebench.core.errors import WeightsError
from facebench.evaluation.plan import Plan, make_plan


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path / "cache"))


def put(*names: str, unofficial: bool = False) -> None:
    """Put a file at the place of each entry; plans check only its presence."""
    for name in names:
        entry = registry.entry(name)
        path_of(entry).parent.mkdir(parents=True, exist_ok=True)
        path_of(entry).write_bytes(name.encode())
        if unofficial:
            lockfile.pin(cache_dir(), entry, "0" * 64, "a test", unofficial=True)


def ids(plan: Plan) -> set[str]:
    return {card.id for card in plan.cards}


def test_without_downloads_auto_takes_the_networks_of_the_package() -> None:
    plan = make_plan("expression-transfer", "auto")
    assert plan.suite == "compact"
    assert "facebench weights fetch --suite paper" in plan.warnings[0]
    (affect,) = [choice for choice in plan.choices if choice.kind == "affect"]
    assert affect.networks == ["faceapi-expression", "facereader"]
    assert affect.missing["emonet-8-flip"] == "facebench weights fetch emonet-8 --accept-licence"


def test_auto_takes_the_best_network_of_each_kind() -> None:
    put("emonet-8")
    plan = make_plan("expression-transfer", "auto")
    assert plan.suite == "auto"
    assert {"valence_error_emonet8", "expression_agreement_emonet8", "identity_similarity_sface"} <= ids(plan)
    assert {"shape_distance_reader", "face_quality_sface"} <= ids(plan)
    assert not {"valence_error_reader", "valence_error_maxvit"} & ids(plan)
    networks = {choice.kind: choice.networks for choice in plan.choices}
    assert networks["affect"] == ["emonet-8-flip"]
    assert networks["identity"] == ["sface", "faceapi-recognition"]
    assert networks["shape"] == ["facereader"]
    assert plan.absent == []


def test_auto_measures_what_the_network_at_hand_does_not() -> None:
    put("clip")
    plan = make_plan("quality", "auto")
    assert {"cmmd", "fd_lite0", "precision_lite0", "face_quality_sface"} <= ids(plan)
    assert "mmd_lite0" not in ids(plan)


def test_auto_takes_a_recogniser_that_measures_the_same() -> None:
    put("arcface-buffalo_l")
    plan = make_plan("identity", "auto")
    assert "eer_buffalo_real" in ids(plan)
    assert "eer_sface" not in ids(plan)


def test_auto_never_takes_unofficial_weights_by_itself() -> None:
    put("emonet-8", unofficial=True)
    entry = registry.entry("emonet-8")
    lockfile.pin(cache_dir(), entry, "0" * 64, "a test", unofficial=True)
    assert make_plan("expression-transfer", "auto").suite == "compact"
    assert "valence_error_emonet8" in ids(make_plan("expression-transfer", "paper"))


def test_the_paper_suite_sets_aside_metrics_without_weights() -> None:
    put("emonet-8")
    plan = make_plan("expression-transfer", "paper")
    reasons = {card.id: reason for card, reason in plan.absent}
    assert "valence_error_emonet8" in ids(plan)
    assert reasons["valence_error_emotieff"] == (
        "the weights of emotieff-b0 are missing: facebench weights fetch emotieff-b0"
    )
    assert reasons["valence_error_maxvit"].startswith(
        "the weights of maxvit-va are missing: facebench weights import maxvit-va FILE "
        "(from facebench train affect --config cage-maxvit-va)"
    )
    assert not set(reasons) & ids(plan)
    results = plan.with_absent({})
    assert results["valence_error_maxvit"].value is None
    assert results["valence_error_maxvit"].reason == reasons["valence_error_maxvit"]


def test_metrics_chosen_by_id_are_set_aside_too() -> None:
    plan = make_plan("quality", "auto", ["fd_lite0", "fid_clean"])
    assert ids(plan) == {"fd_lite0"}
    assert [card.id for card, _ in plan.absent] == ["fid_clean"]


@pytest.mark.parametrize("metrics", [None, ["fid_clean"]])
def test_nothing_at_hand_is_an_error_with_the_commands(metrics: list[str] | None) -> None:
    with pytest.raises(WeightsError, match="Fetch them: facebench weights fetch inception"):
        make_plan("quality", "paper", metrics)


def test_pixels_are_measured_without_any_network() -> None:
    plan = make_plan("appearance", "paper")
    assert "skin_tone_ita" in ids(plan)
    assert {card.reads.backbone for card, _ in plan.absent} == {"headpose"}


def test_a_complete_suite_keeps_its_name() -> None:
    put("headpose")
    plan = make_plan("appearance", "auto")
    assert (plan.suite, plan.absent) == ("paper", [])
