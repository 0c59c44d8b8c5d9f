"""The gate: a run passes against itself, a clear regression fails, noise passes, other records are refused."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as xml
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import facebench
from facebench.compare.gate import check
from facebench.core.errors import InputError
from facebench.evaluation.record import Run
from facebench.report import ci
from tests.helpers.records import make_result, make_run

METRICS = ("fd_lite0", "recall_lite0", "genuine_std_sface", "face_found")


def with_quality(run: Run, quality: np.ndarray, prefix: str = "") -> Run:
    """The run with a per-image table, and the metric that is its mean."""
    table = pd.DataFrame(
        {"role": "generated", "image": [f"{prefix}{i:04d}.png" for i in range(len(quality))]}
    )
    table["quality:sface-quality"] = np.asarray(quality, dtype=np.float32)
    valid = table["quality:sface-quality"].dropna().to_numpy(dtype=np.float64)
    mean, reach = float(valid.mean()), float(1.96 * valid.std() / np.sqrt(len(valid)))
    result = make_result("face_quality_sface", mean, len(valid), low=mean - reach, high=mean + reach)
    run.metrics["face_quality_sface"] = result
    return run.with_per_image(table)


def quality(n: int = 200, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.3, 0.9, n)


@settings(deadline=None)  # the first example reads the cards
@given(st.dictionaries(st.sampled_from(METRICS), st.none() | st.floats(-1e6, 1e6), min_size=1))
def test_a_run_passes_against_itself(values: dict[str, float | None]) -> None:
    run = make_run("ours", **values)
    report = check(run, run)
    assert report.passed
    assert [row.metric for row in report.rows] == list(values)


@settings(deadline=None)
@given(st.floats(0.01, 1e3), st.floats(0.0, 0.14), st.booleans())
def test_a_change_within_the_noise_passes_in_either_direction(value: float, share: float, up: bool) -> None:
    # Both intervals are ±10 %, so that of the difference is at least ±14 % of the smaller value.
    other = value * (1 + share) if up else value / (1 + share)
    assert check(make_run("new", fd_lite0=other), make_run("old", fd_lite0=value)).passed


def test_half_widths_of_independent_intervals_add_in_squares() -> None:
    new, old = make_run("new", fd_lite0=2.0), make_run("old", fd_lite0=1.0)
    new.metrics["fd_lite0"] = make_result("fd_lite0", 2.0, low=1.7, high=2.3)
    old.metrics["fd_lite0"] = make_result("fd_lite0", 1.0, low=0.6, high=1.4)
    moved = check(new, old).rows[0].change
    assert moved is not None
    assert (moved.low, moved.high) == pytest.approx((0.5, 1.5))
    assert moved.method == "independent intervals"


@pytest.mark.parametrize(
    ("metric", "old", "new"),
    [("fd_lite0", 10.0, 20.0), ("recall_lite0", 0.8, 0.4)],
)
def test_a_clear_regression_fails_and_the_same_change_the_other_way_passes(
    metric: str, old: float, new: float
) -> None:
    report = check(make_run("new", **{metric: new}), make_run("old", **{metric: old}))
    assert [row.metric for row in report.failed] == [metric]
    assert f"worse by {abs(new - old):g}" in report.failed[0].reason.replace("0.400", "0.4").replace(
        "10.00", "10"
    )
    assert check(make_run("new", **{metric: old}), make_run("old", **{metric: new})).passed


def test_a_number_without_an_interval_has_none_to_excuse_it() -> None:
    run, baseline = make_run("new", fd_lite0=1.0), make_run("old", fd_lite0=1.0)
    bare = {"low": None, "high": None, "level": None, "method": "none"}
    run.metrics["fd_lite0"] = make_result("fd_lite0", 1.001, **bare)
    baseline.metrics["fd_lite0"] = make_result("fd_lite0", 1.0, **bare)
    assert check(baseline, baseline).passed
    assert "no interval" in check(run, baseline).failed[0].reason


def test_a_metric_without_a_better_direction_is_shown_and_not_judged() -> None:
    report = check(make_run("new", genuine_std_sface=0.9), make_run("old", genuine_std_sface=0.1))
    assert report.passed
    assert report.rows[0].status == "not judged"
    ruled = {"metrics": {"genuine_std_sface": {"change": 0.5}}}
    assert not check(
        make_run("new", genuine_std_sface=0.9), make_run("old", genuine_std_sface=0.1), ruled
    ).passed


@pytest.mark.parametrize("value", [None, "absent"])
def test_a_value_that_got_lost_fails_whatever_the_rules_say(value: str | None) -> None:
    kept = {"recall_lite0": 0.5}
    run = make_run("new", **kept) if value == "absent" else make_run("new", fd_lite0=None, **kept)
    report = check(run, make_run("old", fd_lite0=1.0, **kept), {"default": {"interval": False}})
    assert [row.metric for row in report.failed] == ["fd_lite0"]


def test_a_new_metric_is_not_judged_but_its_bound_is() -> None:
    run, baseline = make_run("new", fd_lite0=5.0, recall_lite0=0.5), make_run("old", recall_lite0=0.5)
    assert [row.status for row in check(run, baseline).rows] == ["passed", "not judged"]
    assert not check(run, baseline, {"metrics": {"fd_lite0": {"max": 4.0}}}).passed


@pytest.mark.parametrize(
    ("rule", "passes", "reason"),
    [
        ({"max": 12.0}, True, ""),
        ({"max": 10.5}, False, "11.00 is 0.50 above the maximum 10.5"),
        ({"min": 12.0}, False, "11.00 is 1.00 below the minimum 12"),
        ({"change": 1.0}, True, ""),
        ({"change": 0.5}, False, "worse by 1.00, at most 0.5 is allowed"),
        ({"relative": 0.2}, True, ""),
        ({"relative": 0.05}, False, "worse by 10.0%, at most 5.0% is allowed"),
        ({"interval": True, "change": 0.5}, False, "worse by 1.00, at most 0.5 is allowed"),
        ({"interval": False}, True, ""),
    ],
)
def test_every_kind_of_rule_says_by_how_much(rule: dict[str, float], passes: bool, reason: str) -> None:
    report = check(
        make_run("new", fd_lite0=11.0), make_run("old", fd_lite0=10.0), {"metrics": {"fd_lite0": rule}}
    )
    assert report.passed is passes
    assert report.rows[0].reason == reason or passes


def test_images_in_both_runs_are_compared_in_pairs_so_that_a_small_loss_shows() -> None:
    before = quality()
    after = before - 0.01 + np.random.default_rng(1).normal(0, 0.01, len(before))
    baseline = with_quality(make_run("old"), before)
    report = check(with_quality(make_run("new"), after), baseline)
    assert not report.passed
    moved = report.rows[0].change
    assert moved is not None
    assert moved.method == "paired bootstrap over 200 images"
    assert moved.low < -0.01 < moved.high < 0
    apart = check(with_quality(make_run("new"), after, prefix="other-"), baseline)
    assert apart.passed
    assert apart.rows[0].change is not None
    assert apart.rows[0].change.method == "independent intervals"


def test_the_paired_interval_holds_the_true_difference_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        before = rng.normal(0.5, 0.1, 150)
        new = with_quality(make_run("new"), before + 0.05 + rng.normal(0, 0.05, 150))
        moved = check(new, with_quality(make_run("old"), before)).rows[0].change
        assert moved is not None
        held += moved.low <= 0.05 <= moved.high
    assert held >= 16  # at 95 %, fewer than 16 of 20 happen once in 400 times


def test_images_without_a_face_stay_out_of_the_paired_mean() -> None:
    before = quality()
    after = before.copy()
    after[:2] = np.nan
    moved = check(with_quality(make_run("new"), after), with_quality(make_run("old"), before)).rows[0].change
    assert moved is not None
    assert "paired" in moved.method
    assert moved.low <= moved.value <= moved.high


def test_a_table_of_another_run_is_not_believed() -> None:
    run, baseline = with_quality(make_run("new"), quality()), with_quality(make_run("old"), quality())
    baseline.metrics["face_quality_sface"].value = 0.7
    moved = check(run, baseline).rows[0].change
    assert moved is not None
    assert moved.method == "independent intervals"


def test_records_that_may_not_be_compared_are_refused_with_the_reason() -> None:
    run = make_run("new", fd_lite0=1.0)
    with pytest.raises(InputError, match="another reference set"):
        check(run, make_run("old", fd_lite0=1.0, reference="q" * 64))
    with pytest.raises(InputError, match="suite compact, not paper"):
        check(run, make_run("old", fd_lite0=1.0).model_copy(update={"suite": "paper"}))


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
    ],
)
def test_a_mistake_in_the_rules_names_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(text)
    run = make_run("ours", fd_lite0=1.0)
    with pytest.raises(InputError, match=f"rules.yaml: {message}"):
        check(run, run, file)


def test_missing_or_undecodable_rules_say_so(tmp_path: Path) -> None:
    run = make_run("ours", fd_lite0=1.0)
    with pytest.raises(InputError, match="cannot be read"):
        check(run, run, tmp_path / "nowhere.yaml")
    (tmp_path / "rules.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not valid YAML"):
        check(run, run, tmp_path / "rules.yaml")


def test_runs_and_baselines_are_read_from_folders_and_records(tmp_path: Path) -> None:
    record = make_run("ours", fd_lite0=1.0).save(tmp_path / "run")
    assert facebench.check(tmp_path / "run", record).passed
    assert isinstance(facebench.check(record, tmp_path / "run"), facebench.CheckReport)


def test_the_functions_are_not_hidden_by_the_modules_that_hold_them() -> None:
    from facebench.compare.gate import check as same

    assert facebench.check is same
    assert callable(facebench.evaluate)
    assert callable(facebench.evaluate)  # the first access imports the module of that name


def test_junit_has_one_case_per_metric_even_with_a_hostile_name() -> None:
    name = 'evil\x00"]]><failure/>'
    run = make_run(name, fd_lite0=20.0, recall_lite0=0.5, genuine_std_sface=0.1)
    baseline = make_run("old", fd_lite0=10.0, recall_lite0=0.5, genuine_std_sface=0.1)
    suite = xml.fromstring(ci.junit(check(run, baseline)))
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    assert [[child.tag for child in case] for case in suite] == [["failure"], [], ["skipped"]]
    failure = suite[0][0].get("message")
    assert failure is not None
    assert failure.startswith("worse by 10.00")


def test_an_annotation_cannot_be_broken_out_of() -> None:
    name = "x,file=a::b\n::error::pwned 100%"
    text = ci.workflow_commands(check(make_run(name, fd_lite0=20.0), make_run("old", fd_lite0=10.0)))
    assert len(text.splitlines()) == 1
    assert text.startswith(
        "::error title=facebench%3A fd_lite0 of x%2Cfile=a%3A%3Ab%0A%3A%3Aerror%3A%3Apwned 100%25::"
    )


def test_the_step_summary_shows_a_hostile_name_as_text() -> None:
    name = "<img src=x onerror=alert(1)> [click](https://example.org) | b"
    text = ci.step_summary(check(make_run(name, fd_lite0=20.0), make_run("old", fd_lite0=10.0)))
    assert "<img" not in text
    assert "](https" not in text
    assert "✗ failed" in text


def call(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command as users start it."""
    command = [sys.executable, "-m", "facebench", "check", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_command_says_failed_with_1_passed_with_0_and_wrong_input_with_2(tmp_path: Path) -> None:
    good = make_run("good", fd_lite0=10.0).save(tmp_path / "good")
    bad = make_run("bad", fd_lite0=20.0).save(tmp_path / "bad")
    summary, report = tmp_path / "summary.md", tmp_path / "reports" / "junit.xml"
    summary.write_text("earlier step\n")
    failed = subprocess.run(
        [sys.executable, "-m", "facebench", "check", bad, "--baseline", good, "--github", "--junit", report],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "GITHUB_STEP_SUMMARY": str(summary)},
    )
    assert failed.returncode == 1
    assert "::error title=facebench%3A fd_lite0 of bad::worse by 10.00" in failed.stdout
    assert summary.read_text(encoding="utf-8").startswith("earlier step\n### ❌ facebench check failed")
    assert xml.parse(report).getroot().get("failures") == "1"
    passed = call(good, "--baseline", tmp_path / "good")
    assert (passed.returncode, passed.stderr) == (0, "")
    wrong = call(good, "--baseline", tmp_path / "nowhere")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("error: There is no run record at")


def test_update_makes_the_run_the_baseline(tmp_path: Path) -> None:
    run = make_run("new", fd_lite0=20.0).save(tmp_path / "run").parent
    baseline = tmp_path / "baselines" / "quality.json"
    assert call(run, "--baseline", baseline, "--update").returncode == 0
    assert baseline.read_text(encoding="utf-8") == (run / "record.json").read_text(encoding="utf-8")
    assert [path.name for path in baseline.parent.iterdir()] == ["quality.json"]
