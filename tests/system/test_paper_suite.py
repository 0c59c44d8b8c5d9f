"""The paper suite from the command line to the record, on real networks with filled weights."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.spatial.distance import cdist

from facebench import Leaderboard
from facebench.backbones import weights
from facebench.evaluation.plan import make_plan
from facebench.evaluation.record import Run
from tests.helpers.golden_networks import GOLDENS, Golden
from tests.helpers.paper_weights import facebench, marked, measure, own_cache, put_in_place, valued

A, B = (sorted((GOLDENS / "images" / side).glob("*.png")) for side in "ab")
LARGE = {"clip-vitl14-336", "dinov2-vitl14"}


@pytest.fixture(scope="module", autouse=True)
def place() -> Iterator[Path]:
    with own_cache() as folder:
        yield folder


@pytest.fixture(scope="module")
def quality(place: Path) -> Run:
    """Evaluate 32 faces with 32 reference faces by all metrics of the protocol except the two large transformers."""
    put_in_place(("inception", "crfiqa-l"), place)
    wanted = [card.id for card in make_plan("quality", "paper").cards if card.reads.backbone not in LARGE]
    a, b = A[0].parent, B[0].parent
    run, _ = measure(place / "quality", a, "--reference", b, "--metrics", ",".join(wanted))
    return run


def test_filled_weights_are_refused_where_official_ones_belong(tmp_path: Path) -> None:
    torch.save({"conv.weight": torch.zeros(1)}, tmp_path / "own.pth")
    with own_cache():
        done = facebench("weights", "import", "inception", tmp_path / "own.pth")
        assert weights.suite_ready(["inception-tf"]) == ["inception"]
    assert done.code == 2
    assert "is not the file 'inception': its sha256 is" in done.text


def test_numbers_of_64_images_are_those_that_the_peers_recorded(quality: Run) -> None:
    recorded = Golden("inception_fid").facts["distances_a_b"]
    tf, clean = recorded["torch_fidelity"], recorded["clean_fid"]
    values = {metric: result.value for metric, result in quality.metrics.items()}
    valued(quality.metrics)
    assert values["fid_tf"] == pytest.approx(tf["fid.torch_fidelity_function"], rel=1e-3)
    assert values["fid_clean"] == pytest.approx(clean["fid.clean_fid_function"], rel=1e-3)
    assert values["kid"] == pytest.approx(tf["kid.torch_fidelity_full_set"], rel=1e-3)
    # torch-fidelity computes distances in float32 by a matrix product, which changes the order of one near tie.
    for metric, value in in_float64(Golden("inception_fid")).items():
        assert values[metric] == value
        assert value == pytest.approx(tf["prc.torch_fidelity_k3_generated_a_real_b"][metric], abs=1 / 32)
    assert quality.inputs["generated"].images == quality.inputs["generated"].faces == 32


def in_float64(golden: Golden) -> dict[str, float]:
    """Compute precision and recall by definition, one distance at a time."""
    a, b = (golden[f"torch_fidelity.{side}"].astype(np.float64) for side in "ab")

    def covered(points: np.ndarray, centres: np.ndarray) -> float:
        radii = np.sort(cdist(centres, centres), axis=1)[:, 3]
        return float((cdist(points, centres) <= radii).any(axis=1).mean())

    return {"precision": covered(a, b), "recall": covered(b, a)}


def test_every_table_says_that_the_weights_are_not_official(quality: Run, place: Path) -> None:
    marked(quality)
    again, printed = measure(place / "again", A[0].parent, "--reference", B[0].parent, "--metrics", "fid_tf")
    assert again.metrics["fid_tf"] == quality.metrics["fid_tf"]
    assert "†" in printed
    assert "note: NOT OFFICIAL" in printed
    board = Leaderboard.from_runs([quality])
    sentence = "Some weights are not the official ones"
    assert sentence in board.to_markdown()
    assert sentence in board.to_html()
    assert "not the official weights of inception-tf" in board.to_latex()
    assert "crfiqa-l, inception-clean, inception-tf" in board.to_csv()


@pytest.fixture(scope="module")
def arcface(place: Path) -> None:
    put_in_place(("arcface-iresnet100",), place)


@pytest.mark.usefixtures("quality", "arcface")
def test_the_identity_protocol_runs_on_40_images(tmp_path: Path) -> None:
    for file in [*A, *B[:8]]:
        person, _, expression = file.stem.partition("_")
        (tmp_path / "generated" / person).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, tmp_path / "generated" / person / f"{expression}.png")
    for file in A:
        person, _, expression = file.stem.partition("_")
        (tmp_path / "real" / person).mkdir(parents=True, exist_ok=True)
        with Image.open(file) as image:
            mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            mirrored.save(tmp_path / "real" / person / f"{expression}.png")
    words = ("--reference", tmp_path / "real", "--protocol", "identity", "--suite", "paper")
    run, _ = measure(tmp_path / "run", tmp_path / "generated", *words)
    assert list(run.metrics) == [card.id for card in make_plan("identity", "paper").cards]
    few = run.metrics.pop("fmr1000_arcface")
    assert few.value is None
    assert "720" in few.reason
    valued(run.metrics)
    marked(run)
    assert run.metrics["eer_arcface_real"].n == {"genuine": 128, "impostor": 1152, "identities": 10}


@pytest.mark.usefixtures("quality", "arcface")
def test_the_edit_protocol_runs_with_sources_and_targets(place: Path, tmp_path: Path) -> None:
    put_in_place(("emonet-8", "maxvit-va", "deca", "emoca", "alexnet", "lpips-alex"), place)
    rows = []
    for number in range(8):
        happy, neutral, target = A[4 * number + 1], A[4 * number + 2], B[4 * number + 1]
        for file in (happy, neutral, target):
            shutil.copy(file, tmp_path)
        linked = {"image": happy.name, "source": neutral.name, "target": target.name}
        rows.append({**linked, "expression": "happy"})
    pd.DataFrame(rows).to_csv(tmp_path / "manifest.csv", index=False)
    run, _ = measure(tmp_path / "run", tmp_path / "manifest.csv", "--protocol", "edit", "--suite", "paper")
    absent = [metric for metric in run.metrics if metric.endswith(("_maxvitc", "_emotieff"))]
    assert len(absent) == 4
    assert all("are missing: facebench weights" in run.metrics.pop(metric).reason for metric in absent)
    assert list(run.metrics) == [card.id for card in make_plan("edit", "paper").cards]
    assert "28 pairs of different people" in run.metrics["same_person_fmr1000_arcface"].reason
    for metric in [
        metric for metric in run.metrics if metric.startswith(("same_person_", "edit_trade_off_"))
    ]:
        assert run.metrics.pop(metric).reason
    valued(run.metrics)
    marked(run)
    assert {name: given.images for name, given in run.inputs.items()} == dict.fromkeys(
        ("generated", "source", "target"), 8
    )
    assert run.per_image is not None
    distances = run.per_image.query("role == 'generated'")["distance:lpips"]
    assert distances.mean() == pytest.approx(run.metrics["lpips"].value, rel=1e-6)
