"""The gate: a run passes against itself, regressions fail, noise passes, records that do not compare are rejected."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import xml.etree.ElementTree as xml
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

import facebench
from facebench.compare.gate import check
from facebench.core.errors import InputError
from facebench.evaluation.record import RejectedFile, Run
from tests.helpers.quality_runs import quality, with_quality
from tests.helpers.records import make_result, make_run

METRICS = ("fd_lite0", "recall_lite0", "genuine_std_sface", "face_found")


@settings(deadline=None)  # the first example reads the cards
@given(st.dictionaries(st.sampled_from(METRICS), st.none() | st.floats(-1e6, 1e6), min_size=1))
def test_a_run_passes_against_itself(values: dict[str, float | None]) -> None:
    run = make_run("ours", **values)
    report = check(run, run)
    assert report.passed
    assert [item.metric for item in report.items] == list(values)


@settings(deadline=None)
@given(st.floats(0.01, 1e3), st.floats(0.0, 0.115), st.booleans())
def test_a_change_within_the_noise_passes_in_either_direction(value: float, share: float, up: bool) -> None:
    # Both intervals are ±10 %: ±14 % for the difference, which a one-sided test at 5 % exceeds from 11.9 % on.
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
    assert [item.metric for item in report.failed] == [metric]
    assert f"worse by {abs(new - old):g}" in report.failed[0].reason.replace("0.400", "0.4").replace(
        "10.00", "10"
    )
    assert check(make_run("new", **{metric: old}), make_run("old", **{metric: new})).passed


def test_without_an_interval_only_explicit_rules_judge() -> None:
    run, baseline = make_run("new", fd_lite0=1.0), make_run("old", fd_lite0=1.0)
    bare = {"low": None, "high": None, "level": None, "method": "none"}
    run.metrics["fd_lite0"] = make_result("fd_lite0", 1.5, **bare)
    baseline.metrics["fd_lite0"] = make_result("fd_lite0", 1.0, **bare)
    item = check(run, baseline).items[0]
    assert (item.verdict, item.difference, item.low, item.p) == ("not judged", 0.5, None, None)
    assert "give it a rule" in item.reason
    for rule in ({"change": 0.1}, {"relative": 0.1, "interval": True}, {"max": 1.2}):
        assert not check(run, baseline, {"metrics": {"fd_lite0": rule}}).passed
    assert check(run, baseline, {"metrics": {"fd_lite0": {"change": 0.6}}}).items[0].verdict == "passed"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_never_pass(value: float) -> None:
    run, baseline = make_run("new", recall_lite0=0.5), make_run("old", recall_lite0=0.5)
    broken = make_run("broken", recall_lite0=0.5)
    # Records read from files refuse such values; runs made in Python may have them.
    kept = broken.metrics["recall_lite0"]
    broken.metrics["recall_lite0"] = kept.model_copy(update={"value": value})
    for new, old in ((broken, baseline), (run, broken), (broken, broken)):
        for rules in (None, {"metrics": {"recall_lite0": {"change": 1.0}}}, {"default": {"interval": False}}):
            assert not check(new, old, rules).passed
    unsure = make_run("unsure", recall_lite0=0.5)
    unsure.metrics["recall_lite0"] = kept.model_copy(update={"low": -math.inf, "high": math.nan})
    assert check(unsure, baseline).items[0].verdict == "not judged"


def test_many_metrics_share_one_error_level() -> None:
    """One metric at p = 0.02 fails alone, and passes among four."""
    alone = {"fd_lite0": (10.0, 11.0)}
    many = alone | {"recall_lite0": (0.5, 0.5), "precision_lite0": (0.5, 0.5), "coverage_lite0": (0.5, 0.5)}
    for metrics, passed, expected in ((alone, False, 0.02), (many, True, 0.02 * 4)):
        run, baseline = make_run("new"), make_run("old")
        for metric, (old, new) in metrics.items():
            error = 1 / norm.isf(0.02) if metric == "fd_lite0" else 0.1
            reach = 1.96 * error / 2**0.5
            for side, value in ((run, new), (baseline, old)):
                side.metrics[metric] = make_result(
                    metric, value, 10**6, low=value - reach, high=value + reach, method="bootstrap_images"
                )
        report = check(run, baseline)
        assert report.passed is passed
        assert report.tested == len(metrics)
        assert report.items[0].p == pytest.approx(expected, rel=0.01)


def test_the_smallest_visible_change_is_detected_in_four_of_five_cases() -> None:
    rng = np.random.default_rng(0)
    baseline, visible, detected = quality(), [], []
    for _ in range(60):
        noise = rng.normal(0, 0.02, len(baseline))
        old = with_quality(make_run("old", images=200), baseline)
        report = check(with_quality(make_run("new", images=200), baseline + noise), old)
        visible.append(report.items[0].smallest_visible_change)
        loss = 0.02 / 200**0.5 * 2.50  # t at level 0.05, and at 0.8
        worse = with_quality(make_run("new", images=200), baseline + noise - loss)
        detected.append(not check(worse, old).passed)
    assert np.mean(visible) == pytest.approx(loss, rel=0.03)
    assert 0.65 < np.mean(detected) < 0.95  # 0.8, three standard errors of 60 draws


def test_a_metric_without_a_better_direction_is_shown_and_not_judged() -> None:
    report = check(make_run("new", genuine_std_sface=0.9), make_run("old", genuine_std_sface=0.1))
    assert report.passed
    assert report.items[0].verdict == "not judged"
    ruled = {"metrics": {"genuine_std_sface": {"change": 0.5}}}
    assert not check(
        make_run("new", genuine_std_sface=0.9), make_run("old", genuine_std_sface=0.1), ruled
    ).passed


@pytest.mark.parametrize("value", [None, "absent"])
def test_a_lost_value_fails_under_any_rules(value: str | None) -> None:
    kept = {"recall_lite0": 0.5}
    run = make_run("new", **kept) if value == "absent" else make_run("new", fd_lite0=None, **kept)
    report = check(run, make_run("old", fd_lite0=1.0, **kept), {"default": {"interval": False}})
    assert [item.metric for item in report.failed] == ["fd_lite0"]


def test_a_new_metric_is_not_judged_but_its_bound_is() -> None:
    run, baseline = make_run("new", fd_lite0=5.0, recall_lite0=0.5), make_run("old", recall_lite0=0.5)
    assert [item.verdict for item in check(run, baseline).items] == ["passed", "not judged"]
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
    assert report.items[0].reason == reason or passes


def test_paired_images_reveal_a_small_loss() -> None:
    before = quality()
    after = before - 0.01 + np.random.default_rng(1).normal(0, 0.01, len(before))
    baseline = with_quality(make_run("old"), before)
    report = check(with_quality(make_run("new"), after), baseline)
    assert not report.passed
    change = report.items[0].change
    assert change is not None
    assert change.method == "paired over 200 images"
    assert change.low < -0.01 < change.high < 0
    unpaired = check(with_quality(make_run("new"), after, prefix="other-"), baseline)
    assert unpaired.passed
    assert unpaired.items[0].change is not None
    assert unpaired.items[0].change.method == "independent intervals"


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


def test_a_metric_over_fewer_faces_than_in_the_baseline_fails() -> None:
    def run(faces: int) -> Run:
        made = make_run("ours", images=30, face_quality_sface=0.5)
        made.metrics["face_quality_sface"] = make_result("face_quality_sface", 0.5, faces)
        return made

    report = check(run(10), run(30))
    assert [item.metric for item in report.failed] == ["images_measured"]
    assert "computed from face_quality_sface: 10 of 30, in the baseline 30 of 30" in report.failed[0].reason
    assert check(run(10), run(30), {"metrics": {"images_measured": {"min": 0.3}}}).passed
    assert check(run(30), run(30)).passed
    assert check(run(29), run(30)).passed
    assert check(run(30), run(10)).passed


def test_lost_faces_files_and_images_are_shown_and_judged() -> None:
    def run(images: int, faces: int, rejected: int = 0) -> Run:
        made = make_run("ours", images=images, face_quality_sface=0.5)
        files = [RejectedFile(name=f"{i}.png", reason="damaged") for i in range(rejected)]
        counts = {"images": images, "faces": faces, "rejected": files}
        made.inputs["generated"] = made.inputs["generated"].model_copy(update=counts)
        made.metrics["face_quality_sface"] = make_result("face_quality_sface", 0.5, faces)
        return made

    baseline = run(400, 398)
    shown = {item.metric: item for item in check(run(400, 396), baseline).items}
    assert shown["faces_found"].verdict == "passed"
    assert shown["faces_found"].difference == pytest.approx(-0.005)
    for worse, names in (
        (run(400, 370), ["faces_found"]),
        (run(370, 368, rejected=30), ["images", "usable_images"]),
        (run(390, 388), ["images"]),
    ):
        assert [item.metric for item in check(worse, baseline).failed] == names
    assert check(run(390, 388), baseline, {"metrics": {"images": {"min": 300}}}).passed
    assert [item.metric for item in check(baseline, baseline).items] == ["face_quality_sface"]


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
    assert "is not a run record: expected" in wrong.stderr


def test_update_makes_the_run_the_baseline(tmp_path: Path) -> None:
    run = make_run("new", fd_lite0=20.0).save(tmp_path / "run").parent
    baseline = tmp_path / "baselines" / "quality.json"
    assert call(run, "--baseline", baseline, "--update").returncode == 0
    assert baseline.read_text(encoding="utf-8") == (run / "record.json").read_text(encoding="utf-8")
    assert [path.name for path in baseline.parent.iterdir()] == ["quality.json"]


def test_a_baseline_folder_keeps_the_tables_that_pair_runs(tmp_path: Path) -> None:
    run = with_quality(make_run("new", images=200), quality()).save(tmp_path / "run").parent
    assert call(run, "--baseline", tmp_path / "baseline", "--update").returncode == 0
    change = check(run, tmp_path / "baseline").items[0].change
    assert change is not None
    assert change.method == "paired over 200 images"
