"""A statistics file stands for the reference images: same values, marked where it holds less."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import facebench
from facebench.core.errors import InputError
from facebench.evaluation import statistics
from facebench.evaluation.record import Run
from facebench.evaluation.statistics import image_statistics
from facebench.evaluation.statistics_files import read_statistics, write_statistics
from tests.evaluation.test_inputs_sources import without_source

OPTIONS: dict[str, Any] = {"protocol": "quality", "suite": "compact", "name": "model"}


@pytest.fixture(scope="module")
def halves(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Generated and reference faces."""
    folder = tmp_path_factory.mktemp("halves")
    for place, path in enumerate(sorted(faces.rglob("*.png"))):
        target = folder / ("generated" if place % 2 else "reference") / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return folder / "generated", folder / "reference"


@pytest.fixture(scope="module")
def of_folder(halves: tuple[Path, Path]) -> Run:
    return facebench.evaluate(*halves, **OPTIONS)


@pytest.fixture(scope="module")
def own(halves: tuple[Path, Path]) -> Path:
    path = halves[1].parent / "own.npz"
    write_statistics(path, image_statistics(halves[1], "lite0", device="cpu"))
    return path


@pytest.fixture(scope="module")
def foreign(own: Path) -> Path:
    path = own.parent / "foreign.npz"
    with np.load(own) as file:
        np.savez_compressed(path, mu=file["mu"], sigma=file["sigma"])
    return path


def metrics_of(run: Run) -> dict[str, Any]:
    return dict(without_source(run)["metrics"])  # type: ignore[call-overload]


def test_a_file_of_all_images_gives_the_metrics_of_the_images(
    halves: tuple[Path, Path], own: Path, of_folder: Run
) -> None:
    run = facebench.evaluate(halves[0], own, **OPTIONS)
    assert metrics_of(run) == metrics_of(of_folder)
    images, reference = of_folder.inputs["reference"], run.inputs["reference"]
    assert (reference.kind, reference.images, reference.digest) == ("statistics", 30, images.digest)
    assert reference.statistics == "lite0, features"


def test_a_file_of_some_images_marks_the_metrics_that_read_them(
    halves: tuple[Path, Path], of_folder: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "SKETCH", 20)
    write_statistics(tmp_path / "a.npz", image_statistics(halves[1], "lite0", device="cpu"))
    run = facebench.evaluate(halves[0], {"A": tmp_path / "a.npz", "B": halves[1]}, **OPTIONS)
    expected = of_folder.metrics["fd_lite0"].value
    assert run.metrics["fd_lite0@A"].value == pytest.approx(expected, rel=1e-6)
    assert run.metrics["fd_lite0@B"].value == pytest.approx(expected, rel=1e-12)
    assert "the reference counts as exact" in run.metrics["fd_lite0@A"].note
    assert run.metrics["fd_lite0@A"].low < expected < run.metrics["fd_lite0@A"].high
    for metric in ("kd_lite0", "precision_lite0", "recall_lite0"):
        assert "reference: 20 of 30 images" in run.metrics[f"{metric}@A"].note
        assert run.metrics[f"{metric}@A"].n["reference"] == 20
    assert run.inputs["reference:A"].digest != run.inputs["reference:B"].digest


def test_a_foreign_file_needs_its_network_and_is_marked(
    halves: tuple[Path, Path], foreign: Path, of_folder: Run
) -> None:
    with pytest.raises(InputError, match="does not name its network"):
        facebench.evaluate(halves[0], foreign, **OPTIONS)
    run = facebench.evaluate(halves[0], foreign, reference_network="lite0", **OPTIONS)
    result = run.metrics["fd_lite0"]
    assert result.value == pytest.approx(of_folder.metrics["fd_lite0"].value, rel=1e-6)
    assert "without provenance" in result.note
    assert result.n == {"generated": 30}
    assert run.metrics["kd_lite0"].reason.endswith("only mean and covariance")
    assert run.metrics["face_found"].value == of_folder.metrics["face_found"].value
    assert run.inputs["reference"].statistics == "lite0, as named by the user"
    assert any("the user named its network" in warning for warning in run.warnings)


def test_groups_are_compared_with_the_whole_reference(faces: Path, own: Path) -> None:
    run = facebench.evaluate(faces, own, metrics="fd_lite0", by="identity", name="model")
    assert any(result["fd_lite0"].value is not None for result in run.groups.values())


