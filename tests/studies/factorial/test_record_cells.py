"""A factorial study of one record: cells from columns, known effects, random people and targets."""

from __future__ import annotations

import numpy as np
import pytest

from facebench.core.errors import InputError
from facebench.evaluation.record import Run
from facebench.studies.factorial.record_cells import RecordOptions, RecordStudy, study_record
from tests.helpers.cell_records import FACTORS, arousal_of, make_cell_record

METRIC = "arousal_error_emonet8"


@pytest.fixture(scope="module")
def record() -> Run:
    return make_cell_record()


@pytest.fixture(scope="module")
def study(record: Run) -> RecordStudy:
    return study_record(record)


def test_the_factors_are_the_columns_that_no_image_determines(study: RecordStudy) -> None:
    assert {name: set(levels) for name, levels in study.study.levels.items()} == {
        name: set(levels) for name, levels in FACTORS.items()
    }
    assert len(study.study.runs) == 32
    assert (len(study.people), len(study.targets)) == (6, 8)
    assert study.target_labels[:2] == ["obama01", "obama02"]
    assert set(study.target_columns) == {"expression"}
    assert study.study.metrics == ["valence_error_emonet8", METRIC]


def test_known_effects_are_recovered(study: RecordStudy) -> None:
    found = {(e.factors, e.levels): e for e in study.study.effects[METRIC]}
    data = found[("data",), ("FFHQ",)]
    assert data.value == pytest.approx(0.05, abs=0.003)
    assert data.clear
    assert data.low is not None
    assert data.high is not None
    assert data.low < 0.05 < data.high
    interaction = found[("data", "stage"), ("FFHQ", "EMOCA")]
    assert interaction.value == pytest.approx(0.02, abs=0.006)
    assert interaction.clear
    assert not found[("resnet",), ("50",)].clear
    assert "6 people and 8 targets random" in data.method


def test_cells_have_their_means(study: RecordStudy) -> None:
    overall = np.mean([run.metrics[METRIC].value - arousal_of(run.tags) for run in study.study.runs])
    for run in study.study.runs:
        # People and targets shift all cells alike.
        assert run.metrics[METRIC].value == pytest.approx(arousal_of(run.tags) + overall, abs=0.006)
    best = study.study.best(METRIC)
    assert best is not None
    assert (best.tags["data"], best.tags["stage"]) == ("AffectNet", "EMOCA")


def test_photographs_of_a_person_are_no_further_people(record: Run) -> None:
    """Twice the photographs leave the interval as wide as it was: the people are the same."""
    few = study_record(make_cell_record(photographs=1), RecordOptions([METRIC]))
    many = study_record(make_cell_record(photographs=4), RecordOptions([METRIC]))
    widths = [
        run.metrics[METRIC].high - run.metrics[METRIC].low for run in (few.study.runs[0], many.study.runs[0])
    ]
    assert widths[1] > 0.7 * widths[0]


def dropped(record: Run, keep: object) -> Run:
    table = record.per_image
    assert table is not None
    rows = table[keep | (table["role"] != "generated")]  # type: ignore[operator]
    copy = record.model_copy(deep=True).with_per_image(rows.reset_index(drop=True))
    name = "arousal:emonet-8-flip"
    made = rows.loc[rows["role"] == "generated", name].to_numpy(np.float64)
    result = copy.metrics[METRIC]
    copy.metrics[METRIC] = result.model_copy(update={"value": float(np.abs(made - np.float32(0.1)).mean())})
    return copy


def test_cells_with_other_targets_are_refused_with_the_first_difference(record: Run) -> None:
    table = record.per_image
    assert table is not None
    cut = (table["resnet"] == "50") & (table["data"] == "FFHQ") & (table["target"] == "targets/obama03.png")
    less = dropped(record, ~cut)
    with pytest.raises(
        InputError, match=r"different sets of targets: FFHQ-.*-50-.* lacks the target targets/obama03"
    ):
        study_record(less)
    study = study_record(less, RecordOptions([METRIC], common=True))
    assert len(study.targets) == 7
    assert study.values[METRIC].pairs == 6 * 2 * 7


