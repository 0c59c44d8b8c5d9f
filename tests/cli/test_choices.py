"""Choices of options are those of the evaluation."""

from __future__ import annotations

from typing import get_args

from facebench.cli.choices import Device, Suite
from facebench.evaluation.config import EvaluationConfig


def test_suites_and_devices_are_those_of_the_evaluation() -> None:
    fields = EvaluationConfig.model_fields
    assert get_args(fields["suite"].annotation) == tuple(suite.value for suite in Suite)
    assert get_args(fields["device"].annotation) == tuple(device.value for device in Device)
