"""Tables of affect networks on labelled images: scores by network beside published ones, recalls, agreement."""

from __future__ import annotations

from facebench.compare.published import published_table
from facebench.core.tables import Cell, Column, Table
from facebench.evaluation.expression_names import expression_name
from facebench.evaluation.record import Run
from facebench.evaluation.run_table import interval_text

PUBLISHED = "affectnet-networks"
_NO_IMAGES = "no images"
_SCORES = ("ccc", "pcc", "rmse", "sagr")


def affect_tables(run: Run) -> list[Table]:
    """Return the tables of a run on labelled images; an empty list for any other run."""
    if not run.confusions and not run.network_agreement:
        return []
    tables = [_scores(run), published_table(PUBLISHED), _recalls(run)]
    return [*tables, _agreement(run)] if run.network_agreement else tables


def confusion_tables(run: Run) -> list[Table]:
    """Return the confusion matrix of every network: rows are labels, columns predictions."""
    return [
        Table(
            [Column("label", "label"), *(Column(name, name, numeric=True) for name in confusion.classes)],
            [
                [Cell(name), *(Cell(str(count), float(count)) for count in row)]
                for name, row in zip(confusion.classes, confusion.counts, strict=True)
            ],
            caption=f"Confusion of {network}: rows are labels, columns predictions",
        )
        for network, confusion in run.confusions.items()
    ]


def _scores(run: Run) -> Table:
    columns = [
        Column(f"{dimension}_{score}", f"{dimension} {score.upper()}", numeric=True)
        for dimension in ("valence", "arousal")
        for score in _SCORES
    ]
    columns += [Column("wanted", "accuracy", numeric=True), Column("recall", "mean recall", numeric=True)]
    networks: dict[str, dict[str, Cell]] = {}
    for metric, result in run.metrics.items():
        family = metric.rpartition("_")[0]
        key = family.replace("_truth_", "_").replace("expression_", "")
        if any(column.key == key for column in columns) and result.value is not None:
            cell = Cell(f"{result.value:.3f}", result.value, interval_text(result))
            networks.setdefault(result.backbone, {})[key] = cell
    rows = [
        [Cell(network), *(cells.get(column.key, Cell("–")) for column in columns)]
        for network, cells in networks.items()
    ]
    return Table([Column("network", "network"), *columns], rows, caption="Networks on these labels")


def _recalls(run: Run) -> Table:
    """Return the recall of each expression, one column for each network; synonyms share a row."""
    recalls = [
        {expression_name(each.expression): each for each in one.recalls} for one in run.confusions.values()
    ]
    rows = []
    for name in dict.fromkeys(name for each in recalls for name in each):
        cells = [Cell(name)]
        for recall in (each.get(name) for each in recalls):
            if recall is None or recall.value is None:
                cells.append(Cell("–", title=_NO_IMAGES if recall else "not a class of this network"))
            else:
                small = f"[{recall.low:.2f}, {recall.high:.2f}] n = {recall.n}"
                cells.append(Cell(f"{recall.value:.3f}", recall.value, small))
        rows.append(cells)
    columns = [Column(network, network, numeric=True) for network in run.confusions]
    empty = [row[0].text for row in rows if any(cell.title == _NO_IMAGES for cell in row)]
    notes = [f"No image is labelled {', '.join(empty)}; the mean recall leaves them out."] if empty else []
    return Table([Column("expression", "expression"), *columns], rows, "Recall of each expression", notes)


def _agreement(run: Run) -> Table:
    """Return one row for each pair of networks: concordance of valence and arousal, share of equal classes."""
    pairs: dict[str, dict[str, Cell]] = {}
    for each in run.network_agreement:
        small = "" if each.low is None or each.high is None else f"[{each.low:.3f}, {each.high:.3f}]"
        cell = Cell("–") if each.value is None else Cell(f"{each.value:.3f}", each.value, small)
        cells = pairs.setdefault(f"{each.first}, {each.second}", {})
        cells |= {each.output: cell, "n": Cell(str(each.n), float(each.n))}
    columns = [
        Column("valence", "valence CCC", numeric=True),
        Column("arousal", "arousal CCC", numeric=True),
        Column("expression", "equal expressions", numeric=True),
        Column("n", "n", numeric=True),
    ]
    rows = [
        [Cell(pair), *(cells.get(column.key, Cell("–")) for column in columns)]
        for pair, cells in pairs.items()
    ]
    return Table(
        [Column("networks", "networks"), *columns], rows, "Agreement of the networks with each other"
    )