def test_a_pair_without_a_face_in_one_cell_is_left_out_of_all(record: Run) -> None:
    table = record.per_image
    assert table is not None
    blind = record.model_copy(deep=True)
    changed = table.copy()
    row = changed.index[changed["role"] == "generated"][0]
    changed.loc[row, "arousal:emonet-8-flip"] = np.nan
    made = changed.loc[changed["role"] == "generated", "arousal:emonet-8-flip"].to_numpy(np.float64)
    value = float(np.nanmean(np.abs(made - np.float32(0.1))))
    blind.metrics[METRIC] = blind.metrics[METRIC].model_copy(update={"value": value})
    study = study_record(blind.with_per_image(changed), RecordOptions([METRIC]))
    assert (study.values[METRIC].left_out, study.values[METRIC].pairs) == (1, 96)
    assert np.isfinite(study.values[METRIC].values).all()  # the second photograph remains


def test_missing_cells_leave_the_effects_where_they_are(record: Run) -> None:
    table = record.per_image
    assert table is not None
    cut = (table["resnet"] == "50") & (table["data"] == "FFHQ") & (table["stage"] == "DECA")
    study = study_record(dropped(record, ~cut), RecordOptions([METRIC]))
    assert len(study.study.runs) == 28
    found = {(e.factors, e.levels): e.value for e in study.study.effects[METRIC]}
    assert found[("data",), ("FFHQ",)] == pytest.approx(0.05, abs=0.005)


def test_named_factors_average_over_the_others(record: Run) -> None:
    study = study_record(record, RecordOptions([METRIC], ["data", "stage"]))
    assert list(study.study.levels) == ["data", "stage"]
    assert len(study.study.runs) == 4


def test_what_makes_no_study_is_refused(record: Run) -> None:
    with pytest.raises(InputError, match="no per-image table"):
        study_record(record.model_copy(deep=True).with_per_image(None))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"no column 'stge'. Did you mean stage"):
        study_record(record, RecordOptions(factors=["stge"]))
    with pytest.raises(InputError, match="has no metric 'arousal_eror_emonet8'"):
        study_record(record, RecordOptions(["arousal_eror_emonet8"]))
    table = record.per_image
    assert table is not None
    one = (table["data"] == "FFHQ") & (table["stage"] == "DECA") & (table["resnet"] == "18")
    one &= (table["target_extractor"] == "DECA") & (table["source_extractor"] == "DECA")
    with pytest.raises(InputError, match="has no factor"):
        study_record(dropped(record, one))
    bare = record.model_copy(deep=True).with_per_image(table.drop(columns="target"))
    with pytest.raises(InputError, match="no column 'target'"):
        study_record(bare)


@pytest.fixture(scope="module")
def trained() -> Run:
    """Three trainings of every model, whose errors differ as much as the effect of the data."""
    return make_cell_record(photographs=1, trainings=3, of_training=0.04)


def test_the_trainings_of_a_cell_are_random(trained: Run) -> None:
    study = study_record(trained, RecordOptions([METRIC]))
    assert study.trainings == ["0", "1", "2"]
    assert "seed" not in study.study.levels
    assert study.values[METRIC].trained.shape == (32, 3, 6, 8)
    effects = {(e.factors, e.levels): e for e in study.study.effects[METRIC]}
    data, target = effects[("data",), ("FFHQ",)], effects[("target_extractor",), ("EMOCA",)]
    assert "3 trainings, 6 people and 8 targets random" in data.method
    # What the extractors of one model share cancels, so their effect stays precise.
    assert data.high - data.low > 10 * (target.high - target.low)
    once = study_record(make_cell_record(photographs=1), RecordOptions([METRIC]))
    fixed = {(e.factors, e.levels): e for e in once.study.effects[METRIC]}[("data",), ("FFHQ",)]
    assert data.high - data.low > 3 * (fixed.high - fixed.low)
    assert fixed.clear
    assert not data.clear


def test_cells_with_other_trainings_are_refused_by_name(trained: Run) -> None:
    table = trained.per_image
    assert table is not None
    cut = (table["resnet"] == "50") & (table["data"] == "FFHQ") & (table["seed"] == "2")
    less = dropped(trained, ~cut)
    with pytest.raises(InputError, match=r"different trainings: FFHQ-.*-50-.* lacks the training 2"):
        study_record(less)
    study = study_record(less, RecordOptions([METRIC], common=True))
    assert study.trainings == ["0", "1"]
    missing = (table["resnet"] == "50") & (table["seed"] == "2") & (table["target"] == "targets/obama03.png")
    with pytest.raises(InputError, match=r"-2 lacks the target targets/obama03"):
        study_record(dropped(trained, ~missing))
