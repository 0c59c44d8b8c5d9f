"""The training loop: exact resume, clean interrupts, and errors that say what to do."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from facebench.core.errors import InputError, WeightsError
from facebench.training.engine import model_file
from facebench.training.engine.checkpoints import MODEL, Checkpoint
from facebench.training.engine.loop import TrainingStopped
from facebench.training.models.load import open_autoencoder
from tests.helpers.image_files import encode, picture
from tests.training.engine.conftest import NO_DROPOUT, TINY, train

MakeSettings = Callable[..., dict[str, Any]]


def command(content: dict[str, Any], out: Path, start: Sequence[str] = ("-m", "facebench")) -> list[str]:
    """Command line of a training; its settings are written beside the run."""
    config = out.with_suffix(".yaml")
    config.write_text(yaml.safe_dump(content))
    options = ["--config", str(config), "--out", str(out), "--device", "cpu"]
    return [sys.executable, *start, "train", "diffae", *options]


def same(first: Path, second: Path) -> bool:
    a, b = load_file(first), load_file(second)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def difference(first: Path, second: Path) -> float:
    a, b = load_file(first), load_file(second)
    return max(float((a[name] - b[name]).abs().max()) for name in a)


@pytest.mark.parametrize("stop", [1, 3, 5])
def test_an_interrupted_run_ends_with_the_same_weights(
    stop: int, settings: MakeSettings, finished_run: Path, tmp_path: Path
) -> None:
    def interrupt(step: int, steps: int, values: Any) -> None:
        if step == stop:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(settings(), tmp_path, on_step=interrupt)
    assert Checkpoint.latest(tmp_path / "checkpoints") == tmp_path / "checkpoints" / f"step-{stop:08d}"
    assert same(train(settings(), tmp_path), finished_run / "model.safetensors")


def test_a_killed_process_resumes_from_its_last_checkpoint(settings: MakeSettings, tmp_path: Path) -> None:
    content, out = settings(steps=60, checkpoint_every=5), tmp_path / "killed"
    # One thread, as in this process: sums over two threads differ in their last bits.
    process = subprocess.Popen(
        command(content, out), stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    while Checkpoint.latest(out / "checkpoints") is None and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert same(train(content, out), train(content, tmp_path / "uninterrupted"))


def test_ctrl_c_on_the_command_line_writes_a_checkpoint_and_exits_with_130(
    settings: MakeSettings, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(
        command(settings(steps=100_000, checkpoint_every=1000), out), stderr=subprocess.PIPE, text=True
    )
    log = out / "log.csv"
    while not (log.is_file() and ",loss," in log.read_text()) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate()
    assert process.returncode == 130, stderr
    newest = Checkpoint.latest(out / "checkpoints")
    assert newest is not None
    step = Checkpoint.load(newest).step
    assert f"stopped after step {step}; the same command resumes from there" in stderr.replace("\n", " ")
    assert "Traceback" not in stderr


def test_accumulated_parts_and_one_batch_take_the_same_step(settings: MakeSettings, tmp_path: Path) -> None:
    one = train(settings(steps=2, model=NO_DROPOUT), tmp_path / "one")
    two = train(settings(steps=2, model=NO_DROPOUT, gradient_accumulation=2), tmp_path / "two")
    assert difference(one, two) < 1e-5


def test_gradient_checkpointing_changes_nothing(settings: MakeSettings, tmp_path: Path) -> None:
    stored = train(settings(steps=2), tmp_path / "stored")
    recomputed = train(settings(steps=2, gradient_checkpointing=True), tmp_path / "recomputed")
    assert difference(stored, recomputed) < 1e-6


def test_two_processes_take_the_same_steps_as_one(settings: MakeSettings, tmp_path: Path) -> None:
    content, out = settings(steps=3, model=NO_DROPOUT), tmp_path / "two"
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29611"]
    done = subprocess.run(
        command(content, out, [*launcher, "-m", "facebench"]),
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert difference(out / "model.safetensors", train(content, tmp_path / "one")) < 1e-5


def test_changed_settings_are_refused_by_name_unless_they_are_accepted(
    settings: MakeSettings, run_of_six_steps: Path
) -> None:
    faster = settings(steps=8, optimizer={"learning_rate": 1e-3})
    with pytest.raises(InputError, match=r"optimizer.learning_rate: 0.0001 -> 0.001"):
        train(faster, run_of_six_steps)
    train(faster, run_of_six_steps, accept_changes=True)


def test_a_checkpoint_with_keys_and_file_names_of_older_versions_is_resumed(
    settings: MakeSettings, run_of_six_steps: Path, tmp_path: Path
) -> None:
    newest = run_of_six_steps / "checkpoints" / "step-00000006"
    (newest / "ema.safetensors").rename(newest / "average.safetensors")
    (newest / "optimizer.safetensors").rename(newest / "optimiser.safetensors")
    state = newest / "state.json"
    text = state.read_text()
    for former, current in {
        '"batch"': '"batch_size"', '"average"': '"ema_decay"', '"average_warm"': '"ema_warmup"',
        '"accumulate"': '"gradient_accumulation"', '"keep"': '"keep_checkpoints"', '"clip"': '"max_grad_norm"',
        '"optimiser"': '"optimizer"',
    }.items():  # fmt: skip
        assert current in text
        text = text.replace(current, former)
    state.write_text(text)
    resumed = train(settings(steps=8), run_of_six_steps)
    assert same(resumed, train(settings(steps=8), tmp_path / "new"))


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_checkpoint(
    settings: MakeSettings, run_of_six_steps: Path
) -> None:
    folder = run_of_six_steps / "checkpoints"
    checkpoint = Checkpoint.load(folder / "step-00000006")
    next(iter(checkpoint.tensors[MODEL].values())).fill_(float("nan"))
    checkpoint.save(folder, keep=2)
    with pytest.raises(TrainingStopped, match=r"Step 6: the loss is nan in the batch .*\.png.*step-00000006"):
        train(settings(steps=8), run_of_six_steps)
    assert Checkpoint.latest(folder) == folder / "step-00000006"


def test_an_unreadable_image_is_skipped_counted_and_named(
    noise_images: Path, settings: MakeSettings, tmp_path: Path
) -> None:
    folder = tmp_path / "faces"
    folder.mkdir()
    for path in noise_images.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    image = encode(picture(), "PNG")
    (folder / "broken.png").write_bytes(image[: len(image) // 2])
    messages: list[str] = []
    content = settings(data={"kind": "folder", "path": str(folder)})
    model = train(content, tmp_path / "out", on_message=messages.append)
    assert [line for line in messages if "broken.png" in line and "truncated" in line]
    assert model_file.read(model).provenance["skipped"] >= 1


def test_fewer_images_than_a_batch_are_refused(settings: MakeSettings, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="10 images, fewer than one batch of 12"):
        train(settings(batch_size=12), tmp_path)


def test_a_checkpoint_of_another_architecture_names_the_first_difference(
    settings: MakeSettings, run_of_six_steps: Path
) -> None:
    wider = {**TINY["model"], "code_channels": 12}
    with pytest.raises(WeightsError, match=r"from_code\.weight' has shape"):
        train(settings(model=wider), run_of_six_steps, accept_changes=True)


def test_a_full_disk_keeps_the_checkpoint_before(settings: MakeSettings, run_of_six_steps: Path) -> None:
    # No file may grow beyond 64 KiB, so writes fail in the middle as on a full disk.
    limited = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536));"
        "from facebench.cli import main; sys.argv[0] = 'facebench'; main()"
    )
    words = command(settings(steps=8), run_of_six_steps, ["-c", limited])
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "the checkpoint cannot be written" in done.stderr
    assert "resumes from step-00000006" in done.stderr.replace("\n", " ")
    assert Checkpoint.load(run_of_six_steps / "checkpoints" / "step-00000006").step == 6


def test_the_log_of_a_resumed_run_has_every_step_once(settings: MakeSettings, tmp_path: Path) -> None:
    train(settings(steps=3), tmp_path)
    train(settings(steps=6), tmp_path)
    with (tmp_path / "log.csv").open() as file:
        steps = [int(row["step"]) for row in csv.DictReader(file) if row["name"] == "loss"]
    assert steps == [1, 2, 3, 4, 5, 6]


def test_the_model_file_holds_the_trained_network(finished_run: Path) -> None:
    model = finished_run / "model.safetensors"
    network = open_autoencoder(model)
    assert network.config.code_channels == 8
    assert not network.training
    assert open_autoencoder(finished_run).config == network.config
    with pytest.raises(WeightsError, match="'diffae', 'ddim' is needed"):
        model_file.read(model, "ddim")
