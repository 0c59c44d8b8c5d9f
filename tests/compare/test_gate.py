"""The gate: a run passes against itself, regressions fail, noise passes, records that do not compare are rejected."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as xml
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import facebench
from facebench.compare.gate import check
from facebench.core.errors import InputError
from facebench.evaluation.record import Run
from tests.helpers.quality_runs import quality, with_quality
from tests.helpers.records import make_result, make_run

METRICS = ("fd_lite0", "recall_lite0", "genuine_std_sface", "face_found")


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


def test_without_an_interval_any_worsening_fails() -> None:
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
def test_a_lost_value_fails_under_any_rules(value: str | None) -> None:
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
def test_every_rule_reports_by_how_much_it_is_violated(
    rule: dict[str, float], passes: bool, reason: str
) -> None:
    report = check(
        make_run("new", fd_lite0=11.0), make_run("old", fd_lite0=10.0), {"metrics": {"fd_lite0": rule}}
    )
    assert report.passed is passes
    assert report.rows[0].reason == reason or passes


def test_paired_images_reveal_a_small_loss() -> None:
    before = quality()
    after = before - 0.01 + np.random.default_rng(1).normal(0, 0.01, len(before))
    baseline = with_quality(make_run("old"), before)
    report = check(with_quality(make_run("new"), after), baseline)
    assert not report.passed
    change = report.rows[0].change
    assert change is not None
    assert change.method == "paired bootstrap over 200 images"
    assert change.low < -0.01 < change.high < 0
    unpaired = check(with_quality(make_run("new"), after, prefix="other-"), baseline)
    assert unpaired.passed
    assert unpaired.rows[0].change is not None
    assert unpaired.rows[0].change.method == "independent intervals"


def test_records_that_are_not_comparable_are_rejected_with_the_reason() -> None:
    run = make_run("new", fd_lite0=1.0)
    with pytest.raises(InputError, match="different reference set"):
        check(run, make_run("old", fd_lite0=1.0, reference="q" * 64))
    with pytest.raises(InputError, match="suite compact, not paper"):
        check(run, make_run("old", fd_lite0=1.0).model_copy(update={"suite": "paper"}))


def test_runs_and_baselines_are_read_from_folders_and_records(tmp_path: Path) -> None:
    record = make_run("ours", fd_lite0=1.0).save(tmp_path / "run")
    assert facebench.check(tmp_path / "run", record).passed
    assert isinstance(facebench.check(record, tmp_path / "run"), facebench.CheckReport)


def test_public_functions_are_not_replaced_by_modules() -> None:
    from facebench.compare.gate import check as same

    assert facebench.check is same
    assert callable(facebench.evaluate)
    assert callable(facebench.evaluate)  # the first access imports a module


def test_a_metric_over_fewer_faces_than_in_the_baseline_is_named() -> None:
    def run(faces: int) -> Run:
        made = make_run("ours", images=30, face_quality_sface=0.5)
        made.metrics["face_quality_sface"] = make_result("face_quality_sface", 0.5, faces)
        return made

    note = "computed from 10 of 30 images, in the baseline from 30 of 30: face_quality_sface"
    report = check(run(10), run(30))
    assert report.coverage_notes == (note,)
    assert f"! {note}" in report.table().notes
    assert check(run(30), run(30)).coverage_notes == check(run(30), run(10)).coverage_notes == ()


def call(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process."""
    command = [sys.executable, "-m", "facebench", "check", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_exit_codes_are_0_passed_1_failed_2_wrong_input(tmp_path: Path) -> None:
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
