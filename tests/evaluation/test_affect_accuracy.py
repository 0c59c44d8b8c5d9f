"""The protocol affect-accuracy: networks against labels, and against each other."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import facebench
from facebench.compare.affect_tables import affect_tables, confusion_tables
from facebench.core.errors import InputError
from facebench.evaluation.record import Run
from facebench.evaluation.record_reading import load_run
from facebench.metrics import affect_agreement
from tests.helpers.paper_weights import facebench as command

CODES = {
    "neutral": 0,
    "happy": 1,
    "sad": 2,
    "surprised": 3,
    "afraid": 4,
    "disgusted": 5,
    "angry": 6,
    "contempt": 7,
}


def labels_of(faces: Path) -> pd.DataFrame:
    """The rendered faces with their true expression, valence and arousal."""
    table = pd.read_csv(faces / "manifest.csv")
    return table[table["expression"].isin(CODES)].reset_index(drop=True)


@pytest.fixture(scope="module")
def affectnet_folder(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rendered faces in the layout of AffectNet, and one image of class 9."""
    root = tmp_path_factory.mktemp("affectnet")
    images, notes = root / "val_set" / "images", root / "val_set" / "annotations"
    images.mkdir(parents=True)
    notes.mkdir()
    rows = labels_of(faces).itertuples()
    labelled = [(row.image, CODES[row.expression], row.valence, row.arousal) for row in rows]
    for number, (image, *values) in enumerate([*labelled, (labelled[0][0], 9, -2, -2)]):
        shutil.copy(faces / image, images / f"{number:03d}.png")
        for name, value in zip(("exp", "val", "aro"), values, strict=True):
            np.save(notes / f"{number:03d}_{name}.npy", np.array(str(value)))
    return root


@pytest.fixture(scope="module")
def judged(affectnet_folder: Path) -> Run:
    return facebench.evaluate(affectnet_folder, protocol="affect-accuracy", suite="compact")


def test_networks_are_compared_with_affectnets_own_labels(judged: Run, faces: Path) -> None:
    table = judged.per_image
    assert table is not None
    assert len(table) == len(labels_of(faces))
    assert any("1 images of AffectNet's classes 8 to 10" in warning for warning in judged.warnings)
    predicted, labels = table["valence:facereader"].to_numpy(), table["valence"].astype(float).to_numpy()
    agreement = affect_agreement(labels, predicted)
    assert judged.metrics["valence_truth_ccc_reader"].value == pytest.approx(agreement.ccc)
    assert judged.metrics["valence_truth_pcc_reader"].value == pytest.approx(agreement.pearson)
    assert judged.metrics["valence_truth_rmse_reader"].value == pytest.approx(agreement.rmse)
    assert judged.metrics["valence_truth_sagr_reader"].value == pytest.approx(agreement.sagr)
    assert judged.metrics["valence_truth_ccc_reader"].value > 0.5
    for metric in ("valence_truth_ccc_reader", "expression_recall_reader"):
        assert judged.metrics[metric].low < judged.metrics[metric].value < judged.metrics[metric].high


def test_recalls_and_confusions_agree_with_the_metrics(judged: Run) -> None:
    confusion = judged.confusions["facereader"]
    counts = np.array(confusion.counts)
    present = counts.sum(axis=1) > 0
    recalls = np.diag(counts)[present] / counts[present].sum(axis=1)
    assert judged.metrics["expression_recall_reader"].value == pytest.approx(recalls.mean())
    assert judged.metrics["expression_wanted_reader"].value == pytest.approx(np.trace(counts) / counts.sum())
    values = [recall.value for recall in confusion.recalls if recall.value is not None]
    assert values == pytest.approx(recalls.tolist())
    for recall in confusion.recalls:
        assert (recall.value is None) == (recall.n == 0)
        if recall.value is not None:
            assert recall.low <= recall.value <= recall.high


