"""Recogniser training: convergence, resumed runs, presets, and errors of bad data."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from typer.testing import CliRunner

from facebench.cli import app, main
from facebench.compare.leaderboard import Leaderboard
from facebench.core.errors import InputError
from facebench.evaluation.record_reading import load_run
from facebench.training import presets
from facebench.training.data.people import AlignedFaces, FolderPeople
from facebench.training.data.sources import SynthfaceData
from facebench.training.engine import loop
from facebench.training.engine.plateau import Plateau, PlateauSettings
from facebench.training.recognition.benchmark_verification import score
from facebench.training.recognition.benchmarks import open_benchmark, synthetic_pairs
from facebench.training.recognition.bin_format import read_bin, write_bin
from facebench.training.recognition.recogniser import Recogniser
from facebench.training.tasks import registry
from facebench.training.tasks.recognition import RecognitionTask

TINY = [
    "network.width=4", "network.size=28", "network.embedding=8", "batch_size=8", "workers=0", "optimizer.warmup=0",
    "optimizer.decay=constant", "checkpoint_every=2", "evaluate_every=2",
]  # fmt: skip


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve rendered people with four images each, and a benchmark of twenty other people."""
    root = tmp_path_factory.mktemp("people")
    arguments = ["synth", str(root / "faces"), "--identities", "12", "--images", "4", "--size", "80"]
    arguments += ["--benchmark-bin", str(root / "lfw.bin"), "--benchmark-people", "20"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    for name in ("agedb_30", "calfw", "cfp_fp", "cplfw"):
        shutil.copy(root / "lfw.bin", root / f"{name}.bin")
    return root


def tiny(people: Path, *changes: str) -> dict[str, Any]:
    content = presets.read("recognition-synthface", [*TINY, *changes])
    content["data"] = {"kind": "folder", "path": people / "faces"}
    content["validation"] = {"kind": "benchmark", "path": people / "lfw.bin"}
    return content


def train(content: Mapping[str, Any], out: Path, stop_after: int | None = None) -> dict[str, torch.Tensor]:
    """Train; an exception ends the run after `stop_after` steps, as a power cut would."""

    class PowerCut(BaseException):
        pass

    def on_step(step: int, steps: int, losses: Mapping[str, float]) -> None:
        if step == stop_after:
            raise PowerCut

    prepared = registry.prepare("recognition", content, "test")
    try:
        model = loop.fit(
            prepared.task,
            prepared.settings,
            out,
            device="cpu",
            on_step=on_step,
            on_message=lambda _: None,
        )
    except PowerCut:
        return {}
    return load_file(model)


def test_a_killed_run_ends_with_the_bits_of_one_that_was_never_killed(people: Path, tmp_path: Path) -> None:
    # The schedule lowers the rate after each epoch without improvement, so its state must be restored as well.
    content = tiny(people, "steps=14", "plateau.patience=0", "plateau.factor=0.5", "network.dropout=0.4")
    whole = train(content, tmp_path / "whole")
    train(content, tmp_path / "killed", stop_after=5)
    train(content, tmp_path / "killed", stop_after=9)
    killed = train(content, tmp_path / "killed")
    assert whole.keys() == killed.keys()
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
    logs = [(tmp_path / run / "log.csv").read_text() for run in ("whole", "killed")]
    assert logs[0] == logs[1]
    rates = {line.split(",")[2] for line in logs[0].splitlines() if ",learning_rate," in line}
    assert len(rates) > 1


def test_training_stops_early_and_keeps_the_best_epoch(people: Path, tmp_path: Path) -> None:
    content = tiny(people, "epochs=50", "plateau.stop_after=2", "optimizer.learning_rate=1e-9")
    model = train(content, tmp_path)
    state = json.loads(sorted((tmp_path / "checkpoints").glob("*/state.json"))[-1].read_text())
    assert state["step"] < 50 * 6
    best = load_file(tmp_path / "checkpoints" / state["progress"]["best"]["checkpoint"] / "model.safetensors")
    assert all(torch.equal(best[f"backbone.{name}"], value) for name, value in model.items())


def test_the_plateau_schedule_matches_pytorch() -> None:
    rng = np.random.default_rng(0)
    accuracies = np.round(0.6 + 0.1 * rng.random(60), 3)
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, mode="max", factor=0.1, patience=4)
    ours = Plateau(PlateauSettings(stop_after=None))
    for accuracy in accuracies:
        theirs.step(accuracy)
        ours.update(float(accuracy))
        # PyTorch leaves rates below 1e-8 alone.
        assert ours.rate == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-9) or ours.rate < 1e-7


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        ("resnet18-cosface", ("iresnet18", 112, "CosFace", 0.35, 16, 0.003125)),
        ("idbooth-released", ("iresnet50", 512, "AdaFace", 0.4, 128, 0.025)),
    ],
)
def test_presets_match_the_released_configurations(
    people: Path, preset: str, expected: tuple[object, ...]
) -> None:
    faces, pairs = people / "faces", people / "lfw.bin"
    content = presets.read(preset, [f"data.path={faces}", f"validation.path={pairs}"])
    prepared = registry.prepare("recognition", content, preset)
    task, given = prepared.task, prepared.settings
    assert isinstance(task, RecognitionTask)
    assert isinstance(task.network, Recogniser)
    used, optimiser, head = task.settings.network, given.optimizer, task.network.head
    found = (
        used.name,
        used.embedding,
        type(head).__name__,
        head.margin,
        given.batch_size,
        optimiser.learning_rate,
    )
    assert found == expected
    assert (optimiser.momentum, optimiser.weight_decay, optimiser.max_grad_norm, head.scale) == (
        0.9,
        5e-4,
        5.0,
        64.0,
    )
    assert (used.dropout, used.width, used.size) == (0.4, 64, 112)
    schedule = task.settings.plateau
    assert (schedule.factor, schedule.patience, schedule.stop_after, schedule.first_epoch) == (0.1, 4, 6, 1)
    assert task.settings.epochs == 200
    assert sum(map(len, task.clip_groups())) == len(task.parameters())


