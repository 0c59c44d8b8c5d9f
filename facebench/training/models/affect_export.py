"""Export of a trained affect network as a network that `facebench networks add` reads."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import torch

from facebench.backbones.resize import IMAGENET_MEAN, IMAGENET_STD
from facebench.core.errors import WeightsError
from facebench.images.affectnet import AFFECTNET
from facebench.training.engine import model_file
from facebench.training.models.affect_network import AffectNetwork


def export_network(model: Path, name: str, folder: Path) -> Path:
    """Write a TorchScript file and its description.

    Args:
        model: folder or model file of `facebench train affect`.
        name: name of the network.
        folder: where both files are written.

    Returns:
        The description, for `facebench networks add`.

    Raises:
        InputError: the model does not exist.
        WeightsError: the model is damaged or of another kind.
    """
    content = model_file.read(model, "affect")
    kind, size = content.architecture["network"], int(content.architecture["size"])
    network = AffectNetwork(kind)
    try:
        network.body.load_state_dict(content.tensors, strict=True)
    except RuntimeError as error:
        raise WeightsError(
            f"{model}: the weights do not fit '{kind}': {str(error).splitlines()[0]}"
        ) from error
    example = torch.zeros(2, 3, size, size)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # later versions of PyTorch prefer torch.export
        traced = torch.jit.trace(network.body.eval(), example)  # type: ignore[no-untyped-call]
        columns = network.body(example).shape[1]
    traced.save(str(folder / f"{name}.pt"))
    outputs: dict[str, object] = {"valence": {"columns": columns - 2}, "arousal": {"columns": columns - 1}}
    if columns > 2:
        outputs["expression"] = {"columns": [0, columns - 2], "classes": list(AFFECTNET)}
    data = dict(content.provenance.get("settings", content.provenance)).get("data", {})
    description = {
        "name": name,
        "title": f"{name}, trained with facebench",
        "file": f"{name}.pt",
        "crop": "face224",
        "size": size,
        "mean": list(IMAGENET_MEAN),
        "std": list(IMAGENET_STD),
        "outputs": outputs,
        "source": f"{kind}, trained with facebench train affect on {data.get('kind', 'unknown data')}",
    }
    file = folder / f"{name}.yaml"
    file.write_text(json.dumps(description, indent=2), encoding="utf-8")
    return file
