"""The face detector of a run is an option, named in the record."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import facebench
from facebench.compare.comparability import reasons_not_comparable
from facebench.core.errors import InputError
from tests.helpers.golden_networks import Golden
from tests.helpers.paths import GOLDENS_FOLDER


def test_mtcnn_finds_the_faces_that_are_recorded_for_it(tmp_path: Path) -> None:
    golden = Golden("mtcnn")
    for image in golden.facts["images"]:
        shutil.copy(GOLDENS_FOLDER / image["file"], tmp_path)
    run = facebench.evaluate(tmp_path, detector="mtcnn", metrics="face_found,face_quality_sface")
    result = run.metrics["face_found"]
    assert result.value == pytest.approx(5 / 6)
    assert result.backbone == "mtcnn"
    assert run.backbones["mtcnn"].preprocessing.startswith("mtcnn-facenet-pytorch")
    assert "yunet" not in run.backbones
    assert run.metrics["face_quality_sface"].n == {"generated": 5}
    other = facebench.evaluate(tmp_path, metrics="face_found")
    assert reasons_not_comparable(other, run) == ["faces detected by mtcnn, not yunet"]
    table = run.per_image
    assert table is not None
    rows = table.set_index("image")
    for image in golden.facts["images"]:
        if image["faces"]:
            x, y, right, _ = image["boxes"][0]
            row = rows.loc[Path(image["file"]).name]
            assert (row.face_x, row.face_y) == pytest.approx((x, y), abs=0.01)
            assert row.face_width == pytest.approx(right - x, abs=0.01)


def test_an_unknown_detector_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'retina' is not a known detector.*yunet"):
        facebench.evaluate(tmp_path, detector="retina")
