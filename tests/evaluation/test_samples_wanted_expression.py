"""The share read as the wanted expression, from the manifest's column to the record and its per-image table."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import facebench
from facebench import backbones
from facebench.backbones.face_detection import FaceFinder, align
from facebench.backbones.facereader import EXPRESSIONS
from facebench.evaluation.per_image import image_terms
from facebench.evaluation.record import Run
from tests.helpers.golden_networks import read
from tests.helpers.paths import GOLDENS_FOLDER

IMAGES = sorted((GOLDENS_FOLDER / "images" / "a").glob("id00*_*.png"))[:8]
METRICS = ("expression_wanted_reader", "expression_wanted_faceapi", "expression_change_faceapi")
WORD = {"happy": "Happiness", "angry": "anger", "surprised": "surprise", "neutral": "neutral"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("edits")
    rows = []
    for path in IMAGES:
        shutil.copy(path, folder)
        person, _, expression = path.stem.partition("_")
        rows.append(f"{path.name},{person}_neutral.png,{WORD[expression]}")
    rows[-1] = rows[-1].rpartition(",")[0] + ",amused"  # no class of any network
    manifest = folder / "manifest.csv"
    manifest.write_text("\n".join(["image,source,expression", *rows]))
    return facebench.evaluate(manifest, protocol="edit", metrics=METRICS)


def test_the_share_counts_faces_whose_class_is_the_wanted_one(run: Run) -> None:
    reader, finder = backbones.build("facereader"), FaceFinder()
    read_as_wanted = []
    for path in IMAGES[:-1]:
        image = read(f"a/{path.name}")
        face = finder.find(image)
        assert face is not None
        logits = reader.embed(reader.preprocess(align(image, face.landmarks))[None])["expression"]
        read_as_wanted.append(EXPRESSIONS[logits.argmax()] == path.stem.partition("_")[2])
    wanted = run.metrics["expression_wanted_reader"]
    assert wanted.n["generated"] == 7
    assert wanted.value == pytest.approx(np.mean(read_as_wanted))
    assert 0 < np.mean(read_as_wanted) < 1


def test_the_terms_of_single_images_average_to_the_share(run: Run) -> None:
    for metric in METRICS:
        terms = image_terms(metric, run)
        assert terms is not None
        assert terms.mean() == pytest.approx(run.metrics[metric].value)


def test_an_unchanged_source_changes_nothing(run: Run) -> None:
    terms = image_terms("expression_change_faceapi", run)
    assert terms is not None
    neutral = terms[[name for name in terms.index if "neutral" in name]]
    assert neutral.max() == 0
    assert terms.max() > 0.1


def test_a_manifest_without_expressions_is_a_reason(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.csv"
    for path in IMAGES[:3:2]:
        shutil.copy(path, tmp_path)
    manifest.write_text(f"image,source\n{IMAGES[0].name},{IMAGES[2].name}\n")
    run = facebench.evaluate(manifest, protocol="edit", metrics="expression_wanted_reader")
    result = run.metrics["expression_wanted_reader"]
    assert result.value is None
    assert "expressions that the network knows in the column 'expression'" in result.reason
