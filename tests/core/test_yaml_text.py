"""Strict reading of YAML: whatever the text is, the result is a value or a ValueError in one line."""

from __future__ import annotations

import pytest

from facebench.core.yaml_text import parse_yaml

_LAUGHS = "a0: &a0 [x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 5000, "nested too deeply"),
        (_LAUGHS, "aliases expand"),
        ("a: &a [*a]", "contains it"),
        ("{a: 1, a: 2}", "given twice"),
        ("? [a, b]\n: 1", "unhashable key"),
        ("a: 2020-99-99", "month"),
        ("a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("a: [", "line 1"),
        ("a: \x00", "special characters"),
        ("--- 1\n--- 2", "single document|another document"),
    ],
)
def test_text_that_is_not_strict_yaml_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        parse_yaml(text)
    assert "\n" not in str(caught.value)


def test_anchors_and_merge_keys_work() -> None:
    assert parse_yaml("a: &a {x: 1}\nb: {<<: *a, y: 2}") == {"a": {"x": 1}, "b": {"x": 1, "y": 2}}
