"""Statistics files of pytorch-fid and clean-fid with 2048 features, written by the libraries themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import facebench
from facebench.evaluation.statistics import image_statistics
from facebench.evaluation.statistics_files import read_statistics, write_statistics
from tests.helpers.golden_networks import GOLDENS, Golden
from tests.helpers.paper_weights import own_cache, put_in_place

pytest.importorskip("pytorch_fid", reason="pytorch-fid is not installed")
pytest.importorskip("cleanfid", reason="clean-fid is not installed")

pytestmark = pytest.mark.slow
COUNT = 12
"""Images of each folder."""


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """Filled weights, for facebench and where PyTorch's hub looks for the published file."""
    with own_cache() as folder, pytest.MonkeyPatch.context() as patch:
        put_in_place(("inception",), folder)
        hub = folder / "checkpoints"
        hub.mkdir()
        torch.save(Golden("inception_fid").state(), hub / "pt_inception-2015-12-05-6726825d.pth")
        patch.setattr(torch.hub, "_hub_dir", str(folder))
        yield folder


@pytest.fixture(scope="module")
def folders(place: Path) -> tuple[Path, Path]:
    """Generated and reference faces."""
    for side in "ab":
        (place / side).mkdir()
        for path in sorted((GOLDENS / "images" / side).glob("*.png"))[:COUNT]:
            Image.open(path).save(place / side / path.name)
    return place / "a", place / "b"


def of_pytorch_fid(folder: Path, file: Path) -> Path:
    """Let pytorch-fid run its network and write its file."""
    from pytorch_fid import fid_score

    fid_score.save_fid_stats([str(folder), str(file)], batch_size=4, device="cpu", dims=2048, num_workers=0)
    return file


def of_clean_fid(folder: Path, file: Path) -> Path:
    """Let clean-fid run its network and write its file; mode "clean" reads a TorchScript file of the same weights."""
    import cleanfid
    from cleanfid import fid
    from cleanfid.inception_pytorch import InceptionV3

    network = InceptionV3(resize_input=False, normalize_input=False).eval()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            fid,
            "build_feature_extractor",
            lambda *_, **__: lambda batch: network((batch - 128) / 128)[0].flatten(1),
        )
        patch.setattr(cleanfid, "__file__", str(file.parent / "cleanfid.py"))
        fid.make_custom_stats(
            file.stem, str(folder), mode="clean", num_workers=0, device=torch.device("cpu"), verbose=False
        )
    return file.parent / "stats" / f"{file.stem}_clean_custom_na.npz"


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("write", "network", "metric"),
    [(of_pytorch_fid, "inception-legacy", "fid_legacy"), (of_clean_fid, "inception-clean", "fid_clean")],
)
def test_their_file_gives_the_distance_of_the_reference_images(
    tmp_path: Path,
    folders: tuple[Path, Path],
    write: Callable[[Path, Path], Path],
    network: str,
    metric: str,
) -> None:
    file = write(folders[1], tmp_path / "theirs.npz")
    options: dict[str, Any] = {"metrics": metric, "name": "model"}
    run = facebench.evaluate(folders[0], file, reference_network=network, **options)
    write_statistics(tmp_path / "ours.npz", image_statistics(folders[1], network, device="cpu"))
    expected = facebench.evaluate(folders[0], tmp_path / "ours.npz", **options)
    assert run.metrics[metric].value == pytest.approx(expected.metrics[metric].value, rel=1e-6)
    assert len(read_statistics(file, network).mu) == 2048


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray]:
    """Two sets of more rows than features, with mean and covariance near those of Inception features."""
    rng = np.random.default_rng(0)
    golden = Golden("inception_fid")
    sides = []
    for side in "ab":
        known = golden[f"clean_fid.{side}"].astype(np.float64)
        mixed = rng.dirichlet(np.ones(len(known)), 2200) @ known
        sides.append((mixed + 0.05 * known.std() * rng.standard_normal(mixed.shape)).astype(np.float32))
    return sides[0], sides[1]


def test_distances_of_2048_features_agree_with_both_libraries(
    tmp_path: Path, rows: tuple[np.ndarray, np.ndarray]
) -> None:
    """Fewer images than features are left out: the square root of both libraries then has errors of 1e-3."""
    from cleanfid.fid import frechet_distance
    from pytorch_fid.fid_score import calculate_frechet_distance

    (mu, sigma), theirs = ((each.mean(axis=0), np.cov(each, rowvar=False)) for each in rows)
    np.savez_compressed(tmp_path / "theirs.npz", mu=theirs[0], sigma=theirs[1])
    value = facebench.metrics.frechet_distance(
        rows[0], read_statistics(tmp_path / "theirs.npz", "inception-clean").moments
    )
    assert value == pytest.approx(calculate_frechet_distance(mu, sigma, *theirs), rel=1e-6)
    assert value == pytest.approx(frechet_distance(mu, sigma, *theirs), rel=1e-6)
