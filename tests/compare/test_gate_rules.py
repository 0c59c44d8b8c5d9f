"""Rules of the gate: mistakes are reported with file and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from facebench.compare.gate import check
from facebench.core.errors import InputError
from tests.helpers.records import make_run


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("metrics: {fd_lite0: {maxx: 3}}", r"metrics\.fd_lite0\.maxx: unknown key\. Did you mean max\?"),
        ("metric: {}", r"metric: unknown key\. Did you mean metrics\?"),
        ("metrics: {fd_lite: {max: 3}}", r"metrics\.fd_lite: .*Did you mean fd_lite0\?"),
        ("metrics: {fd_lite0: {max: high}}", r"metrics\.fd_lite0\.max: "),
        ("metrics: {fd_lite0: {max: .nan}}", r"metrics\.fd_lite0\.max: "),
        ("metrics: {fd_lite0: {change: -1}}", r"metrics\.fd_lite0\.change: "),
        ("metrics: {fd_lite0: {}}", r"metrics\.fd_lite0: the rule is empty"),
        ("metrics: {fd_lite0: {min: 2, max: 1}}", r"metrics\.fd_lite0: min 2 is above max 1"),
        ("metrics: {fd_lite0: {max: 1}, fd_lite0: {max: 9}}", "not valid YAML: .*given twice"),
        ("[]", "expected the keys"),
        ("a: [", "not valid YAML"),
        ("? [a, b]\n: 1", "not valid YAML"),
    ],
)
def test_a_mistake_in_the_rules_is_reported_with_file_and_key(
    tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(text)
    run = make_run("ours", fd_lite0=1.0)
    with pytest.raises(InputError, match=f"rules.yaml: {message}"):
        check(run, run, file)


def test_missing_or_undecodable_rules_are_an_input_error(tmp_path: Path) -> None:
    run = make_run("ours", fd_lite0=1.0)
    with pytest.raises(InputError, match="cannot be read"):
        check(run, run, tmp_path / "nowhere.yaml")
    (tmp_path / "rules.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not valid YAML"):
        check(run, run, tmp_path / "rules.yaml")
