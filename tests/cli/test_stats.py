"""`facebench stats` writes the keys of pytorch-fid and clean-fid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facebench.cli import run_command


def test_stats_writes_mean_covariance_and_provenance(
    tmp_path: Path, faces: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["stats", str(faces), "--out", str(tmp_path / "a.npz"), "--network", "lite0", "--device", "cpu"]
    assert run_command(words) == 0
    assert "60 images, lite0, 1280 features" in " ".join(capsys.readouterr().out.split())
    with np.load(tmp_path / "a.npz") as file:
        assert (file["mu"].shape, file["sigma"].shape, int(file["n"])) == ((1280,), (1280, 1280), 60)


def test_an_unknown_network_is_one_line(
    tmp_path: Path, faces: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["stats", str(faces), "--out", str(tmp_path / "a.npz"), "--network", "lite"]) == 2
    assert "lite0" in capsys.readouterr().err
    assert not (tmp_path / "a.npz").exists()
