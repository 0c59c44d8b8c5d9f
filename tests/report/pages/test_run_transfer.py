"""What the page says about transfers: where expressions went, who is hard, and which training faces came back."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pandas as pd
import pytest

from facebench.evaluation.record import Run
from facebench.report.galleries import pairs as pair_gallery
from facebench.report.pages.run import report_page
from facebench.report.pages.texts import languages, texts
from facebench.report.plots.affect import MOST_ARROWS, circumplex_plots
from facebench.report.plots.heat import heat_maps
from tests.helpers.transfer_runs import (
    EXPRESSION,
    HOSTILE,
    PERSON,
    make_transfer_run,
    with_closest,
    with_groups,
)

TEXT = texts("en")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_transfer_run(tmp_path_factory.mktemp("transfer"), "ours")


def test_people_that_a_model_is_bad_at_stand_first_and_are_marked_worse(run: Run) -> None:
    valence, arousal = heat_maps(run, TEXT)
    assert (valence.metric, arousal.metric) == ("valence_error_maxvit ↓", "arousal_error_maxvit ↓")
    assert valence.columns == ["All", *sorted([EXPRESSION, "sad"])]
    assert valence.rows[0][0] == "bob"
    assert valence.rows[0][1][0].side == "worse"
    assert valence.rows[-1][0] == "All"
    assert valence.rows[-1][1][0].number == pytest.approx(run.metrics["valence_error_maxvit"].value)
    assert valence.rows[-1][1][0].count == 24
    strengths = [cell.strength for _, cells in valence.rows for cell in cells]
    assert max(strengths) == 100


def test_cells_are_means_over_their_images(run: Run) -> None:
    table = run.per_image
    assert table is not None
    own = table[table["role"] == "generated"].set_index("image")
    goal = table[table["role"] == "target"].set_index("image")["valence:maxvit-va"]
    error = (own["valence:maxvit-va"].astype(float) - goal.astype(float)).abs()
    chosen = error[(own["identity"] == PERSON) & (own["expression"] == EXPRESSION)]
    cells = dict(heat_maps(run, TEXT)[0].rows)[PERSON]
    place = heat_maps(run, TEXT)[0].columns.index(EXPRESSION)
    assert cells[place].number == pytest.approx(chosen.mean(), rel=1e-6)
    assert cells[place].count == 4


def test_with_people_alone_metrics_are_the_columns(run: Run) -> None:
    assert run.per_image is not None
    alone = run.model_copy().with_per_image(run.per_image.drop(columns="expression"))
    (found,) = heat_maps(alone, TEXT)
    assert found.columns == ["valence_error_maxvit ↓", "arousal_error_maxvit ↓"]
    assert [name for name, _ in found.rows][-1] == "All"


def test_without_groups_there_is_no_heat_map(run: Run) -> None:
    assert run.per_image is not None
    every = run.per_image.assign(identity=range(len(run.per_image))).drop(columns="expression")
    assert heat_maps(run.model_copy().with_per_image(every), TEXT) == []


def test_the_circumplex_shows_moves_and_the_mean_of_every_expression(run: Run) -> None:
    single, means = circumplex_plots([run], TEXT, "b0")
    assert single.marks == means.marks == ("source", "target")
    assert means.numbered == tuple(sorted([EXPRESSION, "sad"]))
    assert "script" not in str(means.picture)
    assert EXPRESSION not in str(means.picture)
    assert "drawn at random" not in single.note
    assert run.per_image is not None
    many = [
        run.per_image.assign(image=f"{copy}/" + run.per_image["image"], source=None, target=None)
        for copy in range(6)
    ]
    bigger = run.model_copy().with_per_image(pd.concat(many, ignore_index=True))
    dots = circumplex_plots([bigger], TEXT, "b0")[0]
    assert dots.marks == ()
    assert f"{MOST_ARROWS} of 144 images, drawn at random" in dots.note


def test_a_suite_without_affect_networks_has_no_circumplex(run: Run) -> None:
    assert run.per_image is not None
    bare = run.model_copy().with_per_image(run.per_image.drop(columns="arousal:maxvit-va"))
    assert circumplex_plots([bare], TEXT, "b0") == []


def test_triplets_show_source_target_and_generated_worst_first(run: Run) -> None:
    ranking = pair_gallery.rankings(run)[0]
    assert ranking.metric == "valence_error_maxvit"
    assert [role for role, _ in ranking.worst[0].pictures] == ["source", "target", "generated"]
    assert all(picture.uri for _, picture in ranking.worst[0].pictures)
    values = [float(dict(each.values)["valence_error_maxvit"]) for each in ranking.worst]
    assert values == sorted(values, reverse=True)
    assert values[-1] >= max(float(dict(each.values)["valence_error_maxvit"]) for each in ranking.best)


def test_closest_training_faces_are_shown_and_those_above_the_threshold_are_called_found(
    tmp_path: Path,
) -> None:
    run = with_closest(make_transfer_run(tmp_path, "copies"))
    (found,) = pair_gallery.copies(run)
    assert (found.backbone, found.role, found.threshold) == ("sface", "reference:TRAIN", 0.85)
    assert [role for role, _ in found.pairs[0].pictures] == ["generated", "reference:TRAIN"]
    cosines = [float(pair.values[0][1]) for pair in found.pairs]
    assert [pair.found for pair in found.pairs] == [cosine >= 0.85 for cosine in cosines]
    page = report_page([run])
    assert "From a cosine of 0.850" in page
    assert "reference TRAIN" in re.sub(r"\s+", " ", page)


@pytest.mark.parametrize("lang", languages())
def test_hostile_people_expressions_and_files_are_text_in_every_language(tmp_path: Path, lang: str) -> None:
    run = with_closest(with_groups(make_transfer_run(tmp_path, "ours")))
    page = report_page([run, make_transfer_run(tmp_path, "theirs", share=0.2, seed=1)], lang)
    for hostile in (PERSON, EXPRESSION, HOSTILE):
        assert hostile not in page
        assert html.escape(hostile) in page.replace("&#34;", "&quot;")
    assert "alert(3)</script>" not in page


def test_a_breakdown_names_worst_and_best_and_stars_what_differs(tmp_path: Path) -> None:
    page = report_page([with_groups(make_transfer_run(tmp_path, "ours"))])
    assert "bob 0.200*" in page
    assert "eve 0.300" in page
    assert "1 of 3" in page
    assert "corrected over the groups of the metric (Holm)" in page


def test_named_reference_sets_are_counted_by_name(tmp_path: Path) -> None:
    assert "TRAIN 24" in report_page([with_closest(make_transfer_run(tmp_path, "copies"))])


def test_a_protocol_with_blocks_and_joined_spreads_has_a_report(run: Run) -> None:
    booth = run.model_copy(update={"protocol": "id-booth", "tags": {"base": "SD", "prompt": "A"}})
    assert "valence_error_maxvit" in report_page([booth])


def test_roles_have_names_in_every_language() -> None:
    for lang in languages():
        assert set(texts(lang)["roles"]) >= {"generated", "reference", *pair_gallery.LINKED}
