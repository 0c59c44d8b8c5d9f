"""Table of the leaderboard page: the order of its columns, and the tags of the models."""

from __future__ import annotations

from facebench.compare.leaderboard import Leaderboard
from facebench.compare.leaderboard_page import page_table
from facebench.core.language import use_language
from tests.helpers.records import make_run


def test_model_rank_and_primary_metric_come_before_the_tags() -> None:
    runs = [make_run("a", genuine_std_sface=0.1, recall_lite0=0.5, fd_lite0=2.0)]
    runs += [make_run("b", genuine_std_sface=0.2, recall_lite0=0.6, fd_lite0=1.0)]
    runs[0].tags.update(base="SD-2.1", seed="3")
    runs[1].tags.update(prompt="Complex")
    table = page_table(Leaderboard.from_runs(runs).boards[0])
    keys = [column.key for column in table.columns]
    assert keys[:5] == ["model", "rank", "fd_lite0", "tag-base", "tag-prompt"]
    assert set(keys[5:]) == {"recall_lite0", "genuine_std_sface"}
    assert [[row[index].text for index in (0, 2, 3, 4)] for row in table.rows] == [
        ["b", "1.00", "–", "Complex"],
        ["a", "2.00", "SD-2.1", "–"],
    ]


def test_chosen_metrics_keep_their_order() -> None:
    runs = [make_run(name, fd_lite0=1.0, recall_lite0=0.5) for name in "ab"]
    board = Leaderboard.from_runs(runs, metrics=["recall_lite0", "fd_lite0"]).boards[0]
    assert [column.key for column in page_table(board).columns] == [
        "model",
        "rank",
        "recall_lite0",
        "fd_lite0",
    ]


def test_block_tags_are_repeated_in_every_row() -> None:
    runs = [make_run(name, fd_lite0=value) for name, value in (("a", 1.0), ("b", 2.0))]
    for run in runs:
        run.protocol = "id-booth"
        run.tags.update(base="SD-2.1", prompt="Complex")
    table = page_table(Leaderboard.from_runs(runs).boards[0])
    tags = [index for index, column in enumerate(table.columns) if column.key.startswith("tag-")]
    assert [[row[index].text for index in tags] for row in table.rows] == [["SD-2.1", "Complex"]] * 2


def test_filters_and_groups_of_columns_are_japanese() -> None:
    with use_language("ja"):
        page = Leaderboard.from_runs([make_run("a", fd_lite0=1.0), make_run("b", fd_lite0=2.0)]).to_html()
    assert '<label>プロトコル <select name="protocol"><option value="">すべて</option>' in page
    assert "<legend>忠実度</legend>" in page
    assert "{total} モデル中 {shown} 件を表示" in page