def _changed(own: Path, target: Path, **arrays: Any) -> Path:
    with np.load(own) as file:
        np.savez(target, **{**{name: file[name] for name in file.files}, **arrays})
    return target


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"weights_sha256": "0" * 64}, "other weights of lite0"),
        ({"preprocessing": "none"}, "other preprocessing of lite0"),
        ({"sketch": np.zeros((3, 5), np.float32)}, "the sketch is float32"),
        ({"sketch_names": np.array(["a"])}, "other numbers of names"),
        ({"n": 1}, "n is 1"),
        ({"network": "inception-legacy"}, "Name one that does: --metrics fid_legacy"),
    ],
)
def test_files_that_do_not_fit_are_one_line(
    tmp_path: Path, halves: tuple[Path, Path], own: Path, arrays: dict[str, Any], message: str
) -> None:
    more = {"array": "pool"} if "network" in arrays else {}
    path = _changed(own, tmp_path / "a.npz", **arrays, **more)
    with pytest.raises(InputError, match=message) as caught:
        facebench.evaluate(halves[0], path, metrics="fd_lite0", name="model")
    assert "\n" not in str(caught.value)


def test_a_file_of_another_width_is_one_line(tmp_path: Path, halves: tuple[Path, Path]) -> None:
    np.savez(tmp_path / "a.npz", mu=np.zeros(2048), sigma=np.eye(2048))
    with pytest.raises(InputError, match="2048 features, lite0 gives 1280"):
        facebench.evaluate(halves[0], tmp_path / "a.npz", reference_network="lite0", metrics="fd_lite0")
    with pytest.raises(InputError, match="'reference_network' is for a reference of statistics"):
        facebench.evaluate(*halves, reference_network="lite0")


@pytest.fixture(scope="module")
def textures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two folders of 80 small images."""
    rng = np.random.default_rng(0)
    folders = (tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second"))
    for place, folder in enumerate(folders):
        for i in range(80):
            coarse = rng.integers(0, 256 - 60 * place, (4, 4, 3)).astype(np.uint8)
            image = Image.fromarray(coarse).resize((32, 32), Image.Resampling.BICUBIC)
            image.save(folder / f"{i:03d}.png")
    return folders


def test_distances_agree_with_pytorch_fid_on_its_own_file(
    tmp_path: Path, textures: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pytorch_fid", reason="pytorch-fid is not installed")
    from pytorch_fid import fid_score, inception

    monkeypatch.setattr(inception, "fid_inception_v3", lambda: _seeded_inception(inception))
    options = {"batch_size": 20, "device": "cpu", "dims": 64, "num_workers": 0}
    file = tmp_path / "theirs.npz"
    fid_score.save_fid_stats([str(textures[1]), str(file)], **options)
    expected = fid_score.calculate_fid_given_paths([str(textures[0]), str(file)], **options)
    network = inception.InceptionV3([inception.InceptionV3.BLOCK_INDEX_BY_DIM[64]]).eval()
    rows = fid_score.get_activations(sorted(textures[0].iterdir()), network, 20, 64, "cpu", 0)
    read = read_statistics(file, "inception-legacy")
    assert facebench.metrics.frechet_distance(rows, read.moments) == pytest.approx(expected, rel=1e-6)


def _seeded_inception(inception: Any) -> Any:
    torch.manual_seed(0)
    return inception._inception_v3(num_classes=1008, aux_logits=False, weights=None)


def test_distances_agree_with_clean_fid_on_its_own_file(
    tmp_path: Path, textures: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    cleanfid = pytest.importorskip("cleanfid", reason="clean-fid is not installed")
    from cleanfid import fid

    projection = torch.randn(3 * 8 * 8, 40, generator=torch.Generator().manual_seed(0))

    def network(batch: torch.Tensor) -> torch.Tensor:
        small = torch.nn.functional.adaptive_avg_pool2d(batch / 255, 8)
        return small.flatten(1) @ projection

    monkeypatch.setattr(fid, "build_feature_extractor", lambda *_, **__: network)
    monkeypatch.setattr(cleanfid, "__file__", str(tmp_path / "cleanfid.py"))
    options: dict[str, Any] = {"mode": "clean", "num_workers": 0, "device": torch.device("cpu")}
    fid.make_custom_stats("theirs", str(textures[1]), verbose=False, **options)
    file = tmp_path / "stats" / "theirs_clean_custom_na.npz"
    rows = fid.get_folder_features(str(textures[0]), network, verbose=False, **options)
    with np.load(file) as theirs:
        expected = fid.frechet_distance(
            rows.mean(axis=0), np.cov(rows, rowvar=False), theirs["mu"], theirs["sigma"]
        )
    read = read_statistics(file, "inception-clean")
    assert facebench.metrics.frechet_distance(rows, read.moments) == pytest.approx(expected, rel=1e-6)
