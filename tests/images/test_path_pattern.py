"""Path patterns: fields of paths, composed paths, and where a path departs."""

from __future__ import annotations

import pytest

from facebench.core.errors import InputError
from facebench.images.path_pattern import PathPattern

LAB = PathPattern(
    "target_{target_person}_{target}/{person}/train{stage}_resnet{resnet}_target{to}_source{of}/{image}"
)


def test_fields_of_the_layout_of_the_lab() -> None:
    path = "target_barack_obama_07/ann_lee/trainDECA_resnet50_targetEMOCA_sourceDECA/12_exp.png"
    fields = LAB.match(path)
    assert fields == {
        "target_person": "barack_obama", "target": "07", "person": "ann_lee", "stage": "DECA", "resnet": "50",
        "to": "EMOCA", "of": "DECA", "image": "12_exp.png",
    }  # fmt: skip
    assert LAB.fill(fields) == path
    assert LAB.fields == tuple(fields)


def test_a_field_stays_within_one_part_and_special_characters_are_literal() -> None:
    pattern = PathPattern("a+b.{x}/{y}.png")
    assert pattern.match("a+b.1/2.png") == {"x": "1", "y": "2"}
    for path in ("a+b.1/2/3.png", "aab.1/2.png", "a+bx1/2.png", "a+b./2.png", "a+b.1/2.pngx"):
        assert pattern.match(path) is None


def test_a_field_that_occurs_twice_has_one_text() -> None:
    pattern = PathPattern("{person}/{person}_{number}.png")
    assert pattern.match("ann/ann_1.png") == {"person": "ann", "number": "1"}
    assert pattern.match("ann/bob_1.png") is None


def test_an_expression_restricts_a_field() -> None:
    pattern = PathPattern("{name}{number:[0-9]{2}}.png")
    assert pattern.match("obama07.png") == {"name": "obama", "number": "07"}
    assert pattern.match("obama.png") is None
    assert not pattern.is_ambiguous("obama07.png")
    assert PathPattern("{a}_{b}").is_ambiguous("1_2_3")
    assert PathPattern("{a}_{b}").match("1_2_3") == {"a": "1_2", "b": "3"}


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("target_a_1/b/trainX-resnet18_targetY_sourceZ/1.png",
         "departs at part 3, 'trainX-resnet18_targetY_sourceZ': '_resnet' is expected after 'train{stage}'"),
        ("targets_a_1/b/c/1.png", "departs at part 1, 'targets_a_1': 'target_' is expected at its beginning"),
        ("target_a_1/b", "ends before part 3, where 'train{stage}_resnet{resnet}_target{to}_source{of}'"),
        ("target_a_1/b/trainX_resnet18_targetY_sourceZ/1/2.png", "continues at part 5 with '2.png'"),
    ],
)  # fmt: skip
def test_where_a_path_departs(path: str, reason: str) -> None:
    assert LAB.match(path) is None
    assert reason in LAB.departure(path).reason


def test_the_nearest_path_matches_the_longest() -> None:
    paths = ["x/y/z.png", "target_a_1/b/train_18/1.png", "target_a_1"]
    nearest = LAB.nearest(paths)
    assert nearest is not None
    assert nearest.path == paths[1]
    assert LAB.nearest([]) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{person/{image}", "brace without its partner"),
        ("{}/{image}", "'{}' does not name a field"),
        ("{a b}", "'{a b}' does not name a field"),
        ("{a:[}", "expression that is not valid"),
    ],
)
def test_bad_patterns_are_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match="pattern") as error:
        PathPattern(text)
    assert message in str(error.value)


def test_a_field_without_a_value_is_named() -> None:
    with pytest.raises(InputError, match=r"uses the field 'persn', which has no value\. Did you mean person"):
        PathPattern("albums/{persn}").fill({"person": "ann"})
