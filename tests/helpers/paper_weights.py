"""Networks of the paper suite with generated weights, installed by `facebench weights import`."""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from facebench import cli, load_run
from facebench.backbones.lpips import LpipsAlex
from facebench.evaluation.cards import find_card
from facebench.evaluation.record import MetricResult, Run
from tests.helpers.golden_networks import Golden, calmed, fill, scaled

State = dict[str, Tensor]


@dataclass(frozen=True)
class Done:
    """Output and exit code of a command."""

    code: int
    text: str


def facebench(*words: object) -> Done:
    """Run a command line and return its output and exit code."""
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["facebench", *map(str, words)])
        patch.setenv("COLUMNS", "200")
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            try:
                cli.main()
                code = 0
            except SystemExit as ended:
                code = int(ended.code or 0)
    return Done(code, printed.getvalue())


def halved(state: State) -> State:
    """Convert to half precision, like OpenAI's file, which halves the file size."""
    return {key: value.half() if value.is_floating_point() else value for key, value in state.items()}


def emonet() -> State:
    """Scaled state whose valence and arousal are within [-1, 1]."""
    calm = scaled(Golden("emonet").state("parameters 8"), 0.4, lambda _, value: value.ndim == 4)
    return scaled(calm, 0.05, lambda key, _: key.startswith("emo_fc_2.3."))


def lpips() -> State:
    with torch.device("meta"):
        shapes = {name: tuple(value.shape) for name, value in LpipsAlex().state_dict().items()}
    return {name: x.abs() if name.startswith("lin") else x for name, x in fill(shapes, 0).items()}


def part(state: State, start: str) -> State:
    return {key: value for key, value in state.items() if key.startswith(start)}


# Entry of the registry -> its tensors. Networks whose plain filling saturates are calmed, as their goldens are.
STATES: dict[str, Callable[[], State]] = {
    "inception": lambda: Golden("inception_fid").state(),
    "clip": lambda: halved(Golden("clip_vision_336").state()),
    "dinov2-vitl14": lambda: halved(Golden("dinov2_vitl14").state()),
    "arcface-iresnet100": lambda: calmed(Golden("arcface_iresnet").state("parameters iresnet100")),
    "crfiqa-l": lambda: calmed(Golden("crfiqa").state("parameters iresnet100")),
    "emonet-8": emonet,
    "maxvit-va": lambda: Golden("cage_maxvit").state("parameters va"),
    "deca": lambda: Golden("deca_encoder").state(),
    "emoca": lambda: Golden("emoca_encoder").state(),
    "alexnet": lambda: part(lpips(), "features."),
    "lpips-alex": lambda: part(lpips(), "lin"),
}


@contextlib.contextmanager
def own_cache() -> Iterator[Path]:
    """Use a temporary cache, removed afterwards because the weights take gigabytes."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACEBENCH_CACHE", f"{folder}/cache")
        yield Path(folder)


def measure(out: Path, *words: object) -> tuple[Run, str]:
    """Run `facebench evaluate`; return its record and its output."""
    done = facebench("evaluate", *words, "--out", out)
    assert done.code == 0, done.text
    return load_run(out), done.text


def valued(results: dict[str, MetricResult]) -> None:
    """Assert that every metric has sample sizes and a finite value within the range of its card."""
    for metric, result in results.items():
        assert result.value is not None, f"{metric}: {result.reason}"
        low, high = find_card(metric).range
        assert result.value >= (-np.inf if low is None else low), metric
        assert result.value <= (np.inf if high is None else high), metric
        assert result.n


def marked(run: Run) -> None:
    """Assert that the record is marked as made with unofficial weights."""
    assert run.warnings[0].startswith("NOT OFFICIAL: weights of ")
    for name, backbone in run.backbones.items():
        assert backbone.verified == (name == "yunet")
        assert backbone.unofficial == (name != "yunet")
        assert backbone.fingerprint
    for result in run.metrics.values():
        if result.value is not None and result.backbone != "yunet":
            assert result.note.startswith(f"not the official weights of {result.backbone}")


def put_in_place(names: tuple[str, ...], folder: Path) -> list[str]:
    """Save generated checkpoints and import them; return the output of the command for each."""
    said = []
    for name in names:
        file = folder / f"{name}.pth"
        torch.save(STATES[name](), file)
        done = facebench("weights", "import", name, file, "--unofficial")
        file.unlink()
        assert done.code == 0, done.text
        said.append(done.text)
    return said
