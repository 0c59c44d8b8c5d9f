"""DreamBooth, PortraitBooth and ID-Booth: trained weights, gradients, resumed runs, and model files for diffusers."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from PIL import Image
from typer.testing import CliRunner

from facebench.cli import app
from facebench.core.errors import FacebenchError, InputError, WeightsError
from facebench.synthface import FaceModel
from facebench.training.data.prompts import SURROUNDINGS, prompts
from facebench.training.engine import model_file
from facebench.training.engine.loop import fit
from facebench.training.engine.rng import StepRng
from facebench.training.models.stable_diffusion import apply_lora, open_base
from facebench.training.tasks import registry
from facebench.training.tasks.face_batches import fixed_faces
from tests.helpers.diffusion_bases import SIDE, base_model


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: base_model(tmp_path_factory.mktemp(kind), kind) for kind in ("sd", "sdxl")}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, untrained_recogniser: Path) -> Path:
    """Folder with images of one person, prior images of other people, and an untrained recogniser."""
    folder = tmp_path_factory.mktemp("place")
    model = FaceModel()
    for name, images, count in (("person", 4, 2), ("prior", 1, 3)):
        (folder / name).mkdir()
        for number, image in enumerate(model.render(model.sample(count, seed=8, images=images), SIDE * 2)):
            Image.fromarray(image).save(folder / name / f"{number}.png")
    shutil.copy(untrained_recogniser, folder / "recogniser.safetensors")
    return folder


def content(base: Path, place: Path, **changes: Any) -> dict[str, Any]:
    return {
        "train": "dreambooth",
        "base": str(base),
        "data": {"kind": "folder", "path": str(place / "person")},
        "prior": str(place / "prior"),
        "recogniser": str(place / "recogniser.safetensors"),
        "resolution": SIDE * 2,
        "crop": "aligned",
        "steps": 2,
        "batch_size": 1,
        "workers": 0,
        "ema_decay": None,
        "checkpoint_every": 1,
        "optimizer": {"kind": "adamw", "learning_rate": 1e-2},
        **changes,
    }


@pytest.mark.parametrize("kind", ["sd", "sdxl"])
def test_only_adapters_are_trained_and_a_pipeline_of_diffusers_loads_them(
    kind: str, bases: dict[str, Path], place: Path, tmp_path: Path
) -> None:
    prepared = registry.prepare("dreambooth", content(bases[kind], place), "test")
    before = {name: value.clone() for name, value in prepared.task.network.state_dict().items()}
    path = fit(prepared.task, prepared.settings, tmp_path, device="cpu")
    changed = {
        name
        for name, value in prepared.task.network.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert changed
    assert all("lora" in name for name in changed)
    pipeline = open_base(bases[kind]).pipeline
    pipeline.load_lora_weights(str(path.parent), weight_name=path.name)
    assert any("lora" in name for name in pipeline.unet.state_dict())
    other = open_base(bases["sd" if kind == "sdxl" else "sdxl"])
    with pytest.raises(WeightsError, match="holds adapters for"):
        apply_lora(other, path)


@pytest.mark.parametrize("loss", ["identity", "triplet"])
def test_the_identity_loss_has_gradients_for_the_adapters(
    loss: str, bases: dict[str, Path], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task: Any = registry.prepare("dreambooth", content(bases["sd"], place, identity_loss=loss), "test").task
    # A decoder with random weights draws no face, so the detector is replaced.
    landmarks = np.array([[45, 55], [82, 55], [64, 75], [50, 95], [78, 95]], np.float32)
    monkeypatch.setattr(task._finder, "find", lambda image: type("Face", (), {"landmarks": landmarks})())
    batch = fixed_faces(task.faces, 1)
    parts = task.losses(task.network, batch, StepRng(0, 0, 1, torch.arange(1)))
    assert float(parts["identity"].detach()) > 0
    parts["identity"].backward()
    with_gradient = [
        p for name, p in task.network.named_parameters() if "lora_B" in name and p.grad is not None
    ]
    assert with_gradient
    assert sum(float(p.grad.abs().sum()) for p in with_gradient) > 0


def test_images_without_a_face_have_no_identity_loss_and_are_counted(
    bases: dict[str, Path], place: Path
) -> None:
    task: Any = registry.prepare(
        "dreambooth", content(bases["sd"], place, identity_loss="triplet"), "test"
    ).task
    parts = task.losses(task.network, fixed_faces(task.faces, 1), StepRng(0, 0, 1, torch.arange(1)))
    assert float(parts["without_face"]) == 1
    assert float(parts["identity"]) == 0
    assert torch.equal(parts["loss"], parts["reconstruction"])


def test_resumed_runs_equal_uninterrupted_ones(bases: dict[str, Path], place: Path, tmp_path: Path) -> None:
    def train(steps: int, out: Path) -> dict[str, torch.Tensor]:
        prepared = registry.prepare("dreambooth", content(bases["sd"], place, steps=steps), "test")
        return model_file.read(fit(prepared.task, prepared.settings, out, device="cpu")).tensors

    train(1, tmp_path / "a")
    resumed, whole = train(3, tmp_path / "a"), train(3, tmp_path / "b")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_generate_writes_a_person_to_a_sub_folder_and_prior_images_beside_it(
    bases: dict[str, Path], place: Path, tmp_path: Path
) -> None:
    prepared = registry.prepare("dreambooth", content(bases["sd"], place, steps=1), "test")
    fit(
        prepared.task,
        prepared.settings,
        tmp_path / "run",
        device="cpu",
    )
    small = ["--size", str(SIDE), "--steps", "2", "--device", "cpu"]
    person = ["--lora", str(tmp_path / "run"), "--identity", "eve", "--prompts", "complex", "--count", "2"]
    for words in ([*person, *small], ["--count", "1", *small]):
        done = CliRunner().invoke(
            app, ["generate", str(bases["sd"]), str(tmp_path / "out"), *words], catch_exceptions=False
        )
        assert done.exit_code == 0
    found = sorted(
        path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.png")
    )
    assert found == ["0000.png", "eve/0000.png", "eve/0001.png"]


def test_prompts_match_the_released_script() -> None:
    complex_set = prompts("complex", 21, seed=3)
    places = [text.partition(", ")[2].removesuffix(" background") for text in complex_set]
    assert sorted(places) == sorted(["", *SURROUNDINGS, *SURROUNDINGS])
    assert {text.split(" ")[1] for text in complex_set} == {"portrait", "side-portrait"}
    assert prompts("base", 2) == ["face portrait photo of sks person"] * 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prior": "nowhere"}, "nowhere does not contain prior images"),
        ({"base": "some-lab/some-model"}, "is not on this machine"),
        ({"identity_loss": "triplet", "recogniser": None}, "needs `recogniser`"),
    ],
)
def test_missing_files_and_settings_are_named_before_training(
    changes: dict[str, Any], message: str, bases: dict[str, Path], place: Path
) -> None:
    with pytest.raises(FacebenchError, match=message):
        registry.prepare("dreambooth", {**content(bases["sd"], place), **changes}, "test")


def test_a_missing_prompt_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither 'base' nor 'complex'"):
        prompts(str(tmp_path / "none.txt"), 1)


def test_a_base_for_inpainting_is_refused(bases: dict[str, Path], tmp_path: Path) -> None:
    base = shutil.copytree(bases["sd"], tmp_path / "inpainting")
    config = UNet2DConditionModel.load_config(base / "unet") | {"in_channels": 9}
    UNet2DConditionModel.from_config(config).save_pretrained(base / "unet")
    with pytest.raises(WeightsError, match="takes 9 channels, the autoencoder gives 4"):
        open_base(base)


def other_weights(base: Path, folder: Path) -> Path:
    """The same base model with changed weights."""
    pipeline = open_base(base).pipeline
    with torch.no_grad():
        pipeline.unet.conv_in.weight.add_(0.1)
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def test_adapters_are_refused_for_other_base_weights(
    bases: dict[str, Path], place: Path, tmp_path: Path
) -> None:
    def train(base: Path, steps: int) -> Path:
        prepared = registry.prepare("dreambooth", content(base, place, steps=steps), "test")
        return fit(prepared.task, prepared.settings, tmp_path / "run", device="cpu", accept_changes=True)

    other = other_weights(bases["sd"], tmp_path / "other")
    path = train(bases["sd"], 1)
    words = ["--lora", str(path), "--identity", "eve", "--count", "1"]
    done = CliRunner().invoke(app, ["generate", str(other), str(tmp_path / "out"), *words])
    assert isinstance(done.exception, WeightsError)
    assert "has other weights. Give the base model of the training" in str(done.exception)
    with pytest.raises(InputError, match="the adapters depend on them"):
        train(other, 2)


def test_prior_images_record_the_model_that_generated_them(
    bases: dict[str, Path], place: Path, tmp_path: Path
) -> None:
    drawn, other = tmp_path / "prior", other_weights(bases["sd"], tmp_path / "other")
    small = ["--count", "1", "--size", str(SIDE), "--steps", "2", "--device", "cpu"]
    for _ in range(2):
        done = CliRunner().invoke(app, ["generate", str(bases["sd"]), str(drawn), *small])
        assert done.exit_code == 0
    refused = CliRunner().invoke(app, ["generate", str(other), str(drawn), *small])
    assert "Choose another folder" in str(refused.exception)
    assert (
        registry.prepare("dreambooth", content(bases["sd"], place, prior=str(drawn)), "test").task.warnings
        == ()
    )
    with pytest.raises(InputError, match="whose weights differ from those of base="):
        registry.prepare("dreambooth", content(other, place, prior=str(drawn)), "test")
    (drawn / "prior.json").unlink()
    (note,) = registry.prepare(
        "dreambooth", content(bases["sd"], place, prior=str(drawn)), "test"
    ).task.warnings
    assert "the model of the prior images is unknown" in note


def test_folders_of_unknown_origin_are_not_extended(bases: dict[str, Path], place: Path) -> None:
    words = [str(bases["sd"]), str(place / "prior"), "--count", "1", "--size", str(SIDE), "--steps", "2"]
    refused = CliRunner().invoke(app, ["generate", *words])
    assert "already holds images of an unknown model" in str(refused.exception)
    assert not (place / "prior" / "prior.json").exists()


@pytest.mark.parametrize("what", ["data", "prior"])
def test_clean_images_without_a_face_are_named_before_training(
    what: str, bases: dict[str, Path], place: Path, tmp_path: Path
) -> None:
    folder = tmp_path / what
    shutil.copytree(place / ("person" if what == "data" else "prior"), folder)
    Image.fromarray(np.zeros((SIDE, SIDE, 3), np.uint8)).save(folder / "wall.png")
    changes: dict[str, Any] = {"prior": str(folder)}
    if what == "data":
        changes = {"data": {"kind": "folder", "path": str(folder)}}
    registry.prepare("dreambooth", content(bases["sd"], place, **changes), "test")
    given = content(bases["sd"], place, identity_loss="triplet", **changes)
    notes = " ".join(registry.prepare("dreambooth", given, "test").task.warnings)
    assert f"images of {what} (wall.png). Steps with these images have no identity loss." in notes
    for file in folder.glob("[0-9]*.png"):
        file.unlink()
    with pytest.raises(InputError, match=rf"No face was found in 1 of 1 images of {what} \(wall\.png\)"):
        registry.prepare("dreambooth", given, "test")


def test_gradient_checkpointing_saves_activations_and_keeps_the_gradients(
    bases: dict[str, Path], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    landmarks = np.array([[45, 55], [82, 55], [64, 75], [50, 95], [78, 95]], np.float32)
    gradients: list[Any] = []
    saved: dict[bool, list[int]] = {False: [], True: []}
    for recomputed in (False, True):
        given = content(bases["sd"], place, identity_loss="identity", gradient_checkpointing=recomputed)
        task: Any = registry.prepare("dreambooth", given, "test").task
        monkeypatch.setattr(task._finder, "find", lambda image: type("Face", (), {"landmarks": landmarks})())
        activations = saved[recomputed]
        with torch.autograd.graph.saved_tensors_hooks(
            lambda x, saved=activations: saved.append(1) or x, lambda x: x
        ):
            parts = task.losses(
                task.network.train(), fixed_faces(task.faces, 1), StepRng(0, 0, 1, torch.arange(1))
            )
        parts["loss"].backward()
        gradients.append([p.grad for name, p in task.network.named_parameters() if "lora_B" in name])
    assert len(saved[True]) < len(saved[False]) / 2
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*gradients, strict=True))


def test_metrics_with_the_recogniser_of_the_loss_are_named_in_a_warning(
    bases: dict[str, Path], place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path))
    (tmp_path / "weights").mkdir()
    recogniser = (place / "recogniser.safetensors").read_bytes()
    (tmp_path / "weights" / "arcface_iresnet100.pth").write_bytes(recogniser)

    def notes(loss: str) -> str:
        return " ".join(
            registry.prepare(
                "dreambooth", content(bases["sd"], place, identity_loss=loss), "test"
            ).task.warnings
        )

    assert "_arcface" in notes("triplet")
    assert "_arcface" not in notes("none")
