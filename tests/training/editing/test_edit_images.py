"""Edited image sets: pixels at strength 0, files, and manifest columns."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from facebench.core.errors import InputError
from facebench.core.progress import Progress
from facebench.training.editing.autoencoder import Images, Latents
from facebench.training.editing.directions import Directions
from facebench.training.editing.edit_images import Editor, Sources, read_sources, reconstruct, write_edits
from facebench.training.editing.linear import LatentStatistics

SIZE, COUNT = 16, 3


class LossyAutoencoder:
    """Autoencoder that never reproduces its input: it renders the first latent as a grey level."""

    batch = 2
    code_channels = 2

    def encode(self, images: Images, progress: Progress | None = None) -> Latents:
        mean = torch.from_numpy(images.astype(np.float32).mean(axis=(1, 2, 3)))
        return Latents(torch.stack([mean, -mean], dim=1), torch.zeros(len(images), 3, SIZE, SIZE))

    def render(self, latents: Latents, progress: Progress | None = None) -> Images:
        grey = latents.z_sem[:, 0].round().clamp(0, 255).to(torch.uint8).numpy()
        images: Images = np.broadcast_to(grey[:, None, None, None], (len(grey), SIZE, SIZE, 3)).copy()
        return images


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for number in range(COUNT):
        pixels = rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    (tmp_path / "manifest.csv").write_text(
        "image,identity,expression\n" + "".join(f"{n}.png,person{n},neutral\n" for n in range(COUNT))
    )
    return tmp_path


@pytest.fixture
def sources(folder: Path) -> Sources:
    return read_sources(folder, SIZE)


@pytest.fixture
def editor() -> Editor:
    statistics = LatentStatistics(torch.tensor([100.0, -100.0]), torch.tensor([3.0, 7.0]))
    directions = Directions("lda", ("happy",), statistics, weight=torch.tensor([[1.0, 0.5]]))
    return Editor(LossyAutoencoder(), directions, "happy")  # type: ignore[arg-type]


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def rows(manifest: Path) -> list[dict[str, str]]:
    with manifest.open(newline="") as file:
        return list(csv.DictReader(file))


def test_an_edit_of_strength_0_has_the_pixels_of_its_source(
    sources: Sources, editor: Editor, tmp_path: Path
) -> None:
    manifest = write_edits(sources, editor, [0.0, 0.5], tmp_path / "out")
    unedited = [row for row in rows(manifest) if row["strength"] == "0"]
    assert len(unedited) == COUNT
    for row, image in zip(unedited, sources.images, strict=True):
        assert np.array_equal(pixels(tmp_path / "out" / row["image"]), image)
        assert not np.array_equal(pixels(tmp_path / "out" / row["reconstruction"]), image)


def test_other_strengths_render_the_moved_latents(sources: Sources, editor: Editor, tmp_path: Path) -> None:
    manifest = write_edits(sources, editor, [2.0], tmp_path / "out")
    for row in rows(manifest):
        edit, unedited = (
            pixels(tmp_path / "out" / row[name]).astype(int) for name in ("image", "reconstruction")
        )
        assert (edit > unedited).all()


def test_the_manifest_has_the_columns_of_source_and_target(
    sources: Sources, editor: Editor, tmp_path: Path
) -> None:
    (row, *_) = rows(write_edits(sources, editor, [1.0], tmp_path / "out", targets=sources))
    assert row == {
        "image": "images/happy_+1/0.png",
        "source": "sources/0.png",
        "reconstruction": "reconstructions/0.png",
        "attribute": "happy",
        "strength": "1",
        "identity": "person0",
        "source_expression": "neutral",
        "target": "targets/0.png",
        "expression": "neutral",
    }
    assert (tmp_path / "out" / row["target"]).is_file()


def test_finished_faces_are_on_disk_and_in_the_manifest_while_the_rest_is_edited(
    sources: Sources, editor: Editor, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    seen: list[tuple[int, int, int, int]] = []

    def report(stage: str, done: int, total: int) -> None:
        manifest = out / "manifest.csv"
        listed = len(rows(manifest)) if manifest.exists() else 0
        seen.append((done, total, len(list((out / "images").rglob("*.png"))), listed))

    write_edits(sources, editor, [1.0, 2.0], out, progress=report)
    assert seen == [(2, 6, 2, 0), (4, 6, 4, 0), (5, 6, 5, 4), (6, 6, 6, 4)]
    assert [row["strength"] for row in rows(out / "manifest.csv")] == ["1"] * 3 + ["2"] * 3


def test_directions_of_another_autoencoder_are_refused(
    sources: Sources, editor: Editor, tmp_path: Path
) -> None:
    statistics = LatentStatistics(torch.zeros(3), torch.ones(3))
    other = Directions("lda", ("happy",), statistics, weight=torch.ones(1, 3))
    with pytest.raises(
        InputError, match=r"codes of 3 numbers, this autoencoder has codes of 2.*--directions"
    ):
        write_edits(sources, Editor(editor.autoencoder, other, "happy"), [1.0], tmp_path / "out")


def test_invalid_edits_are_refused(sources: Sources, editor: Editor, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one strength"):
        write_edits(sources, editor, [], tmp_path / "none")
    with pytest.raises(InputError, match="The directions do not contain 'sad'"):
        write_edits(sources, Editor(editor.autoencoder, editor.directions, "sad"), [0.0], tmp_path / "sad")
    fewer = Sources(sources.items[1:], sources.images[1:], ())
    with pytest.raises(InputError, match=r"sources have no target, such as 0\.png"):
        write_edits(sources, editor, [1.0], tmp_path / "fewer", targets=fewer)


def test_a_reconstruction_has_no_edit_columns(sources: Sources, editor: Editor, tmp_path: Path) -> None:
    manifest = reconstruct(sources, editor.autoencoder, tmp_path / "out")
    assert set(rows(manifest)[0]) == {"image", "source", "identity", "source_expression"}
