"""Training of DiffusionRig, on many people (stage 1) and then on the album of one person (stage 2).

Source: Ding et al. 2023, section 3; the presets rig-256-stage1 and rig-256-stage2 hold the released settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import AliasChoices, Field
from torch import Tensor, nn

from facebench.core.errors import FacebenchError, InputError
from facebench.training.data.faces import Batch
from facebench.training.data.loading import collate
from facebench.training.diffusion import ddim_decode, p2_weight, training_loss
from facebench.training.engine.image_grid import grid, to_images
from facebench.training.engine.model_file import ModelFile
from facebench.training.engine.rng import StepRng
from facebench.training.engine.settings import TrainConfig
from facebench.training.engine.task import Task
from facebench.training.models import CompactRig, DiffusionRig, DiffusionRigConfig, Rig
from facebench.training.models.config import NetworkConfig
from facebench.training.rig import memory
from facebench.training.rig.buffers import Buffers, open_buffers
from facebench.training.rig.files import open_rig, provenance_of, refuse_other_buffers, to_conditions
from facebench.training.rig.optimizer_state import moments_of_stage_1, numbered_tensors
from facebench.training.tasks.face_batches import PREVIEW_STEPS


class BaseRigSettings(TrainConfig):
    """Settings that both rig tasks have."""

    data: Path
    """Folder of `facebench buffers`, or of an LMDB database of DiffusionRig-Emo."""
    lmdb_source: Literal["deca", "emoca"] = "deca"
    """Extractor of the buffers in an LMDB database, which does not record it."""
    stage: Literal[1, 2] = 1
    """Stage 2 trains on the album of one person."""
    freeze_encoder: bool = True
    """Keep the encoder's weights in stage 2, as released. Its batch statistics follow the album in any case."""
    init_from: Path | None = Field(None, validation_alias=AliasChoices("init_from", "start"))
    """Checkpoint that provides the initial weights of stage 2."""
    init_optimizer: Path | None = None
    """Optimizer state of stage 1 with whose moments stage 2 continues: optNNNNNN.pt, or a run of facebench. The public
    scripts do this, with the learning rate of stage 1. Null starts a new optimizer."""
    fit_memory: bool = False
    """Split batches into as many accumulated parts as the free memory of the CUDA device requires."""
    preview_images: int = Field(8, gt=0, validation_alias=AliasChoices("preview_images", "shown"))
    """Faces in preview grids and in the evaluation during training."""


class RigSettings(BaseRigSettings):
    """Settings of DiffusionRig training."""

    model: DiffusionRigConfig | None = None
    """Network of stage 1; stage 2 has the network of its checkpoint."""

    REMOVED: ClassVar[Mapping[str, Any]] = {"weighting": None}
    """Key that moved to `CompactRigSettings`, with the value that changes nothing."""