def test_the_benchmark_has_other_people_and_disjoint_folds(people: Path) -> None:
    pairs = open_benchmark(people / "lfw.bin")
    assert (len(pairs.crops), int(pairs.same.sum()), len(pairs.same)) == (80, 20, 40)
    folds = [{crop.tobytes() for crop in fold} for fold in np.array_split(pairs.crops, 10)]
    assert len(set.union(*folds)) == 80
    trained = AlignedFaces(FolderPeople(people / "faces"))
    seen = {trained.read(index).image.tobytes() for index in range(len(trained))}
    assert not seen & set.union(*folds)
    with pytest.raises(InputError, match="10 people"):
        synthetic_pairs(SynthfaceData(kind="synthface", images=4, identities=10))


def test_validation_people_in_the_training_data_are_refused() -> None:
    content = presets.read("recognition-synthface", ["validation.start=599"])
    with pytest.raises(InputError, match=r"validation\.start=600"):
        registry.prepare("recognition", content, "test")


def write_faces(root: Path, people: Mapping[str, int]) -> Path:
    rng = np.random.default_rng(0)
    for person, images in people.items():
        (root / person).mkdir(parents=True)
        for image in range(images):
            pixels = rng.integers(0, 256, (112, 112, 3), np.uint8)
            Image.fromarray(pixels).save(root / person / f"{image}.png")
    return root


def test_identities_that_differ_in_letter_case_are_refused_by_name(tmp_path: Path) -> None:
    write_faces(tmp_path, {"anna": 2, "Anna": 2, "bob": 2})
    with pytest.raises(InputError, match="'Anna' and 'anna' differ only in letter case"):
        FolderPeople(tmp_path)


def test_identities_with_single_images_are_reported_and_refused_if_there_are_no_others(
    tmp_path: Path,
) -> None:
    some = FolderPeople(write_faces(tmp_path / "some", {"a": 3, "b": 2, "c": 1}))
    assert some.warnings == ("1 of 3 identities have a single image: c",)
    with pytest.raises(InputError, match="every identity has a single image"):
        FolderPeople(write_faces(tmp_path / "all", {"a": 1, "b": 1}))
    with pytest.raises(InputError, match="one identity"):
        FolderPeople(write_faces(tmp_path / "one", {"a": 3}))


