"""benchmarks/gpu.py on the processor, which stands in for a GPU."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import gpu

pytestmark = pytest.mark.system


def test_the_script_runs_on_the_processor_and_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "gpu.json"
    words = ["gpu.py", "--device", "cpu", "--images", "8", "--networks", "faceapi-expression", "lite0"]
    monkeypatch.setattr(sys, "argv", [*words, "--no-training", "--out", str(out)])
    gpu.main()
    content = json.loads(out.read_text(encoding="utf-8"))
    assert content["device"] == "processor in place of a GPU"
    assert [row["network"] for row in content["networks"]] == ["faceapi-expression", "lite0"]
    assert all(row["correct"] and row["difference"] == 0 for row in content["networks"])
    assert all(0 < row["share"] < 1.5 for row in content["networks"])


def test_a_difference_is_a_share_of_the_largest_value_of_the_array() -> None:
    expected = {"embedding": np.array([[1.0, -4.0]]), "norm": np.array([[100.0]])}
    found = {"embedding": np.array([[1.0, -3.9]]), "norm": np.array([[101.0]])}
    assert gpu.largest_difference(found, expected) == pytest.approx(0.025)
    assert not gpu.NetworkResult("any", 0.025, 1.0, 1.0, 0.0).correct


def test_a_machine_without_cuda_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    with pytest.raises(SystemExit, match="finds no CUDA device"):
        gpu.main()
