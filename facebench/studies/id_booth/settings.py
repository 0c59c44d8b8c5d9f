"""Settings of the ID-Booth study: presets, files and changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import Field

from facebench.core.errors import InputError
from facebench.core.files import check_regular
from facebench.core.suggest import suggest
from facebench.core.yaml_text import parse_yaml
from facebench.training.engine.settings import Settings, check

Loss = Literal["dreambooth", "portraitbooth", "id-booth"]
LOSSES: dict[str, str] = {
    "dreambooth": "DreamBooth",
    "portraitbooth": "PortraitBooth",
    "id-booth": "ID-Booth",
}
"""Losses by option, with their names in the published tables."""
UNTUNED = "no fine-tuning"
"""Row of a base model without adapters."""
PROMPTS = {"base": "Base", "complex": "Complex"}
"""Sets of prompts, with their names in the published tables."""
UNUSED_WEIGHT = 0.1
"""Weight of the identity loss in the released configuration, which the released script does not read."""


class Defects(Settings):
    """Defects of the released scripts; true repeats a defect."""

    trailing_comma: bool
    """A prompt without surroundings ends with a comma."""
    side_portraits_per_model: bool
    """Side portraits are drawn again for every model, so models differ in their prompts."""
    last_embedding: bool
    """The positive of the triplet is always the embedding of the person's last image."""
    shuffled_negatives: bool
    """The negative of the triplet is the embedding of another prior image than the one of the step."""
    unweighted_identity_loss: bool
    """The weight 0.1 of the configuration is not used; the identity loss has weight 1."""


class PriorSettings(Settings):
    """Prior images."""

    images: int = Field(200, gt=0)
    scheduler: Literal["base", "ddpm"] = "base"
    steps: int = Field(50, gt=0)
    guidance: float = Field(7.5, ge=0)


class TrainSettings(Settings):
    """Training of the adapters."""

    configs: dict[Literal["sd", "sdxl"], str]
    """First part of the names of the training presets, or a YAML file for all losses, by kind of base model."""
    changes: tuple[str, ...] = ()
    """Changes of the training settings, such as "steps=1000"."""
    changes_sdxl: tuple[str, ...] = ()
    """Further changes for SDXL."""
    vae_sdxl: str | None = None
    """Another autoencoder for SDXL; None for its own."""


class DrawSettings(Settings):
    """Images of the people."""

    images: int = Field(21, gt=0)
    scheduler: Literal["base", "ddpm"] = "ddpm"
    steps: int = Field(30, gt=0)
    guidance: float = Field(5.0, ge=0)
    size_sd: int = Field(512, gt=0)
    size_sdxl: int = Field(1024, gt=0)
    shared_noise: bool = True
    """Models share the noise of a person."""
    precision: Literal["auto", "float32", "fp16", "bf16"] = "auto"


class EvaluateSettings(Settings):
    """Evaluation of each set of images."""

    protocol: str = "id-booth"
    suite: Literal["auto", "paper", "compact"] = "auto"
    detector: Literal["yunet", "mtcnn"] = "mtcnn"
    align: Literal["arcface112"] | None = None
    """Crops that all sets are aligned to before they are evaluated; None evaluates the images as they are."""


class UtilitySettings(Settings):
    """Recognisers that are trained on the images."""

    config: str = "resnet18-cosface"
    changes: tuple[str, ...] = ()
    seeds: int = Field(3, gt=0)
    training: tuple[Literal["synthetic", "real", "mixed"], ...] = ("synthetic", "real", "mixed")
    """Sets that a recogniser is trained on."""
    benchmarks: tuple[str, ...] = ("lfw", "agedb_30", "calfw", "cfp_fp", "cplfw")
    validation: str = "lfw"


class StudySettings(Settings):
    """All settings of the study."""

    preset: str
    """Name of the settings."""
    defects: Defects
    prior: PriorSettings = PriorSettings()
    train: TrainSettings
    draw: DrawSettings = DrawSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    utility: UtilitySettings = UtilitySettings()

    def size(self, kind: str) -> int:
        """Side of the drawn images in pixels."""
        return self.draw.size_sdxl if kind == "sdxl" else self.draw.size_sd


def preset_names() -> list[str]:
    """List the presets of the study."""
    entries = resources.files("facebench.studies.id_booth.presets").iterdir()
    return sorted(entry.name.removesuffix(".yaml") for entry in entries if entry.name.endswith(".yaml"))


def read_settings(config: str, changes: Sequence[str] = (), released: bool | None = None) -> StudySettings:
    """Read a preset or a YAML file, and apply changes.

    Args:
        config: name of a preset, or path of a YAML file. A file may name the preset that it changes as `extends`.
        changes: such as "draw.images=100"; values are YAML.
        released: repeat all defects (true) or none (false); None keeps those of the preset.

    Raises:
        InputError: the preset or file does not exist, or a key or value is wrong.

    Example:
        >>> read_settings("id-booth-released", ["defects.trailing_comma=false"]).defects.trailing_comma
        False
    """
    content = _content(config)
    if released is not None:
        content["defects"] = dict.fromkeys(Defects.model_fields, released)
    try:
        merged: Any = OmegaConf.to_container(
            OmegaConf.merge(OmegaConf.create(content), OmegaConf.from_dotlist(list(changes)))
        )
    except OmegaConfBaseException as error:
        raise InputError(
            f"A changed setting is not valid ({str(error).splitlines()[0]}). Write key=value."
        ) from None
    return check(StudySettings, merged, config)


def _content(config: str) -> dict[str, Any]:
    text = _text(config)
    try:
        content = parse_yaml(text)
    except ValueError as error:
        raise InputError(f"{config}: is not YAML ({str(error).splitlines()[0]}).") from None
    if not isinstance(content, Mapping):
        raise InputError(f"{config}: settings are a mapping of keys to values.")
    content = dict(content)
    base = content.pop("extends", None)
    if base is None:
        return content
    merged: Any = OmegaConf.to_container(OmegaConf.merge(_content(str(base)), content))
    return dict(merged)


def _text(config: str) -> str:
    path = Path(config)
    if path.suffix in (".yaml", ".yml"):
        check_regular(path)
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read ({error}).") from None
    if config not in preset_names():
        raise InputError(f"'{config}' is not a preset. {suggest(config, preset_names())}")
    folder = resources.files("facebench.studies.id_booth.presets")
    return folder.joinpath(f"{config}.yaml").read_text("utf-8")