def test_images_of_112_pixels_are_not_aligned_again(tmp_path: Path) -> None:
    faces = AlignedFaces(FolderPeople(write_faces(tmp_path, {"a": 2, "b": 2})))
    first = np.asarray(Image.open(tmp_path / "a" / "0.png"))
    for _ in range(2):  # cut, then remembered
        assert np.array_equal(faces.read(0).image, first)
    assert [int(faces.read(index).fields["identity"]) for index in range(4)] == [0, 0, 1, 1]


def test_unreadable_images_and_images_without_a_face_are_skipped_and_logged(
    people: Path, tmp_path: Path
) -> None:
    shutil.copytree(people / "faces", tmp_path / "faces")
    folder = tmp_path / "faces" / "images"
    (folder / "id000" / "00.png").write_bytes(b"no image")
    Image.new("RGB", (128, 128)).save(folder / "id001" / "00.png")
    shutil.copy(people / "lfw.bin", tmp_path / "lfw.bin")
    train(tiny(tmp_path, "steps=6"), tmp_path / "run")
    events = [json.loads(line) for line in (tmp_path / "run" / "events.jsonl").read_text().splitlines()]
    assert {event["skipped"].partition(":")[0] for event in events} == {
        "images/id000/00.png",
        "images/id001/00.png",
    }


def test_a_manifest_mixes_real_and_generated_faces(people: Path, tmp_path: Path) -> None:
    shutil.copytree(people / "faces" / "images", tmp_path / "generated")
    write_faces(tmp_path / "real", {"x": 2})
    lines = ["image,identity"]
    lines += [f"generated/id00{person}/0{image}.png,g{person}" for person in range(3) for image in range(4)]
    lines += [f"real/x/{image}.png,x" for image in range(2)]
    (tmp_path / "manifest.csv").write_text("\n".join(lines) + "\n")
    mixed = FolderPeople(tmp_path / "manifest.csv")
    assert (len(mixed), mixed.identities) == (14, 4)


