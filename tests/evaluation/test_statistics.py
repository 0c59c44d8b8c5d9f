"""Statistics files: Fréchet distances equal those of the features, and foreign files are marked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg

from facebench import backbones, metrics
from facebench.core.errors import InputError
from facebench.evaluation.statistics import image_statistics
from facebench.evaluation.statistics_files import read_statistics, write_statistics
from facebench.features.extraction import extract
from facebench.images.image_set import ImageSet
from facebench.metrics.moments import Moments

RNG = np.random.default_rng(0)
ROWS, OTHER = RNG.standard_normal((200, 12)), RNG.standard_normal((150, 12)) * 1.3 + 0.2


def covariance(rows: np.ndarray) -> dict[str, Any]:
    """Mean and covariance as pytorch-fid and clean-fid compute them."""
    return {"mu": np.mean(rows, axis=0), "sigma": np.cov(rows, rowvar=False)}


def test_written_statistics_give_the_mean_and_covariance_of_the_features(tmp_path: Path, faces: Path) -> None:
    write_statistics(tmp_path / "a.npz", image_statistics(faces, "lite0", device="cpu"))
    network = backbones.build("lite0")
    features = extract(ImageSet.open(faces), [network], store=None).arrays["lite0"]["features"]
    expected = covariance(features.astype(np.float64))
    with np.load(tmp_path / "a.npz") as file:
        assert file["mu"] == pytest.approx(expected["mu"], rel=1e-9, abs=1e-12)
        assert file["sigma"] == pytest.approx(expected["sigma"], rel=1e-9, abs=1e-12)
    read = read_statistics(tmp_path / "a.npz", "lite0")
    assert read.origin is not None
    assert (read.origin.n, read.origin.array) == (60, "features")
    assert read.origin.weights_sha256 == network.weights.sha256
    with pytest.raises(InputError, match="was written with lite0"):
        read_statistics(tmp_path / "a.npz", "inception-clean")


def test_foreign_statistics_give_the_distance_of_pytorch_fid(tmp_path: Path) -> None:
    ours, theirs = covariance(ROWS), covariance(OTHER)
    np.savez(tmp_path / "a.npz", **theirs)
    read = read_statistics(tmp_path / "a.npz", "inception-legacy")
    assert (read.network, read.origin) == ("inception-legacy", None)
    root = scipy.linalg.sqrtm(ours["sigma"] @ theirs["sigma"]).real
    step = ours["mu"] - theirs["mu"]
    expected = step @ step + np.trace(ours["sigma"] + theirs["sigma"] - 2 * root)
    assert metrics.frechet_distance(ROWS, read.moments) == pytest.approx(expected, rel=1e-6)
    assert metrics.frechet_distance(ROWS, read.moments) == pytest.approx(
        metrics.frechet_distance(ROWS, Moments.of(OTHER)), rel=1e-9
    )


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"mu": np.zeros(3)}, "'sigma' is missing"),
        ({"mu": np.zeros(3), "sigma": np.eye(4)}, r"\(d,\) and \(d, d\)"),
        ({"mu": np.full(3, np.nan), "sigma": np.eye(3)}, "NaN"),
        ({"mu": np.zeros(3), "sigma": np.triu(np.ones((3, 3)))}, "symmetric"),
        ({"mu": np.zeros(3), "sigma": -np.eye(3)}, "variances"),
        ({"mu": np.array(["a"]), "sigma": np.eye(1)}, "floats"),
        ({"mu": np.zeros(3), "sigma": np.eye(3)}, "does not name its network"),
        ({"mu": np.zeros(3), "sigma": np.eye(3), "network": "lite0", "n": 5}, "not a whole statistics file"),
        ({"mu": np.array([{}]), "sigma": np.eye(1)}, "allow_pickle"),
    ],
)
def test_wrong_files_are_one_line(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=message) as caught:
        read_statistics(tmp_path / "a.npz")
    assert "\n" not in str(caught.value)


def test_a_damaged_file_and_a_single_image_are_one_line(tmp_path: Path, faces: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 damaged")
    with pytest.raises(InputError, match="not a readable NPZ file"):
        read_statistics(tmp_path / "a.npz")
    with pytest.raises(InputError, match="usable image"):
        image_statistics(_one(tmp_path / "one", faces), "lite0", device="cpu")


def _one(folder: Path, faces: Path) -> Path:
    folder.mkdir()
    (folder / "a.png").write_bytes(next(faces.rglob("*.png")).read_bytes())
    return folder
