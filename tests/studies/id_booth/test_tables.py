"""Tables of the ID-Booth study from run records."""

from __future__ import annotations

from pathlib import Path

from facebench.evaluation.record import MetricResult
from facebench.studies.id_booth.tables import write_tables
from tests.helpers.records import make_run


def test_recognisers_of_one_training_each_make_a_table(tmp_path: Path) -> None:
    folders = []
    for name, value in (("DreamBooth", 0.51), ("ID-Booth", 0.55)):
        result = MetricResult(
            title="accuracy", value=value, n={}, better="higher", decimals=3, backbone="trained"
        )
        run = make_run(name).model_copy(
            update={
                "protocol": "recognition-utility",
                "suite": "resnet18-cosface",
                "tags": {"base": "SD-XL", "prompt": "Complex"},
                "metrics": {"utility_lfw": result},
            }
        )
        run.save(tmp_path / name)
        folders.append(tmp_path / name)
    files = write_tables(tmp_path / "tables", [], folders)
    assert [file.name for file in files] == [
        f"table-3-utility.{suffix}" for suffix in ("csv", "html", "tex", "md")
    ]
    text = files[-1].read_text()
    assert "DreamBooth (published)" in text
    assert "0.55" in text
