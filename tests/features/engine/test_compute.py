"""The engine with a detector that runs modules of torch in its threads."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from torch import nn

from facebench.backbones import build
from facebench.backbones.base import WeightsUsed
from facebench.backbones.face_alignment import Face
from facebench.backbones.face_detector import FaceDetector
from facebench.features.engine import fused_cpu
from facebench.features.engine.compute import Compute


class ModuleDetector(FaceDetector):
    """A detector that runs a module, as MTCNN does."""

    name, preprocessing, runs_modules = "module", "module-v1", True
    weights = WeightsUsed("module", "0" * 64, "none", True, "")

    def __init__(self) -> None:
        self.module = nn.Linear(1, 1)

    def all(self, image: np.ndarray) -> list[Face]:
        self.module(torch.zeros(1))
        return []


def test_networks_are_traced_before_threads_run_the_modules_of_the_detector(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tracing replaces the call of every module of the process, also those of other threads."""
    threads: list[tuple[int, int]] = []
    fuse = fused_cpu.fuse

    def watched(*arguments: object) -> object:
        threads.append((threading.get_ident(), threading.active_count()))
        return fuse(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(fused_cpu, "fuse", watched)
    network = build("faceapi-recognition")
    before = threading.active_count()
    assert list(Compute([network], ModuleDetector(), None, 2)([])) == []
    assert threads in (
        [],
        [(threading.get_ident(), before)],
    )  # no operators of oneDNN, or traced before the pool
    assert fused_cpu.trace(network) is fused_cpu.trace(network)
