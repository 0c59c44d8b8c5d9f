"""The page that collects preferences: pairs, and what it embeds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facebench.core.errors import InputError
from facebench.images.image_set import ImageSet
from facebench.studies.ratings_page import RatingStudy, choose_pairs, ratings_page


@pytest.mark.parametrize(("images", "pairs"), [(2, 1), (5, 10), (8, 12), (31, 100)])
def test_pairs_are_different_and_use_the_images_equally(images: int, pairs: int) -> None:
    chosen = choose_pairs(images, pairs, seed=1)
    assert len({frozenset(pair) for pair in chosen}) == pairs
    assert all(first != second for first, second in chosen)
    counts = Counter(index for pair in chosen for index in pair)
    assert max(counts.values()) - min(counts.get(index, 0) for index in range(images)) <= 1


def test_more_pairs_than_there_are_is_an_input_error() -> None:
    with pytest.raises(InputError, match="4 images have 6 pairs, and 7 are asked for"):
        choose_pairs(4, 7, seed=0)


def test_damaged_images_are_named_and_hostile_names_stay_text(tmp_path: Path) -> None:
    for name in ("a.png", "<img src=x onerror=alert(1)>.png", "c.png", "=1+1.png"):
        Image.fromarray(np.full((16, 16, 3), 9, np.uint8)).save(tmp_path / name)
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    page, skipped = ratings_page(ImageSet.open(tmp_path), RatingStudy("Which </script> one?", pairs=10))
    assert len(skipped) == 1
    assert "bad.png" in skipped[0]
    assert page.count("</script>") == 1
    assert "<img src=x" not in page
    assert '"./=1+1.png"' in page


def test_an_empty_question_is_an_input_error(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="question"):
        ratings_page(ImageSet.open(tmp_path), RatingStudy("  "))
