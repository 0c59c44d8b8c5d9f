"""EvaluationConfig: one set of options for the command line, YAML and Python, with errors that name the option."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import facebench
from facebench.core.errors import InputError
from facebench.evaluation.config import EvaluationConfig


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"suit": "paper"}, "'suit' is not an option. Did you mean suite or unit?"),
        ({"suite": "papr"}, "'papr' is not a known suite. Did you mean paper?"),
        ({"seed": "x"}, "The option 'seed' is 'x': input should be a valid integer"),
        ({"max_rejected": 2}, "The option 'max_rejected' is 2: input should be less than or equal to 1"),
        ({"reference": {"a b": "x"}}, "'a b' cannot name a reference set"),
        ({"reference": {}}, "Name at least one reference set"),
    ],
)
def test_a_wrong_option_is_an_error_that_names_it_and_the_remedy(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as error:
        EvaluationConfig.build(generated="samples", **options)
    assert message in str(error.value)


def test_yaml_and_python_build_the_same_configuration(tmp_path: Path) -> None:
    file = tmp_path / "evaluation.yaml"
    file.write_text("generated: samples\nreference: {FFHQ: ffhq}\nmetrics: [kid, cmmd]\nseed: 3\n")
    expected = EvaluationConfig(
        generated=Path("samples"), reference={"FFHQ": Path("ffhq")}, metrics=("kid", "cmmd"), seed=3
    )
    assert EvaluationConfig.from_yaml(file) == expected
    assert EvaluationConfig.from_yaml(file, seed=4) == expected.model_copy(update={"seed": 4})


@pytest.mark.parametrize("text", ["- a\n", "generated: [unclosed", "sed: 3\ngenerated: x\n"])
def test_a_wrong_file_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "evaluation.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=r"evaluation\.yaml"):
        EvaluationConfig.from_yaml(file)


def test_a_configuration_is_frozen() -> None:
    config = EvaluationConfig(generated=Path("samples"))
    with pytest.raises(ValidationError, match="frozen"):
        config.seed = 1  # type: ignore[misc]


def test_metric_ids_may_be_one_string_separated_by_commas() -> None:
    assert EvaluationConfig.build(generated="x", metrics="kid, cmmd").metrics == ("kid", "cmmd")


def test_every_option_has_help_and_evaluate_shows_it_in_its_signature() -> None:
    parameters = inspect.signature(facebench.evaluate).parameters
    for name, field in EvaluationConfig.model_fields.items():
        assert field.description, name
        assert name in parameters


def test_the_record_stores_the_configuration_verbatim(faces: Path, tmp_path: Path) -> None:
    config = EvaluationConfig(generated=faces, metrics=("face_found",), seed=5, tags={"base": "SD-2.1"})
    run = facebench.evaluate(config)
    run.save(tmp_path / "run")
    assert facebench.load_run(tmp_path / "run").config == config
    assert (run.seed, run.tags) == (5, {"base": "SD-2.1"})


@pytest.mark.parametrize("name", ["model.zip", "model.tar", "model.npz", "model"])
def test_an_archive_names_the_model_like_its_folder(name: str) -> None:
    assert EvaluationConfig(generated=f"samples/{name}").model_name == "model"
