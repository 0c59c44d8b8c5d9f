"""Terms of restricted networks: in the registry, in the list of weights, in metric cards and in NOTICE."""

from __future__ import annotations

import pytest

from facebench.backbones.weights import registry
from facebench.evaluation.cards import find_card
from facebench.report.pages.cards import facts
from tests.helpers.paper_weights import facebench
from tests.helpers.paths import REPOSITORY

RESTRICTED = [
    "emonet-8",
    "emonet-5",
    "crfiqa-s",
    "crfiqa-l",
    "deca",
    "emoca",
    "arcface-buffalo_l",
    "arcface-iresnet100",
]


@pytest.mark.parametrize("name", RESTRICTED)
def test_restricted_weights_state_their_terms(name: str) -> None:
    terms = registry.entry(name).terms
    assert "on-commercial" in terms
    assert "Numbers may be reported" in terms
    assert "written anew from the paper" in terms


@pytest.mark.parametrize("metric", ["valence_error_emonet8", "cr_fiqa", "shape_distance_deca", "eer_buffalo"])
def test_cards_state_the_terms_of_their_network(metric: str) -> None:
    assert "Numbers may be reported" in facts(find_card(metric))["terms"]


def test_cards_without_restrictions_state_no_terms() -> None:
    assert "terms" not in facts(find_card("eer_sface"))
    assert "terms" not in facts(find_card("face_found"))


def test_the_list_and_the_notice_state_them() -> None:
    assert "altered weights must not be passed on" in facebench("weights", "list", "--format", "csv").text
    notice = (REPOSITORY / "NOTICE").read_text(encoding="utf-8")
    assert "altered weights must not be passed on" in notice
    assert "written anew from the papers" in notice
