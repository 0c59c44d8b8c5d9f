"""DINOv2 ViT-L/14 and ViT-B/14: the class token, with the preprocessing of dgm-eval and ID-Booth.

Measures: image content; used for the Fréchet distance, precision, recall, density and coverage.
Input: whole image, Pillow bicubic to 224 x 224 without fixed aspect ratio, RGB, ImageNet mean and deviation.
Arrays: `features` (n, 1024) for ViT-L/14, (n, 768) for ViT-B/14.
Licence: Apache-2.0 (Meta).
Papers: Oquab et al. 2024, "DINOv2: Learning robust visual features without supervision"; Stein et al. 2023,
"Exposing flaws of generative model evaluation metrics and their unfair treatment of diffusion models".
"""

from __future__ import annotations

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from facebench.backbones.base import Image, load_strictly
from facebench.backbones.resize import IMAGENET_MEAN, IMAGENET_STD, pil_bicubic, standardise
from facebench.backbones.torch_network import TorchBackbone, unfilled
from facebench.backbones.weights import WeightsSource

SIZE = 224
PATCH = 14
TRAINED_GRID = 37
"""Patches per side at 518 pixels, the size of the position embeddings in the official files."""
GRID_OFFSET = 0.1
"""Added to the number of patches before the scale factor is computed, as in the official code."""

_WIDTH_DEPTH_HEADS = {"dinov2-vitl14": (1024, 24, 16), "dinov2-vitb14": (768, 12, 12)}


class DinoVisionTransformer(VisionTransformer):
    """timm's vision transformer with DINOv2's parameters and resize of the position embeddings.

    timm resizes to a number of patches, with antialiasing. The official code (facebookresearch/dinov2, models
    without registers) resizes by the factor (patches + 0.1) / 37, bicubic, without antialiasing.
    """

    cls_token: nn.Parameter
    pos_embed: nn.Parameter

    def __init__(self, width: int, depth: int, heads: int) -> None:
        super().__init__(
            img_size=PATCH * TRAINED_GRID,
            patch_size=PATCH,
            embed_dim=width,
            depth=depth,
            num_heads=heads,
            init_values=1.0,
            num_classes=0,
            dynamic_img_size=True,
        )
        # Used in training only, but part of the official file.
        self.mask_token = nn.Parameter(torch.zeros(1, width))

    def _pos_embed(self, x: Tensor) -> Tensor:
        """Prepend the class token to the patches (n, rows, columns, width) and add the position embeddings."""
        n, rows, columns, width = x.shape
        grid = self.pos_embed[:, 1:].reshape(1, TRAINED_GRID, TRAINED_GRID, width).permute(0, 3, 1, 2)
        factors = ((rows + GRID_OFFSET) / TRAINED_GRID, (columns + GRID_OFFSET) / TRAINED_GRID)
        grid = functional.interpolate(grid, scale_factor=factors, mode="bicubic")
        patches = x.reshape(n, -1, width) + grid.permute(0, 2, 3, 1).reshape(1, -1, width)
        first = self.cls_token + self.pos_embed[:, :1]
        return torch.cat([first.expand(n, -1, -1), patches], dim=1)


class Dinov2(TorchBackbone):
    """DINOv2: `features` (n, 1024 or 768), the layer-normed class token, not normalised to unit length.

    Pillow resizes the whole image to 224 x 224 (bicubic, antialiased), as dgm-eval does.
    """

    arrays = ("features",)
    preprocessing = "pil-bicubic-224-imagenet-v1"

    def preprocess(self, image: Image) -> Tensor:
        """Resize and standardise a uint8 RGB image to float32 (3, 224, 224)."""
        return standardise(pil_bicubic(image, SIZE), IMAGENET_MEAN, IMAGENET_STD)

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """Compute `features`."""
        return {"features": self.network(batch)}


def build(name: str, source: WeightsSource, device: str) -> Dinov2:
    """Build `dinov2-vitl14` or `dinov2-vitb14` from the official file.

    Raises:
        WeightsError: the weights belong to another network, for example to a model with registers.
    """
    network = unfilled(lambda: DinoVisionTransformer(*_WIDTH_DEPTH_HEADS[name]))
    load_strictly(network, source.state_dict(), name)
    return Dinov2(name, network, source.used(), device)
