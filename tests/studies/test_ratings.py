"""Agreement of the metrics of a run with ratings of people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from facebench import cli
from facebench.core.errors import InputError
from facebench.evaluation.record import Run
from facebench.studies.ratings import agreement_table, agreements, read_ratings
from tests.helpers.records import make_run

N = 60
NAMES = [f"{place:02d}.png" for place in range(N)]
QUALITY = np.random.default_rng(0).random(N).astype(np.float32)


@pytest.fixture
def run() -> Run:
    table = pd.DataFrame(
        {
            "role": "generated",
            "image": NAMES,
            "sha256": "0" * 64,
            "face_score": 0.9,
            "quality:sface-quality": QUALITY,
        }
    )
    run = make_run("model", images=N, face_quality_sface=float(QUALITY.mean(dtype=np.float64)))
    return run.with_per_image(table)


def write(path: Path, header: str, lines: list[str]) -> Path:
    path.write_text("\n".join([header, *lines]))
    return path


def test_ratings_that_follow_the_metric_correlate_with_it(run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    lines = [
        f"{name},{value + noise:.4f}"
        for name, value in zip(NAMES, QUALITY, strict=True)
        for noise in rng.normal(0, 0.2, 3)
    ]
    ratings = read_ratings(write(tmp_path / "r.csv", "image,rating", lines))
    assert len(ratings.rows) == N
    (found,) = agreements(run, ratings)
    assert found.metric == "face_quality_sface"
    assert found.value > 0.8
    assert found.interval is not None
    assert found.interval.low < found.value < found.interval.high
    assert "face_quality_sface" in agreement_table([found], "ratings").csv()


def test_ratings_without_relation_have_an_interval_around_zero(run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    lines = [f"{name},{value}" for name, value in zip(NAMES, rng.random(N), strict=True)]
    (found,) = agreements(run, read_ratings(write(tmp_path / "r.csv", "image,rating", lines)))
    assert found.interval is not None
    assert found.interval.low < 0 < found.interval.high


def test_preferences_count_pairs_in_the_order_of_the_metric(run: Run, tmp_path: Path) -> None:
    lines = []
    for i in range(0, N, 2):
        better = "left" if QUALITY[i] > QUALITY[i + 1] else "right"
        lines.append(f"{NAMES[i]},{NAMES[i + 1]},{better}")
    lines.append(f"{NAMES[0]},{NAMES[1]},tie")
    ratings = read_ratings(write(tmp_path / "p.csv", "left,right,preferred", lines))
    (found,) = agreements(run, ratings)
    assert (found.value, found.n) == (1.0, N // 2)


def test_domains_have_rows_of_their_own(run: Run, tmp_path: Path) -> None:
    lines = [
        f"{name},{value if place % 2 else -value},{'photo' if place % 2 else 'art'}"
        for place, (name, value) in enumerate(zip(NAMES, QUALITY, strict=True))
    ]
    found = agreements(run, read_ratings(write(tmp_path / "r.csv", "image,rating,domain", lines)))
    values = {one.domain: one.value for one in found}
    assert values["photo"] == pytest.approx(1.0)
    assert values["art"] == pytest.approx(-1.0)
    assert set(values) == {"", "photo", "art"}


def test_bad_files_are_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs the columns"):
        read_ratings(write(tmp_path / "a.csv", "name,score", ["x,1"]))
    with pytest.raises(InputError, match="line 3: the rating"):
        read_ratings(write(tmp_path / "b.csv", "image,rating", ["x,1", "y,good"]))
    with pytest.raises(InputError, match="no judgement"):
        read_ratings(write(tmp_path / "c.csv", "image,rating", []))
    with pytest.raises(InputError, match="cannot be read"):
        read_ratings(tmp_path / "missing.csv")
    with pytest.raises(InputError, match="no image 'x'"):
        agreements(run, read_ratings(write(tmp_path / "d.csv", "image,rating", ["x,1"])))
    with pytest.raises(InputError, match="No metric of the run"):
        agreements(run, read_ratings(write(tmp_path / "e.csv", "image,rating", [f"{NAMES[0]},1"])))
    with pytest.raises(InputError, match="no per-image table"):
        agreements(make_run("other"), read_ratings(write(tmp_path / "f.csv", "image,rating", ["x,1"])))


def test_the_command_prints_the_table(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run.save(tmp_path / "run")
    lines = [f"{name},{value}" for name, value in zip(NAMES, QUALITY, strict=True)]
    file = write(tmp_path / "r.csv", "image,rating", lines)
    assert cli.run_command(["validate", "--against", str(file), "--run", str(tmp_path / "run")]) == 0
    assert "1.00" in capsys.readouterr().out
    assert cli.run_command(["validate", "--against", str(file)]) == 2
