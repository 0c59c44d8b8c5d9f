"""The evaluator in a collection of torchmetrics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import facebench
from tests.helpers.image_archives import pixels_of

torchmetrics = pytest.importorskip("torchmetrics", reason="torchmetrics is not installed")


def test_a_collection_updates_computes_and_resets_it(faces: Path) -> None:
    pixels = np.ascontiguousarray(pixels_of(faces)[:20, ::4, ::4])
    tensors = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    metric = facebench.FaceMetric(["fd_lite0", "face_found"], reference=pixels, suite="compact")
    collection = torchmetrics.MetricCollection({"faces": metric})
    collection.update(tensors[:8])
    collection.update(tensors[8:])
    numbers = collection.compute()
    run = facebench.evaluate(pixels, pixels, metrics="fd_lite0,face_found")
    for name in ("fd_lite0", "face_found"):
        found = next(float(value) for key, value in numbers.items() if name in key)
        assert found == pytest.approx(run.metrics[name].value, abs=1e-6)
    assert metric.run is not None
    collection.reset()
    assert len(metric.evaluator) == 0
    with pytest.raises(facebench.core.errors.InputError, match="No images were added"):
        collection.compute()
