"""Validation of training settings, and keys of older versions."""

from __future__ import annotations

from typing import Any

import pytest

from facebench.core.errors import InputError
from facebench.training.engine.settings import TrainConfig, as_current, check, differences

FORMER: dict[str, Any] = {
    "seed": 1, "steps": 10, "batch": 8, "accumulate": 2, "average": 0.9, "average_warm": True, "keep": 3,
    "optimiser": {"kind": "adamw", "learning_rate": 1e-3, "clip": None},
}  # fmt: skip
CURRENT: dict[str, Any] = {
    "seed": 1, "steps": 10, "batch_size": 8, "gradient_accumulation": 2, "ema_decay": 0.9, "ema_warmup": True,
    "keep_checkpoints": 3, "optimizer": {"kind": "adamw", "learning_rate": 1e-3, "max_grad_norm": None},
}  # fmt: skip


def test_keys_of_older_versions_mean_the_current_keys() -> None:
    config = check(TrainConfig, FORMER, "old.yaml")
    assert config == check(TrainConfig, CURRENT, "new.yaml")
    plain = config.model_dump(mode="json")
    assert CURRENT.keys() <= plain.keys()
    assert not (FORMER.keys() - CURRENT.keys()) & plain.keys()


def test_the_last_of_two_names_of_a_key_wins() -> None:
    assert check(TrainConfig, {**CURRENT, "batch": 5}, "test").batch_size == 5


def test_renamed_keys_of_a_checkpoint_are_not_differences() -> None:
    now = check(TrainConfig, CURRENT, "test").model_dump(mode="json")
    assert differences(as_current(TrainConfig, FORMER), now) == []
    changed = as_current(TrainConfig, {**FORMER, "average": 0.5})
    assert differences(changed, now) == ["ema_decay: 0.5 -> 0.9"]
    # Keys that the current version does not know are differences, the renamed keys beside them are not.
    unknown = as_current(TrainConfig, {**FORMER, "momentum": 0.5})
    assert [line.partition(":")[0] for line in differences(unknown, CURRENT)] == ["momentum"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_sze": 4}, "'batch_sze' is not a key. Did you mean batch_size?"),
        ({"optimizer": {"learning_rat": 1}}, "Did you mean optimizer.learning_rate"),
        ({"steps": "many"}, "'steps' is \"many\""),
        ({"batch": 0}, "'batch_size' is 0: input should be greater than 0"),
        ({"optimiser": {"clip": -1.0}}, "'optimizer.max_grad_norm' is -1.0"),
    ],
)
def test_errors_name_the_key(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        check(TrainConfig, {"steps": 1, "batch_size": 1, **change}, "test")
    assert message in str(error.value)


def test_a_missing_key_is_named() -> None:
    with pytest.raises(InputError, match="test: the key 'batch_size' is missing"):
        check(TrainConfig, {"steps": 1}, "test")