def test_networks_are_compared_with_each_other(judged: Run) -> None:
    found = {each.output: each for each in judged.network_agreement}
    assert set(found) == {"valence", "arousal", "expression"}
    table = judged.per_image
    assert table is not None
    a, b = (table[f"valence:{name}"].to_numpy() for name in ("faceapi-expression", "facereader"))
    assert found["valence"].value == pytest.approx(affect_agreement(a, b).ccc)
    assert found["valence"].low < found["valence"].value < found["valence"].high
    assert 0 < found["expression"].value < 1


def test_the_tables_show_published_scores_beside(judged: Run, tmp_path: Path) -> None:
    scores, published, recalls, _ = affect_tables(load_run(judged.save(tmp_path / "run")))
    assert [row[0].text for row in scores.rows] == ["faceapi-expression", "facereader"]
    assert "published" in published.caption
    assert ["CAGE MaxViT", "AffectNet-8 validation"] in [[c.text for c in row[:2]] for row in published.rows]
    assert len(recalls.columns) == 3
    assert confusion_tables(judged)[0].rows


def test_labels_of_another_scale_are_named(faces: Path, tmp_path: Path) -> None:
    table = labels_of(faces).head(20)
    table["valence"] = 5 + 4 * table["valence"]
    table["image"] = [str(faces / image) for image in table["image"]]
    table.to_csv(tmp_path / "manifest.csv", index=False)
    with pytest.raises(InputError, match=r"valence ranges from .* Rescale the column to the range -1 to 1"):
        facebench.evaluate(tmp_path / "manifest.csv", protocol="affect-accuracy", suite="compact")


def test_the_terminal_shows_the_networks(affectnet_folder: Path, tmp_path: Path) -> None:
    done = command("evaluate", affectnet_folder, "--protocol", "affect-accuracy", "--out", tmp_path / "run")
    assert done.code == 0, done.text
    for text in (
        "Networks on these labels",
        "Recall of each expression",
        "Agreement of the networks",
        "EmoNet-8",
    ):
        assert text in done.text


def test_classes_without_images_are_named(judged: Run, faces: Path) -> None:
    (note,) = affect_tables(judged)[2].notes
    present = set(labels_of(faces)["expression"])
    assert [name in note for name in CODES] == [name not in present for name in CODES]


def test_networks_with_other_names_of_an_expression_share_its_row(judged: Run) -> None:
    confusion = judged.confusions["facereader"]
    named = {"afraid": "fear", "angry": "anger"}
    recalls = [
        each.model_copy(update={"expression": named.get(each.expression, each.expression)})
        for each in confusion.recalls
    ]
    other = confusion.model_copy(update={"recalls": recalls})
    table = affect_tables(judged.model_copy(update={"confusions": {"a": confusion, "b": other}}))[2]
    assert [row[0].text for row in table.rows] == [each.expression for each in confusion.recalls]
    assert all(first.text == second.text for _, first, second in table.rows)


def test_a_network_with_another_scale_is_named(
    affectnet_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "nine.py").write_text(
        "import torch\n\ndef nine():\n    return lambda x: torch.stack([5 + x.mean((1, 2, 3)), x.mean((1, 2, 3))], 1)\n"
    )
    (tmp_path / "nine.yaml").write_text(
        "name: nine\ncode: nine.py:nine\ncrop: face112\nsize: 112\n"
        "outputs: {valence: {columns: 0}, arousal: {columns: 1}}\n"
    )
    done = command("networks", "add", tmp_path / "nine.yaml", "--code", tmp_path / "nine.py")
    assert done.code == 0, done.text
    run = facebench.evaluate(affectnet_folder, metrics=["valence_truth_ccc_nine"], protocol="affect-accuracy")
    (warning,) = (warning for warning in run.warnings if "nine:" in warning)
    assert warning.startswith("nine: valence ranges from 5.")
    assert "expected is -1 to 1" in warning
