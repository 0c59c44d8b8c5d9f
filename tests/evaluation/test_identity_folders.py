"""Protocols about people refuse images without identities and name the folder that would have worked."""

from __future__ import annotations

from pathlib import Path

import pytest

from facebench.core.errors import InputError
from facebench.evaluation.identity_folders import check_people
from facebench.evaluation.protocols import find_protocol
from facebench.images.image_set import ImageSet

IDENTITY = find_protocol("identity")


def make(root: Path, *names: str) -> ImageSet:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return ImageSet.open(root)


def test_a_flat_folder_is_refused(tmp_path: Path) -> None:
    images = make(tmp_path / "set", "1.png", "2.png")
    with pytest.raises(InputError, match=r"compares people, and .*set has no identities\. Put the images"):
        check_people(IDENTITY, images)


def test_people_below_a_flat_folder_or_beside_other_images_are_named(tmp_path: Path) -> None:
    flat = make(tmp_path / "flat", "1.png", "people/eve/1.png", "people/bob/1.png")
    with pytest.raises(InputError, match=r"has no identities\. Evaluate .*flat/people, which"):
        check_people(IDENTITY, flat)
    deep = make(tmp_path / "deep", "extra/1.png", "people/eve/1.png", "people/bob/1.png")
    with pytest.raises(InputError, match=r"has 1 identities\. Evaluate .*deep/people, which"):
        check_people(IDENTITY, deep)


def test_one_person_alone_and_other_protocols_are_accepted(tmp_path: Path) -> None:
    check_people(IDENTITY, make(tmp_path / "one", "eve/1.png"))
    check_people(IDENTITY, make(tmp_path / "two", "eve/1.png", "bob/1.png"))
    check_people(find_protocol("quality"), make(tmp_path / "flat", "1.png"))
