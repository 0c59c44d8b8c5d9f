"""All commands with their help panels and one-line help.

`facebench --help` prints this table and imports no command. Each command lies in the file of its name.
"""

from __future__ import annotations

from dataclasses import dataclass

from facebench.core.language import message

_PANELS = {
    message("Measure"): {
        "evaluate": "Evaluate a folder of generated faces and write a run record.",
        "stats": "Write reference statistics of features, with the keys of pytorch-fid and clean-fid.",
        "manifest": "Write a manifest from the paths of images: fields of a pattern become columns.",
        "metrics": "List the metrics, or print the card of one metric.",
        "protocols": "List the protocols, or print one protocol.",
        "validate": "Damage synthetic faces by known amounts and check the claims of metric cards.",
        "networks": "Add, list and remove networks of your own.",
        "init": "Look at a folder of images and print the commands that fit it.",
        "doctor": "Show versions, devices, networks at hand, missing weights and free disk space.",
    },
    message("Compare"): {
        "leaderboard": "Rank models by their run records.",
        "runs": "List the runs; compare two of them, or print the newest one.",
        "report": "Write a page with results, differences, plots and galleries.",
        "check": "Compare a run with a baseline; exit with code 1 when it is worse.",
        "export": "Write runs for TensorBoard, Weights & Biases, MLflow or a Hugging Face model card.",
        "pick": "Keep the best images of each group by a per-image metric, marked as picked.",
        "factorial": "Estimate effects of training choices over a grid of runs, or over the cells of one run.",
        "study": "Prepare and run studies.",
        "published": "List the tables of published papers, or print one table.",
    },
    "Edit and generate": {
        "align": "Crop and align faces in photographs, as FFHQ does by default.",
        "edit": "Edit faces along a direction of a diffusion autoencoder.",
        "reconstruct": "Encode faces with a diffusion autoencoder and decode them again.",
        "interpolate": "Generate the faces between two faces.",
        "sample": "Generate new faces with a DDIM model or an autoencoder.",
        "generate": "Generate images of a person with Stable Diffusion and trained adapters.",
        "buffers": "Write the physical buffers (rendering, normals, albedo) that condition DiffusionRig.",
        "transfer": "Transfer the expression, light or pose of one face to another with DiffusionRig.",
    },
    message("Train"): {
        "train": "Train a model; the same command resumes a stopped run.",
        "watch": "Evaluate the checkpoints of a training as they appear, and keep the best in best.json.",
        "grid": "Train, evaluate and compare a model for every combination of factors.",
        "utility": "Train recognisers on generated faces and verify them on real faces.",
        "verify-benchmark": "Measure the ten-fold verification accuracy of a trained recogniser.",
    },
    "Synthetic faces": {
        "synth": "Render synthetic faces with known identity, expression, pose and light.",
        "degrade": "Write a copy of a synthetic set that is degraded by a known amount.",
    },
    message("Storage"): {
        "weights": "List, fetch, verify and import trained weights.",
        "store": "Inspect, verify and shrink the feature store.",
    },
}


@dataclass(frozen=True)
class CommandEntry:
    """A command as `facebench --help` lists it."""

    name: str
    panel: str
    help: str

    @property
    def module(self) -> str:
        """Name of the file in `facebench.cli`, and of the function in it."""
        return self.name.replace("-", "_")


COMMANDS = {
    name: CommandEntry(name, panel, text) for panel, lines in _PANELS.items() for name, text in lines.items()
}
