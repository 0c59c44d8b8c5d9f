"""Moving averages of weights."""

from __future__ import annotations

import torch

from facebench.training.engine.ema import ema_update


def test_ema_averages_buffers_and_copies_counters():
    average, model = torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(2)
    model.running_mean.fill_(1.0)
    model.num_batches_tracked.fill_(5)
    ema_update(average, model, 0.75)
    assert average.running_mean.tolist() == [0.25, 0.25]
    assert int(average.num_batches_tracked) == 5
