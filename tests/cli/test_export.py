"""`facebench export` writes runs for other tools."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Command

BASELINE = Path(__file__).parents[2] / "results" / "baselines" / "goldens.json"


def test_a_model_card_is_written(facebench: Command, tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub", reason="needs facebench[hub]")
    result = facebench("export", BASELINE, "--to", "hf-card", "--out", tmp_path)
    assert result.returncode == 0
    assert (tmp_path / "README.md").is_file()
    assert result.stdout.split() == ["wrote", str(tmp_path / "README.md")]


def test_a_missing_package_names_the_extra(
    facebench: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    result = facebench("export", BASELINE, "--to", "wandb", "--out", tmp_path)
    assert result.returncode == 2
    assert "pip install 'facebench[wandb]'" in result.stderr
