"""The report of a study of one record: sentences, tables, curves, pages, in English and Japanese."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from PIL import Image

from facebench.core.errors import InputError
from facebench.studies.factorial.record_cells import RecordOptions, RecordStudy, study_record
from facebench.studies.factorial.record_report import curves_plot, study_page, write_study
from facebench.studies.factorial.record_tables import (
    cells_rows,
    curves_table,
    effects_rows,
    record_sentences,
    texts,
    trainings_table,
    worst_tables,
)
from facebench.studies.factorial.report import svg
from tests.helpers.cell_records import make_cell_record
from tests.helpers.paper_weights import facebench

METRIC = "arousal_error_emonet8"


@pytest.fixture(scope="module")
def study() -> RecordStudy:
    return study_record(make_cell_record(), RecordOptions([METRIC]))


def test_a_sentence_names_the_better_level(study: RecordStudy) -> None:
    sentences = record_sentences(study)
    assert any(
        line.startswith("AffectNet lowers the arousal error (EmoNet-8) by 0.05")
        and line.endswith("(data, compared with FFHQ).")
        for line in sentences
    )
    assert "best with data = AffectNet, stage = EMOCA" in sentences[0]


def test_the_japanese_sentences_hold_the_same_numbers(study: RecordStudy) -> None:
    english, japanese = record_sentences(study), record_sentences(study, "ja")
    assert len(english) == len(japanese)
    line = next(line for line in japanese if "下がる" in line)
    assert line.startswith("data を FFHQ から AffectNet にすると、覚醒度の誤差(EmoNet-8)が 0.05")
    with pytest.raises(InputError, match=r"not written in the language 'fr'"):
        texts("fr")


def test_every_text_exists_in_both_languages() -> None:
    def keys(content: object, above: str = "") -> set[str]:
        if not isinstance(content, dict):
            return {above}
        return {key for name, each in content.items() for key in keys(each, f"{above}.{name}")}

    assert keys(dict(texts("en"))) == keys(dict(texts("ja")))


def test_the_worst_come_first(study: RecordStudy) -> None:
    tables = worst_tables(study, METRIC)
    assert list(tables) == ["person", "target", "expression", "cell"]
    for table in tables.values():
        values = [row[1].number for row in table.rows]
        assert values == sorted(values, reverse=True)
    worst = tables["cell"].rows[0][0].text
    assert worst.startswith("FFHQ-EMOCA")
    assert {row[0].text for row in tables["expression"].rows} == {"happy", "sad", "angry", "neutral"}


def test_the_curves_are_one_per_cell_and_reproducible(study: RecordStudy) -> None:
    figure = curves_plot(study, METRIC)
    first, second = figure.axes
    assert (len(first.lines), len(second.lines)) == (16, 16)
    assert svg(curves_plot(study, METRIC)) == svg(curves_plot(study, METRIC))
    rows = list(csv.DictReader(io.StringIO(curves_table(study).csv())))
    assert len(rows) == 32 * 8
    assert float(rows[0]["low"]) < float(rows[0]["value"]) < float(rows[0]["high"])
    assert rows[0]["people"] == "6"


def test_all_files_are_written(study: RecordStudy, tmp_path: Path) -> None:
    written = {path.name for path in write_study(study, tmp_path)}
    assert written >= {
        "study.html", "study.ja.html", "sentences.txt", "sentences.ja.txt", "effects.csv", "effects.tex",
        "effects.ja.tex", "cells.csv", "cells.tex", "curves.csv", f"curves-{METRIC}.png", f"curves-{METRIC}.svg",
        f"effects-{METRIC}.png", f"worst-person-{METRIC}.csv", f"worst-expression-{METRIC}.ja.tex",
    }  # fmt: skip
    assert written == {path.name for path in tmp_path.iterdir()}
    assert Image.open(tmp_path / f"curves-{METRIC}.png").width > 1000
    assert len(list(csv.DictReader((tmp_path / "effects.csv").open()))) == 15
    page = (tmp_path / "study.ja.html").read_text()
    assert '<html lang="ja">' in page
    assert "要因分析" in page
    assert page.count("<svg") == 2


def test_names_that_users_wrote_are_text_on_the_page() -> None:
    factors = {"<b>data": ("<img src=x onerror=alert(1)>", "two"), "stage": ("x", "y")}
    record = make_cell_record(factors=factors, error=lambda tags: 0.2 + 0.1 * (tags["stage"] == "y"))
    page = study_page(study_record(record, RecordOptions([METRIC])))
    assert "<img" not in page
    assert "<b>data" not in page


def test_pairs_that_are_left_out_are_noted(study: RecordStudy) -> None:
    from dataclasses import replace

    values = {METRIC: replace(study.values[METRIC], left_out=3)}
    notes = effects_rows(replace(study, values=values)).notes
    assert any("3 of 96 pairs" in note for note in notes)


def test_the_command_studies_one_run(tmp_path: Path) -> None:
    run = str(make_cell_record().save(tmp_path / "run").parent)
    words = ["factorial", run, "--metrics", METRIC, "--out", str(tmp_path / "study")]
    done = facebench(*words)
    assert done.code == 0, done.text
    assert "AffectNet lowers the arousal error (EmoNet-8) by 0.05" in done.text.replace("\n", " ")
    assert (tmp_path / "study" / "study.html").is_file()
    assert "主効果と二因子交互作用" in facebench("factorial", run, "--lang", "ja").text
    refused = facebench("factorial", run, run, "--common")
    assert refused.code == 2
    assert "--common belongs to a study of one run" in refused.text.replace("\n", " ")


def test_several_trainings_are_shown_as_spread(tmp_path: Path) -> None:
    study = study_record(
        make_cell_record(photographs=1, targets=3, trainings=2, of_training=0.02), RecordOptions([METRIC])
    )
    cells = {column.key: place for place, column in enumerate(cells_rows(study).columns)}
    row = cells_rows(study).rows[0]
    rows = [each for each in trainings_table(study).rows if [cell.text for cell in each[1:-2]] == [
        cell.text for cell in row[1:6]
    ]]  # fmt: skip
    values = [each[-1].number for each in rows]
    assert len(values) == 2
    assert row[cells[METRIC]].number == pytest.approx(sum(values) / 2)
    assert row[cells[f"{METRIC}_training_sd"]].number == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
    names = {path.name for path in write_study(study, tmp_path)}
    assert "trainings.csv" in names
    page = (tmp_path / "study.html").read_text()
    assert "32 cells with 2 trainings each, 6 people, 3 targets, 1,152 generated faces" in page
    assert "SD of trainings" in page
    assert "学習間の標準偏差" in (tmp_path / "study.ja.html").read_text()
