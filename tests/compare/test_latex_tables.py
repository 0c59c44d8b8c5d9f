"""LaTeX tables: they compile and fit the width of the text; skipped without a TeX engine."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from facebench.compare.latex_tables import MOST_METRICS
from facebench.compare.leaderboard import Leaderboard
from tests.helpers.records import make_run

METRICS = [
    "fd_lite0", "kd_lite0", "mmd_lite0", "precision_lite0", "recall_lite0", "density_lite0", "coverage_lite0",
    "clipped_density_lite0", "clipped_coverage_lite0", "vendi_lite0", "face_quality_sface", "face_found",
]  # fmt: skip
PAGE = r"""\documentclass{article}
\usepackage[T1]{fontenc}\usepackage[utf8]{inputenc}\usepackage{booktabs,graphicx}
\begin{document}
%s
\end{document}
"""


def board(metrics: list[str]) -> Leaderboard:
    names = ("ours & 100 %_#", "a model with a rather long name", "[theirs]")
    runs = [make_run(name, **dict.fromkeys(metrics, 0.1 + index)) for index, name in enumerate(names)]
    for run in runs:
        run.tags.update(base="SD-2.1")
    return Leaderboard.from_runs(runs)


def test_headings_are_names_of_the_literature_and_labels_replace_them() -> None:
    text = board(["fd_lite0"]).to_latex()
    assert "FD (Lite0)" in text
    assert "fd_" not in re.sub("%.*", "", text)
    runs = [make_run(name, fd_lite0=1.0) for name in "ab"]
    assert "FID-Lite" in Leaderboard.from_runs(runs, labels={"fd_lite0": "FID-Lite"}).to_latex()


def test_many_metrics_are_split_into_tables_that_repeat_the_models() -> None:
    text = board(METRICS).to_latex()
    assert text.count(r"\begin{tabular}") == 2
    assert text.count("[theirs]") == 2
    assert text.count("% Brackets") <= 1
    assert len(METRICS) > MOST_METRICS


@pytest.mark.parametrize("metrics", [METRICS[:3], METRICS])
def test_the_tables_compile_and_fit(tmp_path: Path, metrics: list[str]) -> None:
    engine = next((name for name in ("pdflatex", "tectonic", "lualatex") if shutil.which(name)), None)
    if engine is None:
        pytest.skip("no TeX engine: install texlive-latex-recommended (Debian) or tectonic")
    (tmp_path / "page.tex").write_text(PAGE % board(metrics).to_latex(), encoding="utf-8")
    options = [] if engine == "tectonic" else ["-interaction=nonstopmode", "-halt-on-error"]
    done = subprocess.run(
        [engine, *options, "page.tex"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:]
    # The indentation of a paragraph, 15 pt, is no fault of the table.
    too_wide = [float(width) for width in re.findall(r"Overfull \\hbox \(([\d.]+)pt", done.stdout)]
    assert not [width for width in too_wide if width > 15.1]
    assert (tmp_path / "page.pdf").stat().st_size > 1000
