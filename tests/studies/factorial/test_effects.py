"""Factorial studies: simulated effects are recovered, and intervals have their nominal coverage."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from typer.testing import CliRunner

from facebench.cli import app
from facebench.compare.replicates import estimates
from facebench.core.errors import InputError
from facebench.evaluation.record import Run
from facebench.studies.factorial.effects import Effect, Study, factorial
from facebench.studies.factorial.report import (
    cells_table,
    effects_table,
    main_effects_plot,
    sentences,
    study_page,
    svg,
)
from tests.helpers.records import make_run

METRIC = "face_quality_sface"
FACTORS = {
    "data": ("FFHQ", "AffectNet"),
    "stage": ("DECA", "EMOCA"),
    "resnet": ("18", "50"),
    "target": ("DECA", "EMOCA"),
    "source": ("DECA", "EMOCA"),
}
IMAGES = 80


def truth(tags: dict[str, str]) -> float:
    """Data helps by 0.04, stage hurts by 0.02, a larger network helps by 0.03 with AffectNet only."""
    affect, emoca, large = tags["data"] == "AffectNet", tags["stage"] == "EMOCA", tags["resnet"] == "50"
    return 0.5 + 0.04 * affect - 0.02 * emoca + 0.03 * (affect and large)


EXPECTED = {("data",): 0.04 + 0.015, ("stage",): -0.02, ("resnet",): 0.015, ("data", "resnet"): 0.03}


def grid(
    seed: int = 0,
    factors: dict[str, tuple[str, ...]] = FACTORS,
    value: Callable[[dict[str, str]], float] = truth,
    shared: bool = True,
) -> list[Run]:
    """One run per cell over the same images, whose difficulty varies more than any factor changes the metric."""
    rng = np.random.default_rng(seed)
    hardness = 0.2 * rng.standard_normal(IMAGES)
    runs = []
    for levels in itertools.product(*factors.values()):
        tags = dict(zip(factors, levels, strict=True))
        rows = (value(tags) + hardness + 0.03 * rng.standard_normal(IMAGES)).astype(np.float32)
        run = make_run("-".join(levels), images=IMAGES, **{METRIC: float(rows.astype(np.float64).mean())})
        reach = 1.96 * rows.std() / np.sqrt(IMAGES)
        result = run.metrics[METRIC]
        metrics = {
            METRIC: result.model_copy(update={"low": result.value - reach, "high": result.value + reach})
        }
        run = run.model_copy(update={"tags": tags, "metrics": metrics})
        names = [f"{i if shared else f'{run.name}-{i}'}.png" for i in range(IMAGES)]
        run.with_per_image(pd.DataFrame({"role": "generated", "image": names, "quality:sface-quality": rows}))
        runs.append(run)
    return runs


@pytest.fixture(scope="module")
def study() -> Study:
    return factorial(grid(1))


def by_factors(study: Study) -> dict[tuple[str, ...], Effect]:
    return {effect.factors: effect for effect in study.effects[METRIC]}


def test_thirty_two_models_have_five_main_effects_and_ten_interactions(study: Study) -> None:
    assert len(study.runs) == 32
    assert sorted(len(factors) for factors in by_factors(study)) == [1] * 5 + [2] * 10


def test_known_effects_are_recovered_and_nothing_else(study: Study) -> None:
    for factors, effect in by_factors(study).items():
        known = EXPECTED.get(factors, 0.0)
        assert effect.value == pytest.approx(known, abs=0.0071), (
            factors
        )  # three standard errors of an interaction
        assert effect.clear == (known != 0), factors
        assert effect.method == "over 80 shared images"


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    factors = {name: FACTORS[name] for name in ("data", "stage", "resnet")}
    held = []
    for seed in range(8):
        for found, effect in by_factors(factorial(grid(seed, factors), seed=seed)).items():
            held.append(effect.low <= EXPECTED.get(found, 0.0) <= effect.high)
    assert len(held) == 48
    assert np.mean(held) > 0.85  # 95 %, less three standard errors of 48 draws


def test_images_that_are_hard_for_all_models_do_not_widen_the_intervals(study: Study) -> None:
    apart = factorial(grid(1, shared=False))
    paired, independent = by_factors(study)[("stage",)], by_factors(apart)[("stage",)]
    assert independent.method == "independent intervals of the runs"
    assert independent.value == pytest.approx(paired.value)
    assert independent.high - independent.low > 3 * (paired.high - paired.low)


def test_a_metric_that_is_the_same_in_every_run_has_no_effects() -> None:
    """Weighted sums of 1/3 have rounding errors, which are constant under resampling."""
    runs = grid()
    same = runs[0].metrics[METRIC].model_copy(update={"value": 1 / 3})
    table = runs[0].per_image
    assert table is not None
    table = table.assign(**{"quality:sface-quality": 1 / 3})
    runs = [run.model_copy(update={"metrics": {METRIC: same}}).with_per_image(table) for run in runs]
    for effect in factorial(runs, [METRIC]).effects[METRIC]:
        assert (effect.value, effect.low, effect.high, effect.clear) == (0, 0, 0, False)


def test_missing_models_leave_the_effects_where_they_are() -> None:
    runs = grid()
    found = by_factors(factorial([run for place, run in enumerate(runs) if place not in (0, 7, 13, 21, 30)]))
    for factors, known in EXPECTED.items():
        assert found[factors].value == pytest.approx(known, abs=0.008)


def test_effects_that_the_runs_cannot_tell_apart_have_no_value() -> None:
    runs = [run for run in grid() if run.tags["target"] == run.tags["source"]]
    found = by_factors(factorial(runs))
    assert found[("target",)].value is None
    assert found[("target",)].method == "confounded with other effects"
    assert found[("stage",)].value == pytest.approx(-0.02, abs=0.006)


def test_three_levels_are_each_compared_with_the_first() -> None:
    factors = {"data": ("a", "b", "c"), "stage": ("x", "y")}
    steps = {"a": 0.0, "b": 0.05, "c": -0.1}

    def value(tags: dict[str, str]) -> float:
        return steps[tags["data"]] + 0.02 * (tags["stage"] == "y")

    effects = factorial(grid(0, factors, value)).effects[METRIC]
    main = {effect.levels[0]: effect.value for effect in effects if len(effect.factors) == 1}
    assert main == pytest.approx({"b": 0.05, "c": -0.1, "y": 0.02}, abs=0.01)
    assert sum(len(effect.factors) == 2 for effect in effects) == 2


def test_the_best_cell_and_the_clear_effects_are_said_in_words(study: Study) -> None:
    said = sentences(study)
    assert said[0].startswith(f"{METRIC}: best with data = AffectNet, stage = DECA, resnet = 50")
    data = next(sentence for sentence in said if "instead of FFHQ" in sentence)
    assert data.startswith(f"AffectNet instead of FFHQ (data) raises {METRIC} by 0.05")
    assert any("EMOCA instead of DECA (stage) lowers" in sentence for sentence in said)
    assert any("is larger by 0.0" in sentence and "with 50 than with 18" in sentence for sentence in said)
    assert len(said) == 1 + len(EXPECTED)


def test_tables_hold_every_cell_and_every_effect(study: Study) -> None:
    assert len(cells_table(study).rows) == 32
    rows = list(csv.DictReader(io.StringIO(effects_table(study).csv())))
    assert len(rows) == 15
    assert float(next(row for row in rows if row["effect"] == "stage: EMOCA − DECA")["value"]) < 0


def test_the_plot_is_the_same_every_time_and_names_every_level(study: Study) -> None:
    picture = svg(main_effects_plot(study, METRIC))
    assert picture == svg(main_effects_plot(study, METRIC))
    for word in ("AffectNet", "EMOCA", "resnet", METRIC):
        assert word in picture


def test_names_that_users_wrote_are_text_on_the_page() -> None:
    factors = {"<b>data": ("<img src=x onerror=alert(1)>", "two"), "stage": ("x", "y")}
    runs = grid(0, factors, lambda tags: 0.1 * (tags["stage"] == "y"))
    page = study_page(factorial(runs))
    assert "<img" not in page
    assert "<b>data" not in page
    assert "&lt;img" in page


def test_the_command_prints_and_writes(tmp_path: Path) -> None:
    factors = {name: FACTORS[name] for name in ("data", "stage")}
    folders = [
        str(run.save(tmp_path / run.name).parent)
        for run in grid(0, factors, lambda t: 0.1 * (t["stage"] == "DECA"))
    ]
    files = {option: tmp_path / option for option in ("csv", "html", "plots")}
    options = [word for option, path in files.items() for word in (f"--{option}", str(path))]
    done = CliRunner().invoke(app, ["factorial", *folders, *options], env={"COLUMNS": "160"})
    assert done.exit_code == 0, done.output
    assert "lowers face_quality_sface by 0.099" in done.output
    assert (tmp_path / "plots" / f"{METRIC}.svg").is_file()
    assert files["html"].read_text().count("<svg") == 1


def replicated(seed: int, spread: float, seeds: int = 3, effect: float = 0.0) -> list[Run]:
    """Two levels with several training runs each, over different images."""
    rng = np.random.default_rng(seed)
    runs = []
    for level, number in itertools.product(("a", "b"), range(seeds)):
        mean = 0.5 + spread * rng.standard_normal() + effect * (level == "b")
        rows = (mean + 0.2 * rng.standard_normal(IMAGES)).astype(np.float32).astype(np.float64)
        name = f"{level}-seed{number}"
        run = make_run(name, images=IMAGES, **{METRIC: float(rows.mean())})
        run = run.model_copy(update={"tags": {"stage": level, "seed": str(number)}})
        names = [f"{name}-{i}.png" for i in range(IMAGES)]
        runs.append(
            run.with_per_image(
                pd.DataFrame({"role": "generated", "image": names, "quality:sface-quality": rows})
            )
        )
    return runs


def test_training_runs_of_a_cell_are_a_random_effect() -> None:
    """Runs over different images: the t test of the run means, with four degrees of freedom."""
    runs = replicated(3, 0.05, effect=0.1)
    study = factorial(runs)
    (effect,) = study.effects[METRIC]
    values = {
        level: [run.metrics[METRIC].value for run in runs if run.tags["stage"] == level] for level in "ab"
    }
    expected = scipy.stats.ttest_ind(values["b"], values["a"])
    interval = expected.confidence_interval()
    assert effect.value == pytest.approx(np.mean(values["b"]) - np.mean(values["a"]))
    assert (effect.low, effect.high) == pytest.approx((interval.low, interval.high))
    assert effect.p == pytest.approx(expected.pvalue)
    assert study.scope.startswith("New training runs: 6 runs in 2 cells")
    assert [run.name for run in study.cells] == ["a", "b"]
    assert len(cells_table(study).rows) == 2


def test_the_random_effect_is_that_of_a_mixed_model() -> None:
    """Estimate and standard error of `statsmodels` for image-level data with a random intercept per run."""
    mixed = pytest.importorskip("statsmodels.regression.mixed_linear_model")
    runs = replicated(5, 0.1, seeds=4, effect=0.1)
    rows = [
        run.per_image.assign(run=run.name, level=float(run.tags["stage"] == "b"))
        for run in runs
        if run.per_image is not None
    ]
    table = pd.concat(rows, ignore_index=True)
    design = np.column_stack([np.ones(len(table)), table["level"]])
    fitted = mixed.MixedLM(table["quality:sface-quality"].to_numpy(), design, groups=table["run"]).fit(
        reml=True
    )
    joint = estimates(METRIC, runs, [run.tags["stage"] for run in runs])
    error = joint.error(np.array([-1.0, 1.0]))
    (effect,) = factorial(runs).effects[METRIC]
    assert effect.value == pytest.approx(fitted.fe_params[1], rel=1e-4)
    assert error.standard == pytest.approx(fitted.bse_fe[1], rel=1e-3)
    assert error.degrees_of_freedom == pytest.approx(6)


def test_type_one_errors_with_three_training_runs_are_near_their_level() -> None:
    """Spread between runs 0.15, four times the measurement error; 5 % of studies find an effect that is not there."""
    clear = [factorial(replicated(seed, 0.15)).effects[METRIC][0].clear for seed in range(80)]
    assert np.mean(clear) < 0.05 + 3 * (0.05 * 0.95 / 80) ** 0.5


def test_without_replicates_the_study_concerns_these_models_only(study: Study) -> None:
    assert study.scope.startswith("These trained models only")
    assert any("These trained models only" in note for note in effects_table(study).notes)


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        (lambda: grid()[:1], "at least two runs, got 1"),
        (lambda: [make_run("a", **{METRIC: 1.0}), make_run("b", **{METRIC: 1.0})], "a has no tags"),
        (lambda: [*grid()[:2], make_run("c", **{METRIC: 1.0})], "c lacks the tag data, stage"),
        (lambda: [grid()[0], grid()[0]], "No factor varies"),
    ],
)
def test_runs_that_make_no_study_are_refused(runs: Callable[[], list[Run]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        factorial(runs())


def lacking(runs: list[Run], place: int, reason: str) -> list[Run]:
    """The same runs, one of them without a value and with a note."""
    empty = (
        runs[place]
        .metrics[METRIC]
        .model_copy(update={"value": None, "low": None, "high": None, "reason": reason})
    )
    metrics = runs[place].metrics | {METRIC: empty}
    return [run.model_copy(update={"metrics": metrics}) if i == place else run for i, run in enumerate(runs)]


def test_a_metric_that_one_run_lacks_is_left_out_and_said() -> None:
    other = "face_found"
    runs = [
        run.model_copy(update={"metrics": run.metrics | make_run("x", **{other: 0.9}).metrics})
        for run in grid()[:4]
    ]
    study = factorial(lacking(runs, 2, "no face was found in any image"), [METRIC, other])
    assert study.metrics == [other]
    assert study.left_out == {METRIC: f"{runs[2].name} lacks a value. no face was found in any image"}
    assert f"Left out: {METRIC}: {runs[2].name} lacks a value." in effects_table(study).html()


def test_a_study_without_any_common_metric_is_refused_with_the_run() -> None:
    runs = grid()[:4]
    with pytest.raises(InputError, match=f"{METRIC}: {runs[1].name} lacks a value. no face"):
        factorial(lacking(runs, 1, "no face"), [METRIC])


def test_a_metric_that_no_run_has_is_refused() -> None:
    with pytest.raises(InputError, match="No run has a value of the metric 'fd_lite0'"):
        factorial(grid()[:4], ["fd_lite0"])
