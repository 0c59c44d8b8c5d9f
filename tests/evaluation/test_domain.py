"""The compact suite reads photographs and rendered faces with networks of their own, and marks everything else."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import facebench
from facebench.backbones import names
from facebench.backbones.domains import DOMAINS
from facebench.compare.comparability import reasons_not_comparable
from facebench.evaluation.cards import find_card
from facebench.evaluation.domain import domain_of_faces
from facebench.evaluation.plan import make_plan
from facebench.evaluation.record import Run
from facebench.synthface import FaceModel
from tests.helpers.paths import GOLDENS_FOLDER

PHOTOGRAPHS_ONLY = "valence_change_faceapi"
RENDERED_ONLY = "valence_change_reader"


@pytest.fixture(scope="module")
def edits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rendered")
    model = FaceModel()
    images = model.render(model.sample(4, seed=3, images=2), 128)
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{index}.png")
    rows = [f"{index}.png,{index - index % 2}.png" for index in range(len(images))]
    (folder / "manifest.csv").write_text("\n".join(["image,source", *rows]))
    return folder


@pytest.fixture(scope="module")
def rendered(edits: Path) -> Run:
    return facebench.evaluate(edits, protocol="edit", suite="compact")


def test_networks_with_a_domain_exist() -> None:
    assert set(DOMAINS) <= set(names())
    assert find_card(RENDERED_ONLY).domain == "rendered"
    assert find_card("eer_sface").domain == "any"


def test_rendered_faces_are_recognised_and_read_by_their_network(rendered: Run) -> None:
    record = rendered.inputs["generated"]
    assert record.domain == "rendered"
    assert record.domain_source == "detected, 4 of 4 examined faces are rendered"
    assert RENDERED_ONLY in rendered.metrics
    assert PHOTOGRAPHS_ONLY not in rendered.metrics
    assert not any("domain" in result.note for result in rendered.metrics.values())


def test_declared_photographs_are_read_by_the_other_network_and_the_rest_is_marked(
    edits: Path, rendered: Run
) -> None:
    run = facebench.evaluate(edits, protocol="edit", suite="compact", domain="photographs")
    assert run.inputs["generated"].domain_source == "declared"
    assert PHOTOGRAPHS_ONLY in run.metrics
    assert RENDERED_ONLY not in run.metrics
    marked = run.metrics["shape_distance_reader"]
    assert "outside its domain: facereader reads rendered faces, the images are photographs" in marked.note
    assert any("facereader was trained on rendered faces" in warning for warning in run.warnings)
    assert run.metrics[PHOTOGRAPHS_ONLY].note.find("domain") == -1
    assert "images of the kind photographs, not rendered" in reasons_not_comparable(rendered, run)


def test_a_metric_selected_by_id_is_computed_and_marked(edits: Path) -> None:
    run = facebench.evaluate(edits, protocol="edit", metrics=PHOTOGRAPHS_ONLY)
    assert "faceapi-expression reads photographs" in run.metrics[PHOTOGRAPHS_ONLY].note


def test_a_column_of_the_manifest_declares_the_domain(edits: Path, tmp_path: Path) -> None:
    for path in edits.glob("*.png"):
        shutil.copy(path, tmp_path)
    (tmp_path / "manifest.csv").write_text("image,domain\n0.png,photographs\n1.png,Photographs\n")
    run = facebench.evaluate(tmp_path, metrics="face_quality_sface")
    assert (run.inputs["generated"].domain, run.inputs["generated"].domain_source) == (
        "photographs",
        "declared",
    )


def test_sets_of_different_kinds_are_a_warning(edits: Path, tmp_path: Path) -> None:
    (tmp_path / "reference").mkdir()
    for path in edits.glob("*.png"):
        shutil.copy(path, tmp_path / "reference")
    (tmp_path / "reference" / "manifest.csv").write_text(
        "image,domain\n0.png,photographs\n1.png,photographs\n"
    )
    run = facebench.evaluate(edits, tmp_path / "reference", metrics="face_quality_sface,fd_lite0")
    (warning,) = [text for text in run.warnings if "comparable only within one kind" in text]
    assert warning.startswith("the generated images are rendered faces, the reference images are photographs")


def test_faces_of_another_renderer_count_as_rendered() -> None:
    run = facebench.evaluate(GOLDENS_FOLDER / "images", metrics="face_quality_sface")
    assert run.inputs["generated"].domain == "rendered"


def test_random_directions_are_photographs_and_halves_are_mixed() -> None:
    rng = np.random.default_rng(0)
    faces = rng.standard_normal((200, 128))
    faces /= np.linalg.norm(faces, axis=1, keepdims=True)
    assert domain_of_faces(faces).domain == "photographs"
    from facebench.evaluation.domain import _direction

    half = np.vstack([faces[:10], np.tile(_direction(), (10, 1))])
    assert domain_of_faces(half).domain == "mixed"


def test_the_plan_keeps_alternatives_for_mixed_sets() -> None:
    plan = make_plan("expression-transfer", "compact")
    ids = {
        domain: {card.id for card in plan.for_domain(domain).cards}
        for domain in ("photographs", "rendered", "mixed")
    }
    assert "expression_agreement_reader" not in ids["photographs"]
    assert "expression_agreement_faceapi" not in ids["rendered"]
    assert ids["mixed"] == ids["photographs"] | ids["rendered"]
    assert {"shape_distance_reader", "identity_similarity_faceapi"} <= ids["photographs"] & ids["rendered"]


def test_a_mixed_set_is_compared_with_sets_of_one_kind(rendered: Run) -> None:
    mixed = rendered.model_copy(deep=True)
    mixed.inputs["generated"].domain = "mixed"
    assert reasons_not_comparable(rendered, mixed) == []
