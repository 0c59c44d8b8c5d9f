"""Feature extraction: each image is processed once, every result is stored, and none is lost."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from torch import Tensor

from facebench.backbones.face_detection import Face, FaceFinder
from facebench.core.errors import FacebenchError, InputError
from facebench.core.progress import Progress, no_progress
from facebench.features.engine import preparation, table
from facebench.features.engine.batches import Batcher
from facebench.features.extraction import Execution, Extraction, FaceOptions, extract
from facebench.features.store.sqlite import Store
from facebench.images.image_set import ImageSet
from tests.helpers.paths import GOLDENS_FOLDER, REPOSITORY
from tests.helpers.tiny_networks import Tiny, TinyBox, TinyFace

GOLDEN = GOLDENS_FOLDER / "images" / "a"
FILES = sorted(GOLDEN.iterdir())[:14]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Fourteen faces."""
    folder = tmp_path / "faces"
    folder.mkdir()
    for file in FILES:
        shutil.copy(file, folder)
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count how often each file is decoded."""
    counter: Counter[str] = Counter()
    real = preparation.decode_with_notes

    def counting(data: bytes, name: str) -> object:
        counter[name] += 1
        return real(data, name)

    monkeypatch.setattr(preparation, "decode_with_notes", counting)
    return counter


def run(
    folder: Path,
    *backbones: Tiny,
    store: Store | None = None,
    faces: FaceOptions | None = None,
    batch_size: int | None = 4,
    progress: Progress = no_progress,
) -> Extraction:
    images = ImageSet.open(folder, identities=False)
    execution = Execution(batch_size=batch_size)
    return extract(images, backbones, store=store, faces=faces, execution=execution, progress=progress)


def assert_same(one: Extraction, other: Extraction) -> None:
    """Assert equality bit for bit."""
    assert one.items == other.items
    assert one.sha256 == other.sha256
    assert one.digest == other.digest
    assert one.rejected == other.rejected
    np.testing.assert_array_equal(one.sizes, other.sizes)
    assert [face and (face.box, face.score, face.landmarks.tobytes()) for face in one.faces] == [
        face and (face.box, face.score, face.landmarks.tobytes()) for face in other.faces
    ]
    assert {name: list(arrays) for name, arrays in one.arrays.items()} == {
        name: list(arrays) for name, arrays in other.arrays.items()
    }
    for backbone, arrays in one.arrays.items():
        np.testing.assert_array_equal(one.valid[backbone], other.valid[backbone])
        for name, array in arrays.items():
            assert array.tobytes() == other.arrays[backbone][name].tobytes()


def reasons(extraction: Extraction) -> dict[str, str]:
    return {rejected.name: rejected.reason for rejected in extraction.rejected}


def test_each_row_is_the_result_of_the_network_for_its_image(folder: Path) -> None:
    network, face_network = Tiny(), TinyFace("tinyface")
    extraction = run(folder, network, face_network)
    assert [item.name for item in extraction.items] == [file.name for file in FILES]
    assert extraction.sizes.tolist() == [[256, 256]] * 14
    assert extraction.valid["tiny"].all()
    finder = FaceFinder()
    for row in (0, 5, 13):
        image = np.array(Pillow.open(FILES[row]).convert("RGB"))
        face = finder.find(image)
        assert face is not None
        assert extraction.faces[row].box == face.box  # type: ignore[union-attr]
        alone = network.embed(network.preprocess(image)[None])
        np.testing.assert_allclose(
            extraction.arrays["tiny"]["features"][row], alone["features"][0], atol=1e-6
        )
        assert extraction.arrays["tiny"]["brightness"].shape == (14,)
        aligned = preparation.crop("face112", image, face)
        alone = face_network.embed(face_network.preprocess(aligned)[None])
        np.testing.assert_allclose(
            extraction.arrays["tinyface"]["features"][row], alone["features"][0], atol=1e-6
        )


def test_each_file_is_decoded_once_for_all_networks(folder: Path, decoded: Counter[str]) -> None:
    run(folder, Tiny("a"), Tiny("b", seed=1), TinyFace("c"), TinyFace("d", seed=1))
    assert decoded == {file.name: 1 for file in FILES}


def test_a_second_run_computes_nothing(folder: Path, store: Store, decoded: Counter[str]) -> None:
    first = run(folder, Tiny(), TinyFace("tinyface"), store=store)
    decoded.clear()
    again = [Tiny(), TinyFace("tinyface")]
    second = run(folder, *again, store=Store(store.folder))
    assert not decoded
    assert [network.batches for network in again] == [[], []]
    assert_same(first, second)


def test_an_overlapping_folder_computes_only_new_images(
    folder: Path, store: Store, decoded: Counter[str], tmp_path: Path
) -> None:
    run(folder, Tiny(), store=store)
    (folder / "extra.png").write_bytes(sorted(GOLDEN.iterdir())[20].read_bytes())
    (folder / FILES[0].name).rename(folder / "renamed.png")
    decoded.clear()
    run(folder, network := Tiny(), store=store)
    assert decoded == {"extra.png": 1}
    assert network.batches == [4]


def test_only_a_new_network_is_computed(folder: Path, store: Store) -> None:
    run(folder, Tiny("a"), store=store)
    known, new = Tiny("a"), Tiny("b", seed=1)
    both = run(folder, known, new, store=store)
    assert (known.batches, new.batches) == ([], [4, 4, 4, 4])
    assert_same(both, run(folder, Tiny("a"), Tiny("b", seed=1)))


def test_other_weights_or_preprocessing_give_another_result(folder: Path, store: Store) -> None:
    run(folder, Tiny(), store=store)
    run(folder, other_weights := Tiny(seed=1), store=store)
    other_preprocessing = Tiny()
    other_preprocessing.preprocessing = "area64-v2"
    run(folder, other_preprocessing, store=store)
    assert len(other_weights.batches) == len(other_preprocessing.batches) == 4


@pytest.mark.parametrize("known", [1, 3, 8, 13])
def test_other_images_in_the_batch_do_not_change_a_bit(folder: Path, tmp_path: Path, known: int) -> None:
    whole = run(folder, Tiny(), TinyFace("tinyface"))
    part = tmp_path / "part"
    part.mkdir()
    for file in FILES[-known:]:
        shutil.copy(file, part)
    store = Store(tmp_path / "store")
    run(part, Tiny(), TinyFace("tinyface"), store=store)
    assert_same(whole, run(folder, Tiny(), TinyFace("tinyface"), store=store))


def test_the_same_content_is_computed_once(folder: Path, store: Store) -> None:
    for number in range(6):
        shutil.copy(FILES[3], folder / f"copy{number}.png")
    (folder / "broken1.png").write_bytes(FILES[0].read_bytes()[:3000])
    shutil.copy(folder / "broken1.png", folder / "broken2.png")
    extraction = run(folder, network := Tiny(), TinyFace("tinyface"), store=store)
    assert network.batches == [4, 4, 4, 4]
    assert len(extraction.items) == 20
    features = extraction.arrays["tiny"]["features"]
    rows = [row for row, item in enumerate(extraction.items) if item.name.startswith("copy")]
    np.testing.assert_array_equal(features[rows], np.repeat(features[[3 + len(rows)]], 6, axis=0))
    assert reasons(extraction) == {"broken1.png": "truncated", "broken2.png": "truncated"}
    assert_same(extraction, run(folder, Tiny(), TinyFace("tinyface"), store=store))


def test_an_image_without_a_face_is_kept_for_networks_that_need_none(folder: Path, store: Store) -> None:
    Pillow.new("RGB", (200, 100), (90, 120, 90)).save(folder / "meadow.png")
    for extraction in [run(folder, Tiny(), TinyFace("tinyface"), store=store) for _ in range(2)]:
        row = [item.name for item in extraction.items].index("meadow.png")
        assert extraction.faces[row] is None
        assert extraction.sizes[row].tolist() == [200, 100]
        assert extraction.valid["tiny"].all()
        assert extraction.valid["tinyface"].sum() == 14
        assert np.isnan(extraction.arrays["tinyface"]["features"][row]).all()
        assert [(r.name, r.reason, r.scope) for r in extraction.rejected] == [
            ("meadow.png", "no_face", "faces")
        ]


def test_a_set_without_faces_has_no_valid_row(tmp_path: Path) -> None:
    Pillow.new("RGB", (64, 64)).save(tmp_path / "black.png")
    extraction = run(tmp_path, TinyFace())
    assert not extraction.valid["tiny"].any()
    assert np.isnan(extraction.arrays["tiny"]["features"]).all()


def test_faces_are_not_detected_if_no_network_needs_them(folder: Path) -> None:
    assert run(folder, Tiny()).faces == [None] * 14


def test_an_edit_is_cropped_with_the_box_of_its_source(folder: Path, store: Store) -> None:
    plain = run(folder, TinyFace(), store=store)
    face = plain.faces[2]
    assert face is not None
    shifted = Face((face.box[0] + 9, *face.box[1:]), face.landmarks + np.float32(9), face.score)
    options = FaceOptions(box_faces={item.name: shifted for item in plain.items[:3]})
    box = run(folder, TinyBox("box"), store=store).arrays["box"]["features"]
    for _ in range(2):
        extraction = run(folder, TinyBox("box"), TinyFace("aligned"), store=store, faces=options)
        assert [face and face.box for face in extraction.faces] == [face and face.box for face in plain.faces]
        moved = extraction.arrays["box"]["features"]
        assert not np.array_equal(moved[2], box[2])
        np.testing.assert_array_equal(moved[3:], box[3:])
        np.testing.assert_array_equal(
            extraction.arrays["aligned"]["features"], plain.arrays["tiny"]["features"]
        )
    unchanged = FaceOptions(box_faces={plain.items[2].name: face})
    same = run(folder, network := TinyBox("box"), store=store, faces=unchanged)
    assert network.batches == []
    np.testing.assert_array_equal(same.arrays["box"]["features"], box)


def test_faces_are_detected_on_request(folder: Path, store: Store) -> None:
    for _ in range(2):
        extraction = run(folder, Tiny(), store=store, faces=FaceOptions(always_detect=True))
        assert extraction.finder is not None
        assert sum(face is not None for face in extraction.faces) == 14
        assert run(folder, Tiny(), store=store).finder is None


def test_progress_counts_every_item_once(folder: Path, store: Store) -> None:
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    shutil.copy(FILES[0], folder / "same.png")
    for _ in range(2):
        calls: list[tuple[str, int, int | None]] = []
        run(
            folder,
            Tiny(),
            TinyFace("tinyface"),
            store=store,
            progress=lambda *call, calls=calls: calls.append(call),  # type: ignore[misc]
        )
        assert calls == [("images", done, 16) for done in range(1, 17)]


def test_the_digest_changes_with_names_columns_and_content(folder: Path) -> None:
    digests = {run(folder, Tiny()).digest, run(folder, Tiny("other")).digest}
    assert len(digests) == 1
    shutil.copy(FILES[0], folder / "z.png")
    digests.add(run(folder, Tiny()).digest)
    (folder / "z.png").rename(folder / "y.png")
    digests.add(run(folder, Tiny()).digest)
    (folder / "manifest.csv").write_text(
        "image,expression\n" + "".join(f"{f.name},happy\n" for f in FILES) + "y.png,sad\n"
    )
    digests.add(extract(ImageSet.open(folder), [Tiny()], store=None).digest)
    assert len(digests) == 4


def test_a_repeated_backbone_name_is_rejected(folder: Path) -> None:
    with pytest.raises(InputError, match="named twice"):
        run(folder, Tiny(), Tiny())


def test_large_arrays_are_memory_mapped(folder: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    in_memory = run(folder, Tiny(), store=store)
    (folder / "aaa.png").write_bytes(b"no image")
    monkeypatch.setattr(table, "MAX_BYTES_IN_MEMORY", 1000)
    on_disk = run(folder, Tiny(), store=store)
    assert isinstance(on_disk.arrays["tiny"]["features"], np.memmap)
    np.testing.assert_array_equal(on_disk.arrays["tiny"]["features"], in_memory.arrays["tiny"]["features"])
    assert len(on_disk.items) == 14


class Unstable(Tiny):
    """Divides by the fraction of bright pixels, which is zero in dark images."""

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        bright = (batch > 0.5).float().mean(dim=(1, 2, 3))
        return {"features": self.network(batch) / bright[:, None], "brightness": bright}


def test_a_result_that_is_not_finite_is_reported_with_its_image(folder: Path, store: Store) -> None:
    Pillow.new("RGB", (64, 64), (9, 9, 9)).save(folder / "dark.png")
    for _ in range(2):
        extraction = run(folder, Unstable(), store=store)
        (rejected,) = extraction.rejected
        assert (rejected.name, rejected.reason) == ("dark.png", "not_finite")
        assert rejected.detail == "tiny: the array 'features' is not finite"
        assert extraction.valid["tiny"].sum() == 14
        assert np.isnan(extraction.arrays["tiny"]["features"][~extraction.valid["tiny"]]).all()


class SmallDevice(Tiny):
    """Runs out of memory above the batch size `fits`."""

    fits = 2

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        if len(batch) > self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return super().run(batch)


def test_out_of_memory_halves_the_batch_and_loses_nothing(folder: Path) -> None:
    extraction = run(folder, network := SmallDevice(), batch_size=8)
    assert network.batches == [2] * 7
    assert [warning.split("; ")[1] for warning in extraction.warnings] == [
        "the batch size is now 4.",
        "the batch size is now 2.",
    ]
    assert_same(extraction, run(folder, Tiny(), batch_size=2))


@pytest.mark.parametrize("fits", [2, 8])
def test_a_threaded_network_gives_the_same_results_bit_for_bit(fits: int) -> None:
    """As on a GPU, where the next batch is collected while one is computed."""
    network = SmallDevice()
    network.fits = fits
    inputs = torch.rand(21, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    threaded, direct = Batcher[int](network, 8, threaded=True), Batcher[int](network, 8, threaded=False)
    early = [len(threaded.add(number, tensor)) for number, tensor in enumerate(inputs)]
    assert early == [0] * 15 + [8] + [0] * 5 if fits == 8 else sum(early) > 0
    rows = dict(threaded.flush())
    for number, tensor in enumerate(inputs):
        direct.add(number, tensor)
    assert len(rows) == 21 - sum(early)
    for number, expected in direct.flush():
        assert rows[number]["features"].tobytes() == expected["features"].tobytes()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_agrees_with_the_processor(folder: Path) -> None:
    on_gpu = run(folder, Tiny(device="cuda"), batch_size=None)
    np.testing.assert_allclose(
        on_gpu.arrays["tiny"]["features"], run(folder, Tiny()).arrays["tiny"]["features"], atol=1e-5
    )


def test_out_of_memory_with_a_single_image_is_explained(folder: Path) -> None:
    network = SmallDevice()
    network.fits = 0
    with pytest.raises(FacebenchError, match=r"single image.*--device cpu"):
        run(folder, network)


def test_a_file_removed_after_listing_is_rejected(folder: Path) -> None:
    images = ImageSet.open(folder)
    images.items[4].path.unlink()
    images.items[5].path.unlink()
    images.items[5].path.mkdir()
    images.items[6].path.write_bytes(b"")
    extraction = extract(images, [Tiny()], store=None)
    expected = {
        images.items[4].name: "missing",
        images.items[5].name: "unreadable",
        images.items[6].name: "empty",
    }
    assert reasons(extraction) == expected
    assert len(extraction.items) == len(extraction.arrays["tiny"]["features"]) == 11


def test_broken_files_do_not_affect_other_images(tmp_path: Path) -> None:
    base = np.array(Pillow.open(FILES[0]).convert("RGB").resize((64, 64)))
    for number in range(300):
        Pillow.fromarray(np.roll(base, number, axis=1) ^ np.uint8(number // 64)).save(
            tmp_path / f"{number:03}.png"
        )
    (tmp_path / "050.png").write_bytes((tmp_path / "050.png").read_bytes()[:2000])
    (tmp_path / "150.png").write_bytes(b"")
    (tmp_path / "250.png").write_text("<html>404</html>")
    extraction = run(tmp_path, Tiny(), batch_size=32)
    assert reasons(extraction) == {"050.png": "truncated", "150.png": "empty", "250.png": "not_an_image"}
    assert extraction.arrays["tiny"]["features"].shape == (297, 48)
    assert extraction.valid["tiny"].all()


def test_a_huge_image_is_rejected_before_decoding(folder: Path) -> None:
    with (folder / "poster.ppm").open("wb") as poster:
        poster.write(b"P4 30000 30000\n")
        poster.truncate(poster.tell() + 30_000 * 30_000 // 8)
    extraction = run(folder, Tiny())
    assert reasons(extraction) == {"poster.ppm": "too_large"}
    assert len(extraction.items) == 14


def test_an_image_with_several_frames_is_reported(folder: Path, store: Store) -> None:
    frames = [Pillow.open(file).convert("RGB").resize((64, 64)) for file in FILES[:3]]
    frames[0].save(folder / "pages.tiff", save_all=True, append_images=frames[1:])
    for _ in range(2):
        assert run(folder, Tiny(), store=store).warnings == ["pages.tiff: first of 3 frames."]


def test_an_unusable_store_causes_a_warning(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    extraction = run(folder, Tiny(), store=Store(tmp_path / "file" / "store"))
    (warning,) = extraction.warnings
    assert "FACEBENCH_CACHE" in warning
    assert warning.endswith("This run continues without it.")
    assert_same(extraction, run(folder, Tiny()))


def test_a_full_disk_causes_a_warning(folder: Path, store: Store) -> None:
    store.put([])
    store._connected().execute("PRAGMA max_page_count=1")  # the file cannot grow
    extraction = run(folder, Tiny(), store=store)
    (warning,) = extraction.warnings
    assert "full" in warning
    assert warning.endswith("Results are not stored for the next run.")
    assert_same(extraction, run(folder, Tiny(), store=Store(store.folder)))


def test_damaged_entries_are_computed_again(folder: Path, store: Store) -> None:
    before = run(folder, Tiny(), store=store)
    store.close()
    content = bytearray(store.path.read_bytes())
    for row in (3, 8):
        at = content.index(before.arrays["tiny"]["features"][row].tobytes())
        content[at + 50] ^= 4
    store.path.write_bytes(content)
    extraction = run(folder, network := Tiny(), store=store)
    assert network.batches == [4]
    assert extraction.warnings == ["Damaged results of tiny are computed again: 2."]
    assert_same(before, extraction)
    assert run(folder, Tiny(), store=Store(store.folder)).warnings == []


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, object], Path]:
    """Run extractions that are killed, interrupted, or run twice at the same time."""
    folder, work = tmp_path_factory.mktemp("faces"), tmp_path_factory.mktemp("work")
    for file in sorted(GOLDEN.iterdir())[:16]:
        shutil.copy(file, folder)
    command = [sys.executable, "-m", "tests.helpers.bad_days", folder, work]
    root = REPOSITORY
    result = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=200, cwd=root)
    return json.loads(result.stdout), work


def arrays_in(path: Path) -> dict[str, bytes]:
    with np.load(path) as file:
        return {name: file[name].tobytes() for name in file.files}


def test_a_killed_run_loses_at_most_one_batch_and_resumes(outcomes: tuple[dict, Path]) -> None:  # type: ignore[type-arg]
    report, work = outcomes
    assert sum(kill["killed"] for kill in report["kills"]) >= 3
    for kill in report["kills"]:
        assert kill.get("tiny", 0) >= kill["finished"]
    assert len(arrays_in(work / "undisturbed.npz")) == 4
    assert arrays_in(work / "killed.npz") == arrays_in(work / "undisturbed.npz")


def test_an_interrupted_run_ends_cleanly_and_resumes(outcomes: tuple[dict, Path]) -> None:  # type: ignore[type-arg]
    report, work = outcomes
    assert report["interrupt"]["exit"] == 42
    assert 1 <= report["interrupt"]["kept"] < 16
    assert arrays_in(work / "interrupted.npz") == arrays_in(work / "undisturbed.npz")


def test_two_simultaneous_runs_share_one_store(outcomes: tuple[dict, Path]) -> None:  # type: ignore[type-arg]
    report, work = outcomes
    assert report["two_at_once"] == [0, 0]
    assert (
        arrays_in(work / "shared0.npz")
        == arrays_in(work / "shared1.npz")
        == arrays_in(work / "undisturbed.npz")
    )
    assert Store(work / "shared").verify()[1] == 0
