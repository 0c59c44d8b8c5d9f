"""Heat maps: cells are means over their images, worst people first."""

from __future__ import annotations

import pytest

from facebench.evaluation.record import Run
from facebench.report.pages.texts import texts
from facebench.report.plots.heat import heat_maps
from tests.helpers.transfer_runs import EXPRESSION, PERSON, make_transfer_run

TEXT = texts("en")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_transfer_run(tmp_path_factory.mktemp("transfer"), "ours")


def test_the_worst_people_come_first_and_are_marked_worse(run: Run) -> None:
    valence, arousal = heat_maps(run, TEXT)
    assert (valence.metric, arousal.metric) == (
        "Valence error (MaxViT V/A) ↓",
        "Arousal error (MaxViT V/A) ↓",
    )
    assert valence.columns == ["All", *sorted([EXPRESSION, "sad"])]
    assert valence.rows[0][0] == "bob"
    assert valence.rows[0][1][0].verdict == "worse"
    assert valence.rows[-1][0] == "All"
    assert valence.rows[-1][1][0].number == pytest.approx(run.metrics["valence_error_maxvit"].value)
    assert valence.rows[-1][1][0].count == 24
    strengths = [cell.strength for _, cells in valence.rows for cell in cells]
    assert max(strengths) == 100


def test_cells_are_means_over_their_images(run: Run) -> None:
    table = run.per_image
    assert table is not None
    generated = table[table["role"] == "generated"].set_index("image")
    target = table[table["role"] == "target"].set_index("image")["valence:maxvit-va"]
    error = (generated["valence:maxvit-va"].astype(float) - target.astype(float)).abs()
    selected = error[(generated["identity"] == PERSON) & (generated["expression"] == EXPRESSION)]
    cells = dict(heat_maps(run, TEXT)[0].rows)[PERSON]
    column = heat_maps(run, TEXT)[0].columns.index(EXPRESSION)
    assert cells[column].number == pytest.approx(selected.mean(), rel=1e-6)
    assert cells[column].count == 4


def test_with_people_alone_metrics_are_the_columns(run: Run) -> None:
    assert run.per_image is not None
    alone = run.model_copy().with_per_image(run.per_image.drop(columns="expression"))
    (heat_map,) = heat_maps(alone, TEXT)
    assert heat_map.columns == ["Valence error (MaxViT V/A) ↓", "Arousal error (MaxViT V/A) ↓"]
    assert [name for name, _ in heat_map.rows][-1] == "All"


def test_without_groups_there_is_no_heat_map(run: Run) -> None:
    assert run.per_image is not None
    every = run.per_image.assign(identity=range(len(run.per_image))).drop(columns="expression")
    assert heat_maps(run.model_copy().with_per_image(every), TEXT) == []
