"""The training loop: exact resume, clean stops, and errors for people."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file

from facebench.core.errors import InputError, WeightsError
from facebench.training.engine import checkpoints, model_file
from facebench.training.engine.loop import TrainingStopped, fit
from facebench.training.engine.optimizer import learning_rate
from facebench.training.engine.settings import OptimizerConfig, read
from facebench.training.models.load import open_autoencoder
from facebench.training.tasks import registry
from tests.helpers.image_files import encode, picture

TINY: dict[str, Any] = {
    "train": "diffae",
    "model": {
        "size": 16,
        "channels": 8,
        "multipliers": [1, 2],
        "encoder_multipliers": [1, 2],
        "code_channels": 8,
        "time_channels": 16,
        "blocks": 1,
        "attention": [8],
        "dropout": 0.1,
    },
    "steps": 6,
    "batch": 4,
    "workers": 0,
    "flip": True,
    "average": 0.9,
    "preview_images": 2,
    "checkpoint_every": 2,
    "sample_every": 100,
}


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    rng = np.random.default_rng(0)
    for number in range(10):
        Image.fromarray(rng.integers(256, size=(16, 16, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    return folder


def settings(faces: Path, **changes: Any) -> dict[str, Any]:
    return {**TINY, "data": {"kind": "folder", "path": str(faces)}, **changes}


def train(content: dict[str, Any], out: Path, **options: Any) -> Path:
    prepared = registry.prepare("diffae", content, "test")
    plain = prepared.settings.model_dump(mode="json")
    return fit(prepared.task, prepared.settings, plain, out, device="cpu", **options)


def test_a_run_that_was_stopped_anywhere_ends_with_the_weights_of_one_that_never_was(
    faces: Path, tmp_path: Path
) -> None:
    whole = load_file(train(settings(faces), tmp_path / "whole"))
    for stop in (1, 3, 5):
        out = tmp_path / f"stopped-{stop}"

        def interrupt(step: int, steps: int, values: Any, stop: int = stop) -> None:
            if step == stop:
                os.kill(os.getpid(), signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            train(settings(faces), out, watch=interrupt)
        resumed = load_file(train(settings(faces), out))
        assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_killed_process_goes_on_from_its_last_checkpoint(faces: Path, tmp_path: Path) -> None:
    content = settings(faces, steps=60, checkpoint_every=5)
    config = tmp_path / "settings.yaml"
    config.write_text(yaml.safe_dump(content))
    command = [
        sys.executable,
        "-m",
        "facebench",
        "train",
        "diffae",
        "--config",
        str(config),
        "--device",
        "cpu",
    ]
    out = tmp_path / "killed"
    # One thread, like this process: sums over two have other last bits.
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    running = subprocess.Popen([*command, "--out", str(out)], stderr=subprocess.DEVNULL, env=alone)
    while checkpoints.latest(out / "checkpoints") is None and running.poll() is None:
        time.sleep(0.01)
    running.kill()
    running.wait()
    resumed = load_file(train(content, out))
    whole = load_file(train(content, tmp_path / "whole"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_ctrl_c_on_the_command_line_writes_a_checkpoint_and_exits_with_130(
    faces: Path, tmp_path: Path
) -> None:
    config, out = tmp_path / "settings.yaml", tmp_path / "out"
    config.write_text(yaml.safe_dump(settings(faces, steps=100_000, checkpoint_every=1000)))
    command = [sys.executable, "-m", "facebench", "train", "diffae", "--config", str(config)]
    running = subprocess.Popen(
        [*command, "--out", str(out), "--device", "cpu"], stderr=subprocess.PIPE, text=True
    )
    log = out / "log.csv"
    while not (log.is_file() and ",loss," in log.read_text()) and running.poll() is None:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, told = running.communicate()
    assert running.returncode == 130, told
    newest = checkpoints.latest(out / "checkpoints")
    assert newest is not None
    step = checkpoints.load(newest).step
    assert f"stopped after step {step}; the same command goes on from there" in told.replace("\n", " ")
    assert "Traceback" not in told


def test_accumulated_parts_and_one_batch_take_the_same_step(faces: Path, tmp_path: Path) -> None:
    plain = {**TINY["model"], "dropout": 0.0}
    one = load_file(train(settings(faces, steps=2, model=plain), tmp_path / "one"))
    two = load_file(train(settings(faces, steps=2, model=plain, accumulate=2), tmp_path / "two"))
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-5


def test_gradient_checkpointing_changes_nothing(faces: Path, tmp_path: Path) -> None:
    kept = load_file(train(settings(faces, steps=2), tmp_path / "kept"))
    again = load_file(train(settings(faces, steps=2, gradient_checkpointing=True), tmp_path / "again"))
    assert all(torch.allclose(kept[name], again[name], atol=1e-6) for name in kept)


def test_two_processes_take_the_step_of_one(faces: Path, tmp_path: Path) -> None:
    plain = {**TINY["model"], "dropout": 0.0}
    content = settings(faces, steps=3, model=plain)
    config = tmp_path / "settings.yaml"
    config.write_text(yaml.safe_dump(content))
    out = tmp_path / "two"
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "--master-port",
        "29611",
    ]
    command += [
        "-m",
        "facebench",
        "train",
        "diffae",
        "--config",
        str(config),
        "--out",
        str(out),
        "--device",
        "cpu",
    ]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-2000:]
    two = load_file(out / "model.safetensors")
    one = load_file(train(content, tmp_path / "one"))
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-5


def test_a_run_of_other_settings_is_refused_and_says_what_changed(faces: Path, tmp_path: Path) -> None:
    train(settings(faces, steps=2), tmp_path)
    with pytest.raises(InputError, match=r"optimiser.learning_rate: 0.0001 -> 0.001"):
        train(settings(faces, steps=4, optimiser={"learning_rate": 1e-3}), tmp_path)
    train(settings(faces, steps=4, optimiser={"learning_rate": 1e-3}), tmp_path, accept_changes=True)


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_checkpoint(
    faces: Path, tmp_path: Path
) -> None:
    train(settings(faces, steps=2), tmp_path)
    snapshot = checkpoints.load(tmp_path / "checkpoints" / "step-00000002")
    name = next(iter(snapshot.tensors["model"]))
    snapshot.tensors["model"][name].fill_(float("nan"))
    checkpoints.save(tmp_path / "checkpoints", snapshot, keep=2)
    with pytest.raises(TrainingStopped, match=r"Step 2: the loss is nan in the batch .*\.png.*step-00000002"):
        train(settings(faces), tmp_path)
    assert checkpoints.latest(tmp_path / "checkpoints") == tmp_path / "checkpoints" / "step-00000002"


def test_an_image_that_cannot_be_read_is_skipped_counted_and_named(faces: Path, tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    folder.mkdir()
    for path in faces.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    whole = encode(picture(), "PNG")
    (folder / "broken.png").write_bytes(whole[: len(whole) // 2])
    said: list[str] = []
    model = train(settings(folder), tmp_path / "out", say=said.append)
    assert [line for line in said if "broken.png" in line and "truncated" in line]
    assert model_file.read(model).provenance["skipped"] >= 1


def test_fewer_images_than_a_batch_are_refused(faces: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="10 images, fewer than one batch of 12"):
        train(settings(faces, batch=12), tmp_path)


def test_a_checkpoint_of_another_architecture_names_the_first_difference(faces: Path, tmp_path: Path) -> None:
    train(settings(faces, steps=2), tmp_path)
    wider = {**TINY["model"], "code_channels": 12}
    with pytest.raises(WeightsError, match=r"from_code\.weight' has shape"):
        train(settings(faces, model=wider), tmp_path, accept_changes=True)


def test_only_the_newest_checkpoints_stay(faces: Path, tmp_path: Path) -> None:
    train(settings(faces, steps=6, keep=2), tmp_path)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "step-00000004",
        "step-00000006",
    ]


def test_a_full_disk_keeps_the_checkpoint_before(faces: Path, tmp_path: Path) -> None:
    train(settings(faces, steps=2), tmp_path)
    config = tmp_path / "settings.yaml"
    config.write_text(yaml.safe_dump(settings(faces, steps=4)))
    # No file may grow beyond 64 KiB: writes fail in the middle as they do on a full disk.
    limited = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536));"
        "from facebench.cli import main; sys.argv[0] = 'facebench'; main()"
    )
    command = [
        sys.executable,
        "-c",
        limited,
        "train",
        "diffae",
        "--config",
        str(config),
        "--out",
        str(tmp_path),
    ]
    done = subprocess.run([*command, "--device", "cpu"], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "the checkpoint cannot be written" in done.stderr
    assert "goes on from step-00000002" in done.stderr.replace("\n", " ")
    assert checkpoints.load(tmp_path / "checkpoints" / "step-00000002").step == 2


def test_a_damaged_checkpoint_says_which_folder_to_remove(faces: Path, tmp_path: Path) -> None:
    train(settings(faces, steps=2), tmp_path)
    path = tmp_path / "checkpoints" / "step-00000002" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(WeightsError, match="step-00000002: the checkpoint is damaged"):
        train(settings(faces), tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("optimizer.learning_rate=1", "there is no key 'optimizer'. Did you mean 'optimiser'?"),
        ("optimiser.learning_rat=1", "Did you mean 'optimiser.learning_rate'?"),
        ("steps=many", "'steps' is \"many\""),
        ("steps=0", "greater than 0"),
        ("steps", "Write key=value"),
    ],
)
def test_settings_that_are_wrong_say_which_key(change: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        registry.prepare("diffae", read("diffae-64-synthface", [change]), "diffae-64-synthface")
    assert message in str(error.value)


def test_the_log_of_a_resumed_run_has_every_step_once(faces: Path, tmp_path: Path) -> None:
    train(settings(faces, steps=3), tmp_path)
    train(settings(faces, steps=6), tmp_path)
    with (tmp_path / "log.csv").open() as file:
        steps = [int(row["step"]) for row in csv.DictReader(file) if row["name"] == "loss"]
    assert steps == [1, 2, 3, 4, 5, 6]


def test_the_model_file_opens_as_the_network_that_was_trained(faces: Path, tmp_path: Path) -> None:
    model = train(settings(faces, steps=2), tmp_path)
    network = open_autoencoder(model)
    assert network.config.code_channels == 8
    assert not network.training
    assert open_autoencoder(tmp_path).config == network.config
    with pytest.raises(WeightsError, match="'diffae', 'ddim' is needed"):
        model_file.read(model, "ddim")


def test_a_cosine_ends_near_zero() -> None:
    cosine = OptimizerConfig(learning_rate=1.0, decay="cosine")
    rates = [learning_rate(cosine, step, 100) for step in range(100)]
    assert rates[0] == 1.0
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 1e-3
