"""The manifest of generated people."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from facebench.core.errors import InputError
from facebench.images.image_set import ImageSet
from facebench.training.data.prompt_manifest import add
from facebench.training.data.prompts import prompts


def test_people_are_added_and_replaced(tmp_path: Path) -> None:
    for person, count in (("ann", 4), ("ben", 21), ("ann", 3)):
        texts = prompts("complex", count)
        for number in range(count):
            (tmp_path / person).mkdir(exist_ok=True)
            Image.new("RGB", (16, 16)).save(tmp_path / person / f"{number:04d}.png")
        add(tmp_path, person, {f"{number:04d}.png": text for number, text in enumerate(texts)})
    images = ImageSet.open(tmp_path)
    assert images.column("identity").count("ann") == 3
    assert images.column("identity").count("ben") == 21
    assert all(images.column("prompt"))
    assert len(set(images.column("surroundings")) - {None}) == 10


@pytest.mark.parametrize("content", ["image,mine\na.png,1\n", "image,identity,prompt,surroundings\na.png\n"])
def test_another_manifest_is_not_replaced(content: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text(content)
    with pytest.raises(InputError, match="is not a manifest of `facebench generate`"):
        add(tmp_path, "ann", {"0000.png": "photo"})
    assert (tmp_path / "manifest.csv").read_text() == content
