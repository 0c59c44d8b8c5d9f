"""Cards and protocols: all shipped files are valid, and errors name the file and the key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from facebench import backbones, metrics
from facebench.backbones.text_networks import TEXT_NETWORKS
from facebench.core.errors import InputError
from facebench.evaluation.cards import Card, card_family, card_file, find_card, load_cards
from facebench.evaluation.plan import DETECTOR
from facebench.evaluation.protocols import load_protocols
from facebench.evaluation.yaml_files import load_yaml

GOOD = """
id: fd_test
title: Test
better: lower
compute: frechet_distance
reads: {backbone: lite0, array: features}
needs: [reference]
source: here
about: nothing
"""


@pytest.mark.parametrize("card", load_cards().values(), ids=lambda card: card.id)
def test_every_card_names_a_function_and_a_backbone_that_exist(card: Card) -> None:
    assert card.compute in metrics.__all__
    assert card.reads.backbone in {*backbones.names(), DETECTOR, *TEXT_NETWORKS}
    assert len(card.about) > 20


@pytest.mark.parametrize("card", load_cards().values(), ids=lambda card: card.id)
def test_every_card_states_formula_range_pitfalls_and_source(card: Card) -> None:
    assert card.formula
    assert card.pitfalls
    assert "range" in card.model_fields_set
    low, high = card.range
    assert low is None or high is None or low < high
    assert re.search(r"\b(19|20)\d\d\b|FVC2006", card.source)
    assert card.smallest_n <= card.reliable_n


def test_the_metrics_that_papers_report_all_have_cards() -> None:
    one = "fid_tf fid_clean fid_legacy fid_inf kid cmmd precision recall precision_dinov2 recall_dinov2 "
    one += "precision_vgg16 recall_vgg16 density coverage fd_dinov2 cr_fiqa pose_spread lpips "
    one += "eer_arcface fmr100_arcface fmr1000_arcface fdr_arcface shape_distance_deca shape_distance_emoca "
    one += "expression_distance_deca expression_distance_emoca expression_agreement_emonet8"
    networks = ("emonet8", "emonet5", "maxvit", "maxvitc", "emotieff")
    affect = [
        f"{what}_{kind}_{network}"
        for what in ("valence", "arousal")
        for kind in ("error", "bias", "ccc", "rmse", "sagr", "change")
        for network in networks
    ]
    scores = [f"{kind}_{what}_arcface" for kind in ("genuine", "impostor") for what in ("mean", "std")]
    assert set(one.split()) | set(affect) | set(scores) <= set(load_cards())


def test_cards_use_the_published_networks_and_parameters() -> None:
    for metric, backbone in (
        ("fid_tf", "tf"),
        ("fid_clean", "clean"),
        ("fid_legacy", "legacy"),
        ("kid", "tf"),
    ):
        reads = find_card(metric).reads
        assert (reads.backbone, reads.array) == (f"inception-{backbone}", "pool")
    vgg16 = find_card("precision_vgg16")
    assert (vgg16.reads.array, vgg16.params) == ("fc2_relu", {"k": 3})
    for metric in ("valence_error_emonet8", "expression_agreement_emonet8"):
        assert find_card(metric).reads.backbone == "emonet-8-flip"
    assert find_card("valence_error_emonet5").reads.backbone == "emonet-5-flip"
    assert find_card("pose_spread").reads.array == ("yaw", "pitch", "roll")
    assert find_card("precision_dinov2").params == {"k": 5, "strict": True}
    assert find_card("cmmd").params == {"sigma": 10.0, "scale": 1000.0}


def test_every_metric_of_every_protocol_has_a_card() -> None:
    for protocol in load_protocols().values():
        for suite, ids in protocol.suites.items():
            assert ids, f"{protocol.id} {suite} is empty"
            assert len(set(ids)) == len(ids)


def test_numbers_of_different_networks_never_share_an_id() -> None:
    assert find_card("eer_sface").reads.backbone == "sface"
    assert find_card("eer_arcface").reads.backbone == "arcface-iresnet100"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("better: lower", "better: sideways"),
        ("compute: frechet_distance", "computes: frechet_distance"),
        ("source: here", ""),
        ("reads: {backbone: lite0, array: features}", "reads: lite0"),
        ("needs: [reference]", "needs: [references]"),
    ],
)
def test_a_mistake_in_a_card_names_file_and_key(tmp_path: Path, change: str, message: str) -> None:
    file = tmp_path / "metrics" / "bad.yaml"
    file.parent.mkdir()
    file.write_text(GOOD.replace(change, message))
    with pytest.raises(InputError, match=r"metrics/bad\.yaml: ") as error:
        load_yaml(file, Card)
    assert (message or change).partition(":")[0] in str(error.value)


def test_an_unknown_key_suggests_the_right_one(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(GOOD + "smalest_n: 3\n")
    with pytest.raises(InputError, match="Did you mean smallest_n"):
        load_yaml(file, Card)


@pytest.mark.parametrize("text", ["- a\n- b\n", "id: [unclosed", "family: 3"])
def test_invalid_yaml_is_an_error_with_the_file_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=r"bad\.yaml"):
        load_yaml(file, Card)


def test_a_family_is_read_once_for_every_network(tmp_path: Path) -> None:
    file = tmp_path / "two.yaml"
    text = GOOD.replace("id: fd_test", "id: 'fd_{suffix}'").replace(
        "title: Test", "title: 'On {network}, {other}'"
    )
    file.write_text(text + "networks: [{suffix: a, network: A}, {suffix: b, network: B}]\n")
    loaded = load_yaml(file, Card)
    assert [(card.id, card.title) for card in loaded] == [
        ("fd_a", "On A, {other}"),
        ("fd_b", "On B, {other}"),
    ]


def test_an_unknown_metric_lists_close_matches() -> None:
    with pytest.raises(InputError, match="fd_lite0"):
        find_card("fd_lit0")


@pytest.mark.parametrize("card", load_cards().values(), ids=lambda card: card.id)
def test_the_card_of_a_metric_is_in_the_file_that_its_id_begins_with(card: Card) -> None:
    assert card in load_yaml(card_file(card.id), Card)


@pytest.mark.parametrize(
    ("metric", "family"),
    [("eer_arcface_real_released", "eer"), ("fmr1000_sface", "fmr1000"), ("cmmd", "cmmd"), ("fid_tf", "fid")],
)
def test_the_family_is_the_longest_file_name_that_the_id_begins_with(metric: str, family: str) -> None:
    assert card_family(metric) == family


def test_an_id_without_a_file_is_an_error() -> None:
    with pytest.raises(InputError, match="No file of metric cards belongs to 'gloss_sface'"):
        card_file("gloss_sface")


def test_an_item_of_a_family_can_name_fewer_networks(tmp_path: Path) -> None:
    file = tmp_path / "two.yaml"
    text = GOOD.replace("id: fd_test\n", "")
    file.write_text(
        text
        + "networks: [{suffix: a}, {suffix: b}]\n"
        + "family:\n- {id: 'fd_{suffix}'}\n- {id: 'fd_{suffix}_strict', networks: [b]}\n"
    )
    assert [card.id for card in load_yaml(file, Card)] == ["fd_a", "fd_b", "fd_b_strict"]


def test_a_card_whose_function_compares_identities_needs_identities() -> None:
    content = find_card("eer_sface").model_dump() | {"needs": ()}
    with pytest.raises(ValueError, match="needs: verification needs identities"):
        Card(**content)
