"""The quick evaluation inside training: with LPIPS where its weights are at hand, and without."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from facebench import backbones
from facebench.backbones.weights import path_of, registry
from facebench.core.errors import WeightsError
from facebench.training.engine.image_grid import to_images
from facebench.training.engine.loop import fit
from facebench.training.engine.preview_metrics import PreviewMetrics, lpips_warnings
from facebench.training.tasks import registry as tasks
from tests.helpers.paper_weights import own_cache, put_in_place
from tests.training.engine.test_loop import TINY


def faces(count: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (count, 3, 16, 16)).astype(np.float32))


def said_and_logged(folder: Path) -> tuple[list[str], dict[str, str]]:
    """Train with one quick evaluation; what the run said, and what it wrote into its log."""
    (folder / "faces").mkdir()
    for number, image in enumerate(to_images(faces(4))):
        Image.fromarray(image).save(folder / "faces" / f"{number}.png")
    data = {"kind": "folder", "path": str(folder / "faces")}
    content: dict[str, Any] = {**TINY, "data": data, "steps": 1, "evaluate_every": 1, "evaluated": 3}
    prepared = tasks.prepare("diffae", content, "test")
    said: list[str] = []
    plain = prepared.settings.model_dump(mode="json")
    fit(prepared.task, prepared.settings, plain, folder / "out", device="cpu", say=said.append)
    with (folder / "out" / "log.csv").open() as file:
        return said, {row["name"]: row["value"] for row in csv.DictReader(file)}


def test_without_its_weights_lpips_is_left_out_and_the_run_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path / "cache"))
    said, logged = said_and_logged(tmp_path)
    assert [line for line in said if "lpips" in line] == [
        "the quick evaluation leaves out lpips, its weights are missing: "
        "facebench weights fetch alexnet lpips-alex"
    ]
    assert "mse" in logged
    assert "lpips" not in logged


def test_with_its_weights_lpips_is_reported(tmp_path: Path) -> None:
    with own_cache() as folder:
        put_in_place(("alexnet", "lpips-alex"), folder)
        said, logged = said_and_logged(tmp_path)
        assert float(logged["lpips"]) > 0
        assert [line for line in said if "lpips" in line] == [
            "NOT OFFICIAL: other weights than the published ones for lpips of the quick evaluation."
        ]


def test_lpips_is_the_mean_over_the_pairs_that_the_network_gives() -> None:
    with own_cache() as folder:
        put_in_place(("alexnet", "lpips-alex"), folder)
        made, x_0 = faces(5)[2:], faces(3)
        network = backbones.build("lpips")
        pairs = [
            torch.stack([network.preprocess(to_images(side[row : row + 1])[0]) for side in (made, x_0)])
            for row in range(3)
        ]
        expected = network.embed(torch.stack(pairs))["distance"].mean()
        preview = PreviewMetrics(x_0)
        assert preview.compute(made)["lpips"] == pytest.approx(float(expected), rel=1e-5)
        assert preview.compute(x_0)["lpips"] == 0
        assert "lpips" not in PreviewMetrics(x_0, lpips=False).compute(made)


def test_damaged_weights_are_named_before_training_starts() -> None:
    with own_cache() as folder:
        put_in_place(("alexnet", "lpips-alex"), folder)
        path = path_of(registry.entry("lpips-alex"))
        path.write_bytes(b"")
        with pytest.raises(WeightsError, match=str(path)):
            lpips_warnings()
