"""Thumbnails: small, of unchanged images only, and never of files outside the image set."""

from __future__ import annotations

import shutil
from pathlib import Path

from PIL import Image

from facebench.report.galleries.images import thumbnail
from facebench.report.pages.run import report_page
from tests.helpers.records import make_input
from tests.helpers.run_folders import make_report_run


def test_thumbnails_are_embedded_only_for_the_evaluated_image(tmp_path: Path) -> None:
    run = make_report_run(tmp_path, "ours")
    images = run.inputs["generated"]
    sha256 = str(run.per_image["sha256"][1]) if run.per_image is not None else ""
    assert thumbnail(images, "face 001.png", sha256).uri.startswith("data:image/jpeg;base64,")
    Image.new("RGB", (48, 40)).save(Path(images.path) / "face 001.png")
    assert thumbnail(images, "face 001.png", sha256).unavailable == "changed_since"
    shutil.rmtree(images.path)
    assert thumbnail(images, "face 001.png", sha256).unavailable == "not_at_hand"
    assert "not available" in report_page([run])


def test_a_name_that_leaves_the_folder_is_not_read(tmp_path: Path) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "secret.png")
    (tmp_path / "images").mkdir()
    images = make_input("x", 1).model_copy(update={"path": str(tmp_path / "images")})
    assert thumbnail(images, "../secret.png").unavailable == "not_at_hand"
    assert thumbnail(images, str(tmp_path / "secret.png")).unavailable == "not_at_hand"
    assert thumbnail(images, "null\x00.png").unavailable == "not_at_hand"


def test_an_image_of_a_named_root_is_read_within_its_root(tmp_path: Path) -> None:
    for name in ("far", "images"):
        (tmp_path / name).mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "far" / "face.png")
    Image.new("RGB", (32, 32)).save(tmp_path / "secret.png")
    images = make_input("x", 1).model_copy(update={"path": str(tmp_path / "images")})
    roots = {"far": tmp_path / "far"}
    assert thumbnail(images, "@far/face.png", roots=roots).uri.startswith("data:image/jpeg;base64,")
    for name in ("@far/../secret.png", "@near/face.png"):
        assert thumbnail(images, name, roots=roots).unavailable == "not_at_hand"
    assert thumbnail(images, "@far/face.png").unavailable == "not_at_hand"
