"""An offline run of Weights & Biases holds the results."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from facebench.evaluation.record_reading import load_run
from facebench.report.export.results import scalars
from facebench.report.export.wandb import export_wandb

wandb = pytest.importorskip("wandb", reason="needs facebench[wandb]")
BASELINE = Path(__file__).parents[3] / "results" / "baselines" / "goldens.json"


def test_an_offline_run_holds_values_and_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    run = load_run(BASELINE)
    (folder,) = export_wandb([run], tmp_path)
    assert folder.is_relative_to(tmp_path)
    (file,) = folder.glob("run-*.wandb")
    summary, config = _read(file)
    for name, value in scalars(run).items():
        assert summary[name] == pytest.approx(value)
    assert config["protocol"] == "quality"


def _read(file: Path) -> tuple[dict[str, object], dict[str, object]]:
    """Read summary and configuration from the log of a run."""
    from wandb.proto import wandb_internal_pb2

    summary: dict[str, object] = {}
    config: dict[str, object] = {}
    for data in _records(file.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        for update in record.summary.update:
            summary["/".join(update.nested_key) or update.key] = json.loads(update.value_json)
        for update in [*record.config.update, *record.run.config.update]:
            config[update.key] = json.loads(update.value_json)
    return summary, config


def _records(data: bytes) -> Iterator[bytes]:
    """Split a log in the format of LevelDB: blocks of 32 KiB with fragments of checksum, length, type and content."""
    place, whole = 7, b""
    while place + 7 <= len(data):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", data, place)
        whole += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            yield whole
            whole = b""