class Hostile:
    """Object that runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("owned",)


def test_hostile_and_malformed_benchmarks_are_refused_without_running_code(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lfw.bin").write_bytes(pickle.dumps(Hostile()))
    content = {**tiny(people), "validation": {"kind": "benchmark", "path": tmp_path / "lfw.bin"}}
    with pytest.raises(InputError, match="was not opened"):
        registry.prepare("recognition", content, "test")
    train(tiny(people, "steps=2"), tmp_path / "run")
    (tmp_path / "odd.bin").write_bytes(pickle.dumps(([b"a", b"b", b"c"], [True])))
    for name, message in (
        ("lfw", "was not opened"),
        ("odd", "1 pairs need 2 images, the file holds 3"),
        ("agedb", "lfw, odd"),
    ):
        command = ["verify-benchmark", str(tmp_path / "run"), "--data", str(tmp_path), "--benchmarks", name]
        monkeypatch.setattr("sys.argv", ["facebench", *command])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        printed = capsys.readouterr()
        assert message in printed.err
        assert "owned" not in printed.out


def test_pairs_with_undecodable_images_are_left_out_up_to_a_limit(people: Path, tmp_path: Path) -> None:
    whole = read_bin(people / "lfw.bin")
    images, same = list(whole.images) * 2, list(whole.same) * 2
    images[3] = b"no image"
    write_bin(tmp_path / "one.bin", images, same)
    pairs = open_benchmark(tmp_path / "one.bin")
    assert (len(pairs.same), pairs.left_out[0][:7]) == (len(same) - 1, "pair 1:")
    images[:8] = [b"no image"] * 8
    write_bin(tmp_path / "many.bin", images, same)
    with pytest.raises(InputError, match="4 of 80 pairs have an unusable image"):
        open_benchmark(tmp_path / "many.bin")


def test_folders_with_pairs_txt_give_the_same_benchmark_as_bin_files(people: Path, tmp_path: Path) -> None:
    whole = open_benchmark(people / "lfw.bin")
    lines = ["10\t2"]
    for pair, same in enumerate(whole.same):
        names = (f"p{pair}", f"p{pair}" if same else f"q{pair}")
        numbers = (1, 2 if same else 1)
        for name, number, crop in zip(names, numbers, whole.crops[2 * pair : 2 * pair + 2], strict=True):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(crop).save(tmp_path / name / f"{name}_{number:04d}.png")
        lines.append(f"{names[0]}\t1\t2" if same else f"{names[0]}\t1\t{names[1]}\t1")
    (tmp_path / "pairs.txt").write_text("\n".join(lines) + "\n")
    assert open_benchmark(tmp_path).digest == whole.digest
    (tmp_path / "pairs.txt").write_text("../p0\t1\t2\n")
    with pytest.raises(InputError, match=r"line 1: .* names no image"):
        open_benchmark(tmp_path)


def test_tar_thresholds_do_not_exceed_the_stated_far() -> None:
    rng = np.random.default_rng(0)
    same = np.arange(4000) % 2 == 0
    distances = np.where(same, rng.normal(0.8, 0.3, 4000), rng.normal(1.6, 0.3, 4000)).clip(0, 4)
    made = synthetic_like(same)
    found = score(made, distances)
    assert found.tar["0.0001"].value is None  # needs 10,000 impostors
    for far in ("0.01", "0.001"):
        share = found.tar[far]
        assert share.value is not None
        assert share.interval is not None
        accepted = np.sort(distances[same])[: round(share.value * 2000)]
        assert (distances[~same] <= accepted[-1]).mean() <= float(far)
        assert 0 <= share.interval.low <= share.value <= share.interval.high <= 1
    assert found.accuracy.value == found.folded.accuracy
    few = score(synthetic_like(same[:100]), distances[:100])
    assert few.tar["0.01"].value is None


def synthetic_like(same: np.ndarray) -> Any:
    from facebench.training.recognition.benchmarks import Pairs

    return Pairs("made-up", np.zeros((0, 112, 112, 3), np.uint8), same, "0" * 64)


def test_recognition_utility_is_ranked_beside_published_rows(people: Path, tmp_path: Path) -> None:
    arguments = ["utility", str(people / "faces"), *TINY, "steps=4", "--data", str(people), "--seeds", "2"]
    arguments += ["--config", "recognition-synthface", "--out", str(tmp_path / "run"), "--name", "tiny"]
    arguments += ["--device", "cpu", "--tag", "base=synthface"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    run = load_run(tmp_path / "run")
    details = json.loads((tmp_path / "run" / "utility.json").read_text())
    tests = ("agedb_30", "calfw", "cfp_fp", "cplfw")
    means = [np.mean([seed["accuracy"]["value"] for seed in details[name]]) for name in tests]
    assert run.metrics["utility_average"].value == pytest.approx(np.mean(means), abs=1e-12)
    assert run.metrics["utility_average_std"].value == pytest.approx(np.std(means), abs=1e-12)
    assert run.metrics["utility_lfw"].n["trainings"] == 2
    assert run.suite.startswith("recognition-synthface-")
    board = Leaderboard.from_runs([run], published=True).boards[0]
    assert len(board.published) == 13
    text = board.table().markdown()
    assert "ID-Booth (published)" in text
    assert "0.575 ± 0.029" in text


def test_averages_over_other_benchmarks_have_their_own_column(people: Path, tmp_path: Path) -> None:
    arguments = ["utility", str(people / "faces"), *TINY, "steps=2", "--data", str(people), "--seeds", "1"]
    arguments += [
        "--config",
        "recognition-synthface",
        "--benchmarks",
        "lfw,calfw",
        "--out",
        str(tmp_path / "run"),
    ]
    done = CliRunner().invoke(app, [*arguments, "--device", "cpu"])
    assert done.exit_code == 0, done.output
    metrics = load_run(tmp_path / "run").metrics
    assert "utility_average" not in metrics
    assert metrics["utility_average_of_calfw"].value == metrics["utility_calfw"].value
    assert "one training run" in metrics["utility_calfw"].note


def test_evaluate_names_the_command_for_trained_protocols(people: Path) -> None:
    with pytest.raises(InputError, match="facebench utility"):
        synthface_evaluate(people / "faces")


def synthface_evaluate(faces: Path) -> None:
    from facebench import evaluate

    evaluate(faces, protocol="recognition-utility")


def test_a_tiny_network_overfits_a_dozen_people(people: Path, tmp_path: Path) -> None:
    content = tiny(people, "steps=40", "batch_size=16", "optimizer.learning_rate=0.1", "head.margin=0.1")
    train({**content, "validation": None}, tmp_path)
    rows = [line.split(",") for line in (tmp_path / "log.csv").read_text().splitlines()]
    losses = [float(value) for _, name, value in rows[1:] if name == "loss"]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
