"""Settings of tiny training runs, and functions that prepare and run them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from facebench.training.engine.loop import fit
from facebench.training.tasks import registry

SIZES: dict[str, Any] = {
    "size": 32, "multipliers": (1, 2), "encoder_multipliers": (1, 2), "channels": 8, "time_channels": 16,
    "code_channels": 16, "blocks": 1, "attention": (8,), "dropout": 0.0,
}  # fmt: skip
"""A DiffAE of 32 pixels, as keyword arguments of its configuration."""
MODEL: dict[str, Any] = {
    "size": 16, "channels": 8, "multipliers": [1, 2], "encoder_multipliers": [1, 2], "time_channels": 16,
    "code_channels": 16, "blocks": 1, "attention": [8], "dropout": 0.0,
}  # fmt: skip
"""A DiffAE of 16 pixels."""
COMPACT_MODEL: dict[str, Any] = {
    **MODEL, "groups": 4, "encoder_norm": "batch", "code_shift": True, "patch": 2, "position_features": True,
    "prediction_type": "v", "coarse_decoder": True, "residual_diffusion": True,
}  # fmt: skip
"""A compact autoencoder of 16 pixels."""
SYNTHFACE: dict[str, Any] = {
    "kind": "synthface",
    "identities": 12,
    "images": 4,
    "render": 32,
    "cache_renders": True,
}
RUN: dict[str, Any] = {
    "steps": 4,
    "batch_size": 4,
    "workers": 0,
    "ema_decay": 0.9,
    "checkpoint_every": 2,
    "sample_every": 1000,
    "evaluate_every": None,
}


def prepare(kind: str, **settings: Any) -> registry.Prepared:
    """Prepare a run with `RUN` and these settings."""
    return registry.prepare(kind, {**RUN, **settings}, "test")


def run(prepared: registry.Prepared, out: Path, **options: Any) -> Path:
    """Train on the CPU, and return the path of the model."""
    return fit(prepared.task, prepared.settings, out, **{"device": "cpu", "on_message": _quiet, **options})


def train(kind: str, out: Path, **settings: Any) -> Path:
    """Prepare and run."""
    return run(prepare(kind, **settings), out)


def log_values(out: Path, name: str) -> list[float]:
    """Values of one name in log.csv, by step."""
    rows = [line.split(",") for line in (out / "log.csv").read_text().splitlines()]
    return [float(value) for _, logged_name, value in rows if logged_name == name]


def _quiet(text: str) -> None:
    pass