class BaseRigTask(Task):
    """Train a denoiser that predicts eps of a photo, given its buffers and its code.

    Args:
        settings: settings of the run.
        model: network of stage 1; None in stage 2.
    """

    kind: ClassVar[str]
    """Kind of the model file."""
    network: Rig
    faces: Buffers
    best_metric = ("mse", False)

    def __init__(self, settings: BaseRigSettings, model: NetworkConfig | None) -> None:
        self.settings = settings
        self.faces = open_buffers(settings.data, settings.lmdb_source)
        torch.manual_seed(settings.seed)
        if settings.stage == 2:
            self.network = self._pretrained(model)
        else:
            self.network = self._untrained(model)
        about, size = self.faces.about, self.network.config.size
        if about.size != size:
            raise InputError(
                f"{settings.data} holds {about.summary}, but the network has {size} pixels. Make buffers with "
                f"--size {size}."
            )

    def build_network(self) -> Rig:
        """Build the untrained network of stage 1."""
        raise NotImplementedError

    def resolve(self, config: TrainConfig) -> TrainConfig:
        """Set `gradient_accumulation` from the free memory, where `fit_memory` is set."""
        available = memory.free_memory()
        if not self.settings.fit_memory or available is None or config.precision != "float32":
            return config
        needs = memory.bytes_per_image(self.network.config), memory.parameter_bytes(self.network.config)
        parts = memory.parts_that_fit(config.batch_size, *needs, available)
        return config.model_copy(update={"gradient_accumulation": max(parts, config.gradient_accumulation)})

    def initial_optimizer(self) -> dict[str, Tensor]:
        """Return the moments of stage 1, where `init_optimizer` names them."""
        settings = self.settings
        if settings.init_optimizer is None:
            return {}
        if settings.init_from is None or settings.optimizer.kind == "sgd":
            raise InputError("`init_optimizer` belongs to stage 2 with Adam. Leave it out.")
        moments = moments_of_stage_1(settings.init_optimizer, settings.init_from, self.network)
        return numbered_tensors(moments, self.network, self.parameters())

    def timestep_weight(self, t: Tensor) -> Tensor:
        """Weights of the squared error of eps, one per timestep: P2, as released."""
        return p2_weight(t)

    def losses(self, network: nn.Module, batch: Batch, rng: StepRng) -> dict[str, Tensor]:
        """Compute the weighted squared error of eps at uniform timesteps."""
        rig, x_0 = _checked(network), batch.x_0
        t = rng.integers("t", 1000)
        noise = rng.normal("noise", tuple(x_0.shape[1:]))
        denoiser = rig.driven_by(self._conditions(batch), *_extra_codes(rig, batch))
        rows = training_loss(denoiser, x_0, t, noise, rig.encode(x_0))
        return {"loss": (self.timestep_weight(t) * rows).mean()}

    def preview(self, network: nn.Module) -> dict[str, NDArray[np.uint8]]:
        """Draw photos, their rendered buffers, and their reconstructions."""
        batch = self._preview_batch()
        rendered = to_images(self._conditions(batch)[:, :3] * 2 - 1)
        reconstructions = to_images(self._reconstruct(network, batch))
        images = np.concatenate([to_images(batch.x_0), rendered, reconstructions])
        return {"rebuilt": grid(images, columns=len(batch))}

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """Compute `mse`, the squared error of reconstructions from buffers and codes; lower is better."""
        batch = self._preview_batch()
        return {"mse": float((self._reconstruct(network, batch) - batch.x_0).square().mean())}

    def model(self, network: nn.Module, provenance: Mapping[str, Any]) -> ModelFile:
        """Return the network as a model file, with the source of its buffers."""
        buffers = {"buffers": provenance_of(self.faces.about)}
        config = _checked(network).config.model_dump(mode="json")
        return ModelFile(self.kind, network.state_dict(), config, {**provenance, **buffers})

    def _untrained(self, model: NetworkConfig | None) -> Rig:
        if self.settings.init_from is not None:
            raise InputError("`init_from` belongs to stage 2. Set stage=2, or leave it out.")
        if model is None:
            raise InputError("Stage 1 needs the network, `model`. Start from a preset.")
        return self.build_network()

    def _pretrained(self, model: NetworkConfig | None) -> Rig:
        settings = self.settings
        if settings.init_from is None:
            raise InputError("Stage 2 needs a model of stage 1. Set init_from=CHECKPOINT.")
        trained = open_rig(settings.init_from)
        refuse_other_buffers(self.faces.about, trained, settings.data)
        if not self.faces.about.mean_shape:
            raise InputError(
                f"{settings.data} was not made as an album. Stage 2 needs buffers of one person with the mean shape: "
                "facebench buffers ALBUM --mean-shape"
            )
        if model is not None:
            self._refuse_other_network(trained.network.config, model)
        network = trained.network.requires_grad_(True)
        network.encoder.requires_grad_(not self.settings.freeze_encoder)
        return network

    def _refuse_other_network(self, trained: NetworkConfig, wanted: NetworkConfig) -> None:
        before, now = trained.model_dump(), wanted.model_dump()
        for key in now:
            if before.get(key, now[key]) != now[key]:
                raise InputError(
                    f"{self.settings.init_from} has {key} {before[key]}, but the settings have {now[key]}. Leave "
                    "`model` out, or give a checkpoint that fits."
                )

    def _conditions(self, batch: Batch) -> Tensor:
        return to_conditions(batch.fields["conditions"], self.faces.about.brightest)

    def _preview_batch(self) -> Batch:
        count = min(self.settings.preview_images, len(self.faces))
        indices = np.linspace(0, len(self.faces) - 1, count).astype(int).tolist()
        return collate([(row, self.faces.read(index), None) for row, index in enumerate(indices)])

    @torch.no_grad()
    def _reconstruct(self, network: nn.Module, batch: Batch) -> Tensor:
        rig = _checked(network)
        batch = batch.to(next(network.parameters()).device)
        noise = torch.randn(batch.x_0.shape, generator=torch.Generator().manual_seed(0)).to(batch.x_0.device)
        denoiser = rig.driven_by(self._conditions(batch), *_extra_codes(rig, batch))
        return ddim_decode(denoiser, noise, rig.encode(batch.x_0), PREVIEW_STEPS).cpu()


class RigTask(BaseRigTask):
    """Train DiffusionRig with the P2-weighted loss."""

    kind = "rig"
    settings: RigSettings

    def __init__(self, settings: RigSettings) -> None:
        super().__init__(settings, settings.model)

    def build_network(self) -> DiffusionRig:
        """Build the untrained network of stage 1."""
        assert self.settings.model is not None
        return DiffusionRig(self.settings.model)


SETTINGS = RigSettings


def make(settings: RigSettings) -> RigTask:
    """Open the buffers, and build the network or open its checkpoint."""
    return RigTask(settings)


def describes_compact(content: Mapping[str, Any]) -> bool:
    """Whether settings of the kind `rig`, as older versions wrote them, describe a compact rig."""
    model = content.get("model")
    compact_network = isinstance(model, Mapping) and DiffusionRigConfig.uses_removed_keys(model)
    return compact_network or RigSettings.uses_removed_keys(content) or _starts_from_compact(content)


def _starts_from_compact(content: Mapping[str, Any]) -> bool:
    path = content.get("start", content.get("init_from"))
    if content.get("stage") != 2 or path is None:
        return False
    try:
        return isinstance(open_rig(Path(path)).network, CompactRig)
    except FacebenchError:
        return False  # the task reports this error


def _extra_codes(rig: Rig, batch: Batch) -> list[Tensor]:
    """Codes that the network takes besides the code of the photo."""
    return [batch.fields[name].float() for name in rig.extra_codes]


def _checked(network: nn.Module) -> Rig:
    assert isinstance(network, Rig)
    return network
