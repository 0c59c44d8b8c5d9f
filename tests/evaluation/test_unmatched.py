"""People and images without a partner are counted, with an example from each side."""

from __future__ import annotations

from pathlib import Path

import pytest

import facebench
from tests.evaluation.test_duplicates import make_set

OPTIONS = {"protocol": "identity", "suite": "compact", "metrics": "eer_sface_real,genuine_mean_sface_real"}
NAMES = ("Zoé", "Ann Lee", "Bert")


def values(generated: Path, reference: Path) -> tuple[dict[str, float | None], list[str]]:
    run = facebench.evaluate(generated, reference, **OPTIONS)
    return {name: result.value for name, result in run.metrics.items()}, run.warnings


def people(folder: Path, names: tuple[str, ...], first: int) -> Path:
    pictures = {f"{name}__{k}": first + 2 * i + k for i, name in enumerate(names) for k in range(2)}
    return make_set(folder, **pictures)


@pytest.mark.parametrize(
    "spelling",
    [
        ("zoé", "ann lee", "BERT"),
        ("Zoe\u0301", "Ann Lee", "Bert"),
        ("Zoé", "Ann\u00a0Lee", "Bert"),
        ("Zoé ", "Ann  Lee", "Bert"),
    ],
    ids=["case", "unicode form", "no-break space", "spaces"],
)
def test_one_person_in_two_spellings_is_one_identity(tmp_path: Path, spelling: tuple[str, ...]) -> None:
    generated = people(tmp_path / "g", NAMES, 0)
    same, _ = values(generated, people(tmp_path / "same", NAMES, 8))
    other, warnings = values(generated, people(tmp_path / "other", spelling, 8))
    assert other == same
    assert not [text for text in warnings if "partner" in text]


def test_people_of_one_set_only_are_counted_with_an_example_from_each_side(tmp_path: Path) -> None:
    generated = people(tmp_path / "g", NAMES, 0)
    _, warnings = values(generated, people(tmp_path / "r", ("Zoé", "Carla", "Bert"), 8))
    (warning,) = [text for text in warnings if "partner" in text]
    assert "1 of 3 identities are only in the generated set (first: 'Ann Lee')" in warning
    assert "1 of 3 identities are only in the reference set (first: 'Carla')" in warning


def test_images_without_a_source_are_counted_with_an_example(tmp_path: Path) -> None:
    folder = make_set(tmp_path / "g", a=0, b=1, c=2, s=3)
    rows = ["image,source", "a.png,s.png", "b.png,lost.png", "c.png,"]
    (folder / "manifest.csv").write_text("\n".join(rows), encoding="utf-8")
    run = facebench.evaluate(
        folder, protocol="edit", suite="compact", metrics="identity_similarity_sface", max_rejected=0.5
    )
    assert any("2 of 3 generated images have no usable source (first: b.png" in text for text in run.warnings)
