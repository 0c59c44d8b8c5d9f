"""Breakdown by a column: metrics per person and per expression, and tests against chance."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

import facebench
from facebench import synthface
from facebench.cli import app
from facebench.compare.breakdown_tables import extremes_table, group_table
from facebench.core.errors import InputError
from facebench.evaluation.breakdown import holm
from facebench.evaluation.record import MetricResult, Run
from facebench.evaluation.record_reading import load_run
from facebench.metrics import intervals, pair_scores, verification
from facebench.metrics.intervals.subject import bootstrap_subject, subject_scores
from facebench.synthface.degradations import blur

METRICS = ["face_quality_sface", "vendi_lite0", "genuine_mean_sface", "face_found"]
BLURRED = "id003"


@pytest.fixture(scope="module")
def one_bad_person(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six people with six images each; all images of one person are blurred."""
    folder = tmp_path_factory.mktemp("groups") / "faces"
    synthface.write(folder, identities=6, images=6, size=112, seed=3)
    for file in (folder / "images" / BLURRED).glob("*.png"):
        Image.fromarray(blur(np.asarray(Image.open(file)), 0.7)).save(file)
    return folder


@pytest.fixture(scope="module")
def by_identity(one_bad_person: Path) -> Run:
    return facebench.evaluate(one_bad_person, metrics=METRICS, by="identity")


def test_only_the_person_with_bad_images_differs_significantly(by_identity: Run) -> None:
    quality = {name: results["face_quality_sface"] for name, results in by_identity.groups.items()}
    assert len(quality) == 6
    worst = min(quality, key=lambda name: quality[name].value)
    assert worst == f"identity={BLURRED}"
    assert quality[worst].differs
    assert quality[worst].difference < 0
    assert [name for name, result in quality.items() if result.differs] == [worst]


def test_every_group_has_its_size_and_an_interval(by_identity: Run) -> None:
    for results in by_identity.groups.values():
        for metric in METRICS:
            assert results[metric].n["generated"] == 6
            assert results[metric].low <= results[metric].value <= results[metric].high


def test_genuine_pairs_are_within_a_person_and_impostor_pairs_with_all_other_people(by_identity: Run) -> None:
    result = by_identity.groups["identity=id000"]["genuine_mean_sface"]
    assert result.n == {"generated": 6, "genuine": 15, "impostor": 6 * 30}
    assert result.method.startswith("bca_bootstrap")
    assert 0.3 < result.value < 1


def test_numbers_that_depend_on_n_are_not_tested(by_identity: Run) -> None:
    for results in by_identity.groups.values():
        assert results["vendi_lite0"].p is None
        assert results["vendi_lite0"].difference < 0


def test_the_values_of_a_group_equal_those_of_its_images_alone(one_bad_person: Path, tmp_path: Path) -> None:
    both = ["face_quality_sface", "eer_sface", "vendi_lite0"]
    run = facebench.evaluate(one_bad_person, metrics=both, by="expression")
    manifest = pd.read_csv(one_bad_person / "manifest.csv")
    name, size = next(iter(manifest["expression"].value_counts().items()))
    assert size >= 5
    shutil.copytree(one_bad_person, tmp_path / "part")
    manifest[manifest["expression"] == name].to_csv(tmp_path / "part" / "manifest.csv", index=False)
    alone = facebench.evaluate(tmp_path / "part", metrics=both)
    for metric in both:
        assert run.groups[f"expression={name}"][metric].value == alone.metrics[metric].value


def test_a_group_is_compared_with_the_reference_images_of_the_same_group(
    faces: Path, other_faces: Path
) -> None:
    run = facebench.evaluate(faces, other_faces, metrics=["kd_lite0"], by="expression")
    references = pd.read_csv(other_faces / "manifest.csv")["expression"].value_counts()
    sizes = {name: results["kd_lite0"].n for name, results in run.groups.items()}
    valued = {name: n for name, n in sizes.items() if "reference" in n}
    assert valued
    for name, n in valued.items():
        assert n["reference"] == references[name.partition("=")[2]]


def test_leakage_of_a_group_is_searched_in_the_whole_training_set(one_bad_person: Path) -> None:
    run = facebench.evaluate(one_bad_person, one_bad_person, metrics=["leaked_share_sface"], by="identity")
    for results in run.groups.values():
        assert results["leaked_share_sface"].value == 1.0
        assert results["leaked_share_sface"].n == {"generated": 6, "reference": 36}


def test_a_small_group_has_a_reason_instead_of_a_value(tmp_path: Path, one_bad_person: Path) -> None:
    shutil.copytree(one_bad_person, tmp_path / "set")
    manifest = pd.read_csv(tmp_path / "set" / "manifest.csv")
    manifest["fold"] = ["a"] * 30 + ["b"] * 4 + [None] * 2
    manifest.to_csv(tmp_path / "set" / "manifest.csv", index=False)
    run = facebench.evaluate(tmp_path / "set", metrics=["face_quality_sface"], by="fold")
    small = run.groups["fold=b"]["face_quality_sface"]
    assert (small.value, small.reason) == (None, "4 images in this group, at least 5 are needed")
    assert "2 images have no value in the column 'fold' and are in no group" in run.warnings


