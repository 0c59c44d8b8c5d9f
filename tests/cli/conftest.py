"""A runner for command lines, and models that several commands use."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from facebench import cli, synthface

TINY = [
    "model.size=16", "model.channels=8", "model.multipliers=[1,2]", "model.time_channels=16", "model.attention=[8]",
    "data.identities=10", "data.images=4", "data.render=16", "data.align=false", "data.cache_renders=true",
    "steps=2", "batch_size=8", "workers=0", "checkpoint_every=10", "sample_every=2", "evaluate_every=null",
    "preview_images=2",
]  # fmt: skip
"""Settings of a training run of seconds."""
CODED = [
    "model.encoder_multipliers=[1,2]", "model.code_channels=8", "encoder=null", "freeze_encoder=false",
]  # fmt: skip
"""Further settings of a small autoencoder."""
FEW_STEPS = ["--encode-steps", 2, "--render-steps", 2]


@dataclass(frozen=True)
class Done:
    """Exit code and output of a command."""

    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Done]


@pytest.fixture
def facebench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command line from its arguments to its exit code."""

    def run(*arguments: object, cwd: Path | None = None) -> Done:
        monkeypatch.setattr(sys, "argv", ["facebench", *map(str, arguments)])
        if cwd is not None:
            monkeypatch.chdir(cwd)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return Done(int(ended.value.code or 0), printed.out, printed.err)

    return run


def succeed(*words: object) -> None:
    """Run a command that must succeed."""
    assert cli.run_command([str(word) for word in words]) == 0


@pytest.fixture(scope="session")
def autoencoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run of a small diffusion autoencoder."""
    out = tmp_path_factory.mktemp("runs") / "diffae"
    succeed("train", "diffae", *TINY, *CODED, "--out", out, "--device", "cpu")
    return out


@pytest.fixture(scope="session")
def directions(autoencoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directions of attributes in the codes of the autoencoder."""
    out = tmp_path_factory.mktemp("runs") / "directions"
    data = [
        "data.identities=20",
        "data.images=8",
        "data.render=16",
        "data.align=false",
        "data.cache_renders=true",
    ]
    succeed("train", "classifier", f"checkpoint={autoencoder}", "method=lda", *data, "--out", out)
    return out


@pytest.fixture(scope="session")
def small_faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four rendered faces of 32 pixels: two identities, two images each."""
    out = tmp_path_factory.mktemp("synth") / "faces"
    synthface.write(out, identities=2, images=2, size=32)
    return out
