"""Rates over a benchmark, and benchmarks of full size in the distributed layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facebench.training.recognition.benchmark_verification import pooled_tar, score
from facebench.training.recognition.benchmarks import Pairs, open_benchmark
from tests.helpers import full_size_bin


def benchmark(pairs: int, seed: int = 0) -> tuple[Pairs, np.ndarray]:
    """Labels of a benchmark and squared distances."""
    rng = np.random.default_rng(seed)
    same = np.arange(pairs) % 2 == 0
    distances = np.where(same, rng.normal(0.9, 0.3, pairs), rng.normal(1.9, 0.2, pairs))
    return Pairs("lfw", np.zeros((0, 112, 112, 3), np.uint8), same, "digest"), distances


def test_the_lowest_rate_needs_ten_thousand_impostors() -> None:
    few, many = score(*benchmark(6000)), score(*benchmark(20_000))
    assert few.tar["0.0001"].value is None
    assert few.tar["0.001"].value is not None
    value = many.tar["0.0001"].value
    assert value is not None
    impostor, genuine = np.sort(many.impostor), many.genuine
    assert value == pytest.approx((genuine > impostor[-2]).mean())  # one of 10,000 impostors is accepted
    higher = many.tar["0.001"].value
    assert higher is not None
    assert value <= higher


def test_test_sets_together_resolve_the_lowest_rate() -> None:
    scores = [score(*benchmark(pairs, seed)) for seed, pairs in enumerate((6000, 6000, 7000, 6000))]
    impostor = np.sort(np.concatenate([each.impostor for each in scores]))
    genuine = np.concatenate([each.genuine for each in scores])
    assert len(impostor) == 12_500
    assert pooled_tar(scores) == pytest.approx((genuine > impostor[-2]).mean())
    assert pooled_tar(scores[:3]) is None


@pytest.mark.large
def test_a_file_of_full_size_as_python_2_wrote_it_is_read(tmp_path: Path) -> None:
    path, pairs = tmp_path / "lfw.bin", full_size_bin.PAIRS["lfw"]
    full_size_bin.write(path, full_size_bin.crops(), pairs)
    assert path.stat().st_size > 40e6
    read = open_benchmark(path)
    assert read.crops.shape == (2 * pairs, 112, 112, 3)
    assert read.same.reshape(10, 2, 300).all(axis=2).tolist() == [[True, False]] * 10
    assert read.left_out == ()