def test_an_unknown_column_is_an_error_that_suggests_the_right_one(one_bad_person: Path) -> None:
    with pytest.raises(InputError, match=r"no column 'expresion' to group by\. Did you mean expression"):
        facebench.evaluate(one_bad_person, metrics=METRICS, by="expresion")


def test_a_column_of_measurements_cannot_form_groups(one_bad_person: Path) -> None:
    with pytest.raises(InputError, match=r"No 5 images .* share a value of the column 'yaw'"):
        facebench.evaluate(one_bad_person, metrics=METRICS, by="yaw")


def test_groups_survive_saving_and_are_rows_of_the_frame(by_identity: Run, tmp_path: Path) -> None:
    by_identity.save(tmp_path)
    assert load_run(tmp_path).groups == by_identity.groups
    assert set(by_identity.to_frame()["group"]) == {"", *by_identity.groups}


def test_tables_show_all_groups_the_worst_and_the_best(by_identity: Run) -> None:
    table = group_table(by_identity)
    assert [row[0].text for row in table.rows] == ["all", *by_identity.groups]
    quality = [column.key for column in table.columns].index("face_quality_sface")
    starred = [row[0].text for row in table.rows if row[quality].text.endswith("*")]
    assert starred == [f"identity={BLURRED}"]
    worst = {row[0].text: row[2].text for row in extremes_table(by_identity).rows}
    assert worst["face_quality_sface ↑"].startswith(BLURRED)


def test_the_command_prints_the_groups(one_bad_person: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app,
        ["evaluate", str(one_bad_person), "--metrics", "face_quality_sface", "--by", "identity"]
        + ["--out", str(tmp_path / "run"), "--tag", "base=SD-XL"],
    )
    assert done.exit_code == 0, done.output
    assert "by identity: 6 groups" in done.output
    assert BLURRED in done.output
    assert load_run(tmp_path / "run").tags == {"base": "SD-XL"}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_is_between_no_correction_and_bonferroni(p: list[float]) -> None:
    corrected = holm(p)
    for raw, after in zip(p, corrected, strict=True):
        assert raw <= after <= min(1.0, raw * len(p)) or after == max(corrected)
    assert corrected[int(np.argmin(p))] == min(1.0, min(p) * len(p))


def test_equal_groups_rarely_differ_significantly() -> None:
    """With twenty groups of equal faces, about 5 % of a hundred studies have a significant group (Holm)."""
    from facebench.evaluation.breakdown import _compare, _correct, _group_result
    from tests.helpers.records import make_result

    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(100):
        values = rng.standard_normal((20, 10))

        def summary(rows: np.ndarray) -> MetricResult:
            reach = 1.96 * rows.std() / np.sqrt(rows.size)
            mean = float(rows.mean())
            change = {"low": mean - reach, "high": mean + reach}
            return make_result("face_quality_sface", mean, rows.size, **change)

        whole = summary(values)
        results = [_group_result(summary(rows), 10) for rows in values]
        _compare(results, whole, 200)
        groups = {str(i): {"m": result} for i, result in enumerate(results)}
        alarms += any(each["m"].differs for each in _correct(groups).values())
    assert alarms <= 12


def test_one_subject_of_many_has_the_scores_of_all_pairs() -> None:
    rng = np.random.default_rng(0)
    rows, names = rng.standard_normal((40, 8)), np.arange(40) % 8
    own = names == 3
    scores = subject_scores(rows[own], rows[~own], list(names[~own]))
    everything = pair_scores(rows, names)
    concerned = (everything.impostor_identities == 3).any(axis=1)
    assert np.allclose(np.sort(scores.genuine), np.sort(everything.genuine[everything.genuine_identity == 3]))
    assert np.allclose(np.sort(scores.impostor), np.sort(everything.impostor[concerned]))


def test_the_interval_of_a_subject_contains_its_value() -> None:
    rng = np.random.default_rng(0)
    centre = rng.standard_normal(16)
    own = centre + 0.8 * rng.standard_normal((12, 16))
    others = rng.standard_normal((100, 16))
    reference = centre + 0.8 * rng.standard_normal((6, 16))
    for known in (None, reference):
        scores = subject_scores(own, others, list(np.arange(100) % 20), known)
        assert len(scores.genuine) == (66 if known is None else 72)
        found = bootstrap_subject(scores, resamples=100)
        answer = verification(scores.genuine, scores.impostor)
        for name in ("genuine_mean", "impostor_mean", "eer"):
            assert found[name].low <= getattr(answer, name) <= found[name].high
    assert isinstance(found["eer"], intervals.Interval)


def test_a_subject_without_a_pair_is_refused() -> None:
    with pytest.raises(InputError, match="this identity lacks one kind"):
        subject_scores(np.ones((1, 3)), np.ones((4, 3)), list("abcd"))
