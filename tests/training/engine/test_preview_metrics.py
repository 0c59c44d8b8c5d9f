"""Evaluation during training, with and without the weights of LPIPS."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from facebench import backbones
from facebench.backbones.weights import path_of, registry
from facebench.core.errors import WeightsError
from facebench.training.engine.image_grid import to_images
from facebench.training.engine.preview_metrics import PreviewMetrics, lpips_warnings
from tests.helpers.paper_weights import own_cache, put_in_place
from tests.training.engine.conftest import train

MakeSettings = Callable[..., dict[str, Any]]


def faces(count: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (count, 3, 16, 16)).astype(np.float32))


def train_and_evaluate(settings: MakeSettings, out: Path) -> tuple[list[str], dict[str, str]]:
    """Train one step with an evaluation; return the messages and the logged values."""
    messages: list[str] = []
    train(settings(steps=1, evaluate_every=1, eval_images=3), out, on_message=messages.append)
    with (out / "log.csv").open() as file:
        return messages, {row["name"]: row["value"] for row in csv.DictReader(file)}


def test_without_its_weights_lpips_is_left_out_with_one_message(
    settings: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path / "cache"))
    messages, logged = train_and_evaluate(settings, tmp_path)
    assert [line for line in messages if "lpips" in line] == [
        "The evaluation during training leaves out lpips, because its weights are missing. Fetch them with: "
        "facebench weights fetch alexnet lpips-alex"
    ]
    assert "mse" in logged
    assert "lpips" not in logged


def test_with_its_weights_lpips_is_reported(settings: MakeSettings, tmp_path: Path) -> None:
    with own_cache() as folder:
        put_in_place(("alexnet", "lpips-alex"), folder)
        messages, logged = train_and_evaluate(settings, tmp_path)
        assert float(logged["lpips"]) > 0
        assert [line for line in messages if "lpips" in line] == [
            "NOT OFFICIAL: lpips of the evaluation during training uses weights that differ from the published ones."
        ]


def test_lpips_is_the_mean_over_pairs() -> None:
    with own_cache() as folder:
        put_in_place(("alexnet", "lpips-alex"), folder)
        generated, x_0 = faces(5)[2:], faces(3)
        network = backbones.build("lpips")
        pairs = [
            torch.stack([network.preprocess(to_images(side[row : row + 1])[0]) for side in (generated, x_0)])
            for row in range(3)
        ]
        expected = network.embed(torch.stack(pairs))["distance"].mean()
        preview = PreviewMetrics(x_0)
        assert preview.compute(generated)["lpips"] == pytest.approx(float(expected), rel=1e-5)
        assert preview.compute(x_0)["lpips"] == 0
        assert "lpips" not in PreviewMetrics(x_0, lpips=False).compute(generated)


def test_damaged_weights_are_reported_before_training_starts() -> None:
    with own_cache() as folder:
        put_in_place(("alexnet", "lpips-alex"), folder)
        path = path_of(registry.entry("lpips-alex"))
        path.write_bytes(b"")
        with pytest.raises(WeightsError, match=str(path)):
            lpips_warnings()
