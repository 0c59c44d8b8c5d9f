"""Validation: sound metrics pass, broken metrics are reported, and noise alone breaks no claim."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as xml
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from typer.testing import CliRunner

from facebench.cli import app
from facebench.core.errors import InputError
from facebench.evaluation import cards
from facebench.evaluation.cards import Card, Damage, find_card, load_cards
from facebench.evaluation.protocols import load_protocols
from facebench.evaluation.record import Run
from facebench.evaluation.yaml_files import load_yaml
from facebench.studies.validation import STRENGTHS, validate
from facebench.studies.validation.datasets import render_faces
from facebench.studies.validation.validate import suite_metrics
from facebench.studies.validation.verdicts import Claim, Curve, curve, judge
from facebench.synthface import degradations
from tests.helpers.records import make_result, make_run

METRIC = "fd_lite0"
LEVELS = (0.0, *STRENGTHS)


def claiming(claim: str, metric: str = METRIC, kind: str = "noise") -> Card:
    """A metric card with one claim of the test."""
    return find_card(metric).model_copy(update={"claims": {kind: claim}})


def answer(card: Card, values: Sequence[float | None], error: float = 0.0, kind: Damage = "noise") -> Curve:
    """Response curve at the five strengths, with 95 % intervals from a standard error."""
    runs = {}
    for strength, value in zip(LEVELS, values, strict=True):
        run: Run = make_run(f"{strength:g}")
        ends = {} if value is None else {"low": value - 1.959964 * error, "high": value + 1.959964 * error}
        run.metrics[card.id] = make_result(card.id, value, **ends)
        runs[strength] = run
    return curve(card, kind, runs)


def only(card: Card, values: Sequence[float | None], error: float = 0.0) -> Claim:
    """Return the verdict on one curve."""
    (found,) = judge([answer(card, values, error)])
    return found


def test_every_damage_of_the_cards_exists() -> None:
    assert set(get_args(Damage)) == {*degradations.KINDS, "copying"}


def test_every_metric_of_the_compact_suite_that_ranks_models_claims_something() -> None:
    silent = [
        card
        for protocol in load_protocols().values()
        for card in map(find_card, protocol.suites["compact"])
        if not card.claims and card.better != "neither"
    ]
    # Impostor similarity has no known response to damage, and nulls are measured without damage. Linearity and
    # trade-off need edits of several strengths; an editor that changes nothing confuses nothing.
    needing_edits = ("edit_benchmark_mscr", "edit_benchmark_linearity", "edit_trade_off")
    unanswering = ("impostor_mean", "identity_leak", *needing_edits)
    nulls = {"reencoded", "reconstruction"}
    left = [c.id for c in silent if not c.id.startswith(unanswering) and not nulls & set(c.needs)]
    assert left == []


def test_a_suite_also_has_metrics_that_no_protocol_names() -> None:
    named = {metric for protocol in load_protocols().values() for metric in protocol.suites["compact"]}
    validated = {card.id for card in suite_metrics("compact", None)}
    assert {"mind_lite0", "retrieval_rank1_sface"} <= validated - named
    assert not [metric for metric in validated if metric.endswith("_arcface")]


def test_worse_needs_a_better_direction(tmp_path: Path) -> None:
    text = "{id: a, title: A, better: neither, compute: mean_std, reads: {backbone: sface, array: norm}, "
    file = tmp_path / "a.yaml"
    file.write_text(text + "source: here, about: nothing, claims: {blur: worse}}")
    with pytest.raises(InputError, match=r"a\.yaml: .*rises, falls or stays"):
        load_yaml(file, Card)


@pytest.mark.parametrize(
    ("metric", "claim", "values"),
    [
        ("fd_lite0", "worse", (1, 2, 3, 4, 5)),
        ("fd_lite0", "better", (5, 4, 3, 2, 1)),
        ("recall_lite0", "worse", (0.9, 0.7, 0.5, 0.3, 0.1)),
        ("genuine_std_sface", "rises", (0.1, 0.2, 0.3, 0.4, 0.5)),
        ("genuine_std_sface", "falls", (0.5, 0.4, 0.3, 0.2, 0.1)),
        ("fd_lite0", "worse", (1, 1, 1, 1, 5)),
    ],
)
def test_a_monotonic_answer_holds_and_its_mirror_image_is_broken(
    metric: str, claim: str, values: tuple[float, ...]
) -> None:
    card = claiming(claim, metric)
    assert only(card, values, 0.001).verdict == "holds"
    mirrored = only(card, values[::-1], 0.001)
    assert mirrored.verdict == "broken"
    assert "from strength 0 to " in mirrored.reason


def test_an_answer_that_turns_back_is_broken_and_says_where() -> None:
    found = only(claiming("worse"), (1, 2, 3, 6, 4), 0.05)
    assert found.verdict == "broken"
    assert found.reason.startswith("falls from strength 0.75 to 1, by -2.00 [")


def test_a_slow_turn_is_seen_although_each_step_is_within_its_noise() -> None:
    assert only(claiming("worse"), (1, 6.0, 5.4, 4.8, 4.2), 0.2).verdict == "broken"


def test_a_step_back_within_the_noise_is_no_answer() -> None:
    assert only(claiming("worse"), (1, 2, 3, 4.0, 3.9), 0.1).verdict == "holds"


def test_a_step_back_of_less_than_a_tenth_of_the_response_is_none() -> None:
    assert only(claiming("worse"), (0, 50, 70, 100, 93), 0.1).verdict == "holds"
    assert only(claiming("worse"), (0, 50, 70, 100, 87), 0.1).verdict == "broken"


def test_no_answer_is_broken() -> None:
    found = only(claiming("worse"), (1, 1.1, 0.9, 1.05, 1.1), 0.1)
    assert found.verdict == "broken"
    assert found.reason.startswith("no response: the change to strength 1 is +0.10 [")


def test_a_threshold_of_the_reference_stays_although_it_has_an_interval() -> None:
    assert only(claiming("stays", "leak_threshold_sface"), (0.75,) * 5, 0.01).verdict == "holds"


def test_a_response_that_only_its_widened_interval_doubts_needs_more_faces() -> None:
    found = only(claiming("worse"), (1, 1.1, 1.2, 1.3, 1.35), 0.1)
    assert found.verdict == "unclear"
    assert found.reason.startswith("too few faces: the change to strength 1 is +0.35 [")


def test_a_metric_may_move_by_a_tenth_of_its_response_under_what_it_ignores() -> None:
    card = claiming("worse").model_copy(update={"claims": {"noise": "worse", "jpeg": "stays"}})
    moving = answer(card, (0, 25, 50, 75, 100), 1)

    def of_jpeg(top: float, error: float) -> Claim:
        return judge([moving, answer(card, (0, 0, 0, 0, top), error, "jpeg")])[1]

    assert of_jpeg(5, 0.5).verdict == "holds"
    assert of_jpeg(20, 0.5).verdict == "broken"
    assert "10.00 is a tenth of its largest claimed response" in of_jpeg(20, 0.5).reason
    assert of_jpeg(9, 2).verdict == "unclear"


def test_what_belongs_to_the_task_stays_exactly() -> None:
    card = claiming("stays", "leak_threshold_sface")
    assert only(card, (0.8,) * 5, 0).verdict == "holds"
    assert only(card, (0.8, 0.8, 0.8, 0.8, 0.81), 0).verdict == "broken"


def test_how_much_a_metric_may_move_is_unknown_without_what_it_responds_to() -> None:
    card = claiming("worse").model_copy(update={"claims": {"noise": "worse", "jpeg": "stays"}})
    (found,) = judge([answer(card, (1, 1, 1, 1, 1.5), 0.01, "jpeg")])
    assert (found.verdict, found.reason) == ("unclear", "the tolerance requires a validation of noise")


def test_strengths_without_a_value_are_named_and_the_others_count() -> None:
    found = only(claiming("worse"), (1, 2, 3, 4, None), 0.01)
    assert found.verdict == "holds"
    assert found.reason == "no value at strength 1: needs a reference set"
    assert only(claiming("worse"), (None, 2, 3, 4, 5), 0.01).verdict == "no value"


def test_noise_breaks_a_sound_suite_at_most_once_in_twenty() -> None:
    """Twenty curves that respond at the first strength and then stay, with simulated noise, a hundred times."""
    rng = np.random.default_rng(0)
    card = claiming("worse")
    flagged = 0
    for _ in range(100):
        noisy = np.array([0.0, 1, 1, 1, 1]) + 0.1 * rng.standard_normal((20, 5))
        flagged += any(found.verdict != "holds" for found in judge([answer(card, row, 0.1) for row in noisy]))
    assert flagged <= 11  # 99 % quantile of a binomial distribution with 100 trials and probability 5 %


def test_source_and_target_of_every_face_are_whom_they_should_be(tmp_path: Path) -> None:
    faces = render_faces(tmp_path, identities=3, images=3, size=32, seed=0)
    rows = list(csv.DictReader(faces.manifest.open(encoding="utf-8")))
    assert [row["image"] for row in rows] == list(faces.images)
    assert [row["expression"] for row in rows[:3]] == ["neutral", "happy", "sad"]
    assert rows[4]["source"] == "real/images/id001/00.png"
    assert rows[4]["target"] == "real/images/id002/01.png"
    assert rows[8]["target"] == "real/images/id000/02.png"
    assert sorted(path.name for path in faces.reference.iterdir()) == ["id000", "id001", "id002"]
    generated, real = faces.manifest.parent, faces.manifest.parent / "real"
    held_out = [faces.held_out.parent / name for name in faces.images]
    files = [folder / name for folder in (generated, real) for name in faces.images] + held_out
    assert len({file.read_bytes() for file in files}) == 27


def test_copying_puts_training_images_into_the_set_byte_for_byte(tmp_path: Path) -> None:
    faces = render_faces(tmp_path, identities=4, images=2, size=32, seed=0)
    real = {path.read_bytes() for path in faces.reference.rglob("*.png")}
    for strength, copies in ((0.25, 2), (1.0, 8)):
        with faces.damaged("copying", strength) as manifest:
            shown = [(manifest.parent / name).read_bytes() for name in faces.images]
            assert len(set(shown)) == len(shown)
            assert sum(content in real for content in shown) == copies
        assert not manifest.exists()


def test_damage_leaves_names_and_truth_alone(tmp_path: Path) -> None:
    faces = render_faces(tmp_path, identities=2, images=2, size=32, seed=0)
    before = faces.manifest.read_bytes()
    for kind in ("noise", "identity_drift"):
        with faces.damaged(kind, 0.5) as manifest:  # type: ignore[arg-type]
            assert manifest.read_bytes() == before
            assert (manifest.parent / "real" / "images" / "id001" / "01.png").is_file()
            image = manifest.parent / faces.images[0]
            assert image.read_bytes() != (faces.manifest.parent / faces.images[0]).read_bytes()


SMALL = ("--identities", "6", "--images", "4", "--size", "96")


def run(out: Path, *arguments: str) -> Any:
    return CliRunner().invoke(app, ["validate", *SMALL, "--out", str(out), *arguments])


def test_the_metrics_answer_as_their_cards_claim(tmp_path: Path) -> None:
    """A small validation."""
    metrics = "fd_lite0,closest_similarity_sface,genuine_mean_sface,identity_start_sface,leak_threshold_sface"
    done = run(tmp_path, "--metrics", metrics, "--kinds", "noise,identity_drift,copying")
    assert done.exit_code == 0, done.output
    record = json.loads((tmp_path / "validation.json").read_text(encoding="utf-8"))
    verdicts = {(claim["metric"], claim["damage"]): claim["verdict"] for claim in record["claims"]}
    assert len(verdicts) == 7
    assert set(verdicts.values()) == {"holds"}
    for claim in record["claims"]:
        assert [point["strength"] for point in claim["points"]] == list(LEVELS)
        assert claim["metric"][:20] in done.output
    figure = xml.parse(tmp_path / "validation.svg").getroot()
    drawn = "".join(figure.itertext())
    assert all(metric in drawn for metric in metrics.split(","))


def test_a_broken_claim_ends_the_command_with_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = load_cards()
    wrong = known | {METRIC: known[METRIC].model_copy(update={"claims": {"noise": "better"}})}
    monkeypatch.setattr(cards, "load_cards", lambda: wrong)
    done = run(tmp_path, "--metrics", METRIC)
    assert done.exit_code == 1, done.output
    assert "broken: fd_lite0, claim 'noise: better': rises from strength 0" in done.output
    assert "broken: noise" in (tmp_path / "validation.svg").read_text(encoding="utf-8")


def test_unknown_names_are_refused_before_anything_is_rendered(tmp_path: Path) -> None:
    for arguments, message in (
        (("--metrics", "fd_lit0"), "fd_lite0"),
        (("--kinds", "blurr"), "Did you mean blur"),
        (("--metrics", "genuine_std_sface"), "no card of these metrics has a claim"),
    ):
        done = run(tmp_path / "out", *arguments)
        assert isinstance(done.exception, InputError), done.output
        assert message in str(done.exception)
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="'identities' is 1"):
        validate(metrics=[METRIC], identities=1)
