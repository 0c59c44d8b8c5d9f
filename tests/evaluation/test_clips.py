"""Frames of clips: tracks over time, with the clip as resampling unit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import facebench
from facebench.core.errors import InputError
from facebench.evaluation.cards import find_card
from facebench.evaluation.clips import clip_values, clips_of
from facebench.evaluation.record import Run
from facebench.evaluation.role_features import RoleFeatures
from facebench.report.pages.run import report_page
from tests.helpers.clips import extraction, make_clips
from tests.helpers.image_archives import pixels_of, write_video

CLIPS, FRAMES = 3, 6


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = make_clips(tmp_path_factory.mktemp("clips"), CLIPS, FRAMES)
    metrics = "track_valence_ccc_reader,track_valence_pearson_reader,track_identity_drift_sface,track_jitter,"
    return facebench.evaluate(
        folder / "manifest.csv",
        protocol="expression-transfer",
        metrics=metrics + "track_frames_without_face,track_identity_consistency_sface",
        name="model",
    )


def test_the_clip_is_the_resampling_unit(run: Run) -> None:
    for metric, result in run.metrics.items():
        assert result.value is not None, f"{metric}: {result.reason}"
        assert (result.resampled, result.generalises_to) == ("clip", "new clips"), metric
        assert result.n["clips"] == CLIPS
        assert "clips, reliable from 20" in result.note
    assert run.metrics["track_frames_without_face"].value == 0
    assert run.metrics["track_identity_consistency_sface"].value > 0.8


def test_a_copy_of_its_target_has_a_concordance_of_one(run: Run) -> None:
    assert run.metrics["track_valence_ccc_reader"].value == pytest.approx(1.0, abs=1e-3)
    assert run.metrics["track_valence_pearson_reader"].value == pytest.approx(1.0, abs=1e-3)


def test_the_report_shows_the_tracks(run: Run) -> None:
    page = report_page([run])
    assert page.count("Tracks over time, facereader") >= CLIPS
    assert "Clip c0:" in page


def test_the_protocol_adds_clips_only_to_frames(tmp_path: Path, faces: Path) -> None:
    from facebench.evaluation.plan import make_plan

    plan = make_plan("expression-transfer", "compact")
    ids = {card.id for card in plan.cards}
    assert not any(name.startswith("track_") for name in ids)
    with_clips = plan.with_clips()
    added = {card.id for card in with_clips.cards} - ids
    assert {"track_valence_ccc_reader", "track_identity_drift_sface", "track_jitter"} <= added
    assert not any(name.endswith("emonet8") for name in added)
    assert {card.id for card, _ in with_clips.absent} >= {"track_head_motion"} - added


def test_each_card_reads_an_array_of_its_network() -> None:
    backbones = {
        metric: find_card(metric).reads.backbone
        for metric in (
            "track_valence_ccc_faceapi",
            "track_identity_drift_faceapi",
            "track_arousal_pearson_reader",
        )
    }
    assert list(backbones.values()) == ["faceapi-expression", "faceapi-recognition", "facereader"]


def test_one_clip_has_no_interval(tmp_path: Path) -> None:
    folder = make_clips(tmp_path, 1, 4)
    run = facebench.evaluate(folder / "manifest.csv", metrics="track_frames_without_face", name="model")
    result = run.metrics["track_frames_without_face"]
    assert (result.value, result.low) == (0.0, None)
    assert "one clip does not show how clips vary" in result.note


def features(columns: list[dict[str, str]]) -> RoleFeatures:
    return RoleFeatures({"generated": extraction(columns)}, {})


def test_frames_are_ordered_by_number_and_grouped_by_clip() -> None:
    rows = clips_of(
        features([{"frame": f, "clip": c} for c, f in zip("aabbb", ["10", "9", "2", "1", "3"], strict=True)])
    )
    assert {name: each.tolist() for name, each in rows.items()} == {"a": [1, 0], "b": [3, 2, 4]}
    by_source = clips_of(features([{"frame": "0", "source": "x"}, {"frame": "0", "source": "y"}]))
    assert list(by_source) == ["x", "y"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([{"frame": "one"}], "holds 'one'"),
        ([{"frame": "1"}, {"frame": "1"}], "occurs twice"),
        ([{"clip": "a"}], "column 'frame'"),
    ],
)
def test_wrong_frames_are_one_line(columns: list[dict[str, str]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        clips_of(features(columns))


def test_clips_without_a_face_have_no_number_and_count_as_missing() -> None:
    given = features([{"frame": str(i), "clip": "a"} for i in range(5)])
    assert clip_values(find_card("track_frames_without_face"), given).values.tolist() == [1.0]
    with pytest.raises(InputError, match="clip 'a': jitter needs four consecutive frames"):
        clip_values(find_card("track_jitter"), given)


def test_head_motion_is_that_of_theval_and_skips_missing_frames() -> None:
    rng = np.random.default_rng(0)
    angles = rng.normal(size=(6, 3)).astype(np.float32)
    boxes = np.abs(rng.normal(50, 5, (6, 4)))
    given = RoleFeatures(
        {
            "generated": extraction(
                [{"frame": str(i), "clip": "a"} for i in range(6)], angles, boxes, missing=2
            )
        },
        {},
    )
    kept = [0, 1, 3, 4, 5]
    expected = facebench.metrics.temporal.head_motion(angles[kept], boxes[kept, :2] + boxes[kept, 2:] / 2)
    found = clip_values(find_card("track_head_motion"), given)
    assert found.values[0] == pytest.approx(expected)


def test_two_videos_need_no_manifest(tmp_path: Path) -> None:
    pytest.importorskip("av")
    folder = make_clips(tmp_path, 1, FRAMES)
    pixels = pixels_of(folder / "generated")
    made, driver = (write_video(tmp_path / name, pixels) for name in ("made.mkv", "driver.mkv"))
    options = {
        "protocol": "expression-transfer",
        "metrics": "track_valence_ccc_reader,identity_similarity_sface",
        "source": folder / "real" / "images" / "id000" / "00.png",
    }
    run = facebench.evaluate(made, target=driver, **options)
    assert run.metrics["track_valence_ccc_reader"].value == pytest.approx(1.0, abs=1e-3)
    assert run.metrics["track_valence_ccc_reader"].n == {"clips": 1, "generated": FRAMES}
    assert run.metrics["identity_similarity_sface"].n["generated"] == FRAMES
    assert run.inputs["target"].kind == "video"
    with pytest.raises(InputError, match="'quality' reads a target"):
        facebench.evaluate(made, target=driver)
