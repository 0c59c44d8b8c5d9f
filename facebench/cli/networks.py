"""`facebench networks`: add, list and remove networks of your own."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facebench.backbones.own_networks import NetworkSpec, OwnNetwork, networks_folder, own_networks, read_spec
from facebench.backbones.weights.digest import sha256_of
from facebench.cli.choices import FormatOption, TableFormat
from facebench.cli.messages import print_line
from facebench.cli.progress import Stages
from facebench.cli.terminal_tables import show_tables
from facebench.core.errors import InputError
from facebench.core.extras import requires_extra
from facebench.core.files import atomic_path, atomic_write_text
from facebench.core.language import message
from facebench.core.suggest import suggest
from facebench.core.tables import Cell, Column, Table

if TYPE_CHECKING:
    from facebench.backbones.base import Backbone

app = typer.Typer(
    help="Add, list and remove networks of your own.",
    no_args_is_help=True,
    add_completion=False,
)


@app.command()
def add(
    file: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="Description of the network.")],
    code: Annotated[
        Path | None,
        typer.Option(help="Python file that the key 'code' names. Its code runs in every evaluation."),
    ] = None,
    impostors: Annotated[
        Path | None,
        typer.Option(
            help="Real photographs of several people. Sets the cosine from which two faces match: 0.1 % of the pairs "
            "of different people reach it."
        ),
    ] = None,
) -> None:
    """Check a network, copy it into the cache folder, and list the metrics that it allows."""
    from facebench.backbones.own_backbone import check_own
    from facebench.evaluation.protocols import load_protocols

    spec = read_spec(file)
    _check_name(spec)
    own = OwnNetwork(spec, file.parent, origin=str(file.resolve()))
    _check_code(own, code)
    backbone = check_own(own)
    if impostors is not None:
        own = replace(own, spec=_with_threshold(spec, backbone, impostors))
    _store(own, backbone.weights.sha256)
    metrics = _metrics_of(spec.name)
    protocols = [
        name
        for name, protocol in load_protocols().items()
        if any(set(metrics) & set(ids) for ids in protocol.suites.values())
    ]
    print_line(f"added {spec.name}: {', '.join(backbone.arrays)}")
    print_line(f"{len(metrics)} metrics: {', '.join(metrics)}")
    print_line(f"protocols: {', '.join(protocols)}")


@app.command("add-trained")
def add_trained(
    model: Annotated[Path, typer.Argument(help="Folder or model file of `facebench train affect`.")],
    name: Annotated[str, typer.Option(help="Name of the network: lower-case letters and digits.")],
) -> None:
    """Add an affect network that was trained here."""
    with requires_extra("train"):
        from facebench.training.models.affect_export import export_network

    with tempfile.TemporaryDirectory() as folder:
        add(export_network(model, name, Path(folder)))


@app.command("list")
def list_networks(style: FormatOption = TableFormat.auto) -> None:
    """List the added networks with their outputs, crop, licence and number of metrics."""
    columns = [
        Column("network", message("Network"), numeric=False),
        Column("outputs", message("Outputs"), numeric=False),
        Column("crop", message("Crop"), numeric=False),
        Column("licence", message("Licence"), numeric=False),
        Column("metrics", message("Metrics")),
    ]
    rows = []
    for name, network in own_networks().items():
        spec = network.spec
        words = (name, ", ".join(network.arrays), f"{spec.crop}, {spec.size} px", spec.licence)
        count = len(_metrics_of(name))
        rows.append([*(Cell(word) for word in words), Cell(str(count), count)])
    show_tables(Table(columns, rows), style, after=[f"Folder: {networks_folder()}"])


@app.command()
def remove(name: Annotated[str, typer.Argument(help="Name of an added network.")]) -> None:
    """Remove an added network and its file."""
    folder = networks_folder()
    known = [path.stem for path in folder.glob("*.yaml")]
    if name not in known:
        raise InputError(f"'{name}' is not an added network. {suggest(name, known)}")
    (folder / f"{name}.yaml").unlink()
    shutil.rmtree(folder / name, ignore_errors=True)
    print_line(f"removed {name}")


def _with_threshold(spec: NetworkSpec, backbone: Backbone, photographs: Path) -> NetworkSpec:
    """Return the description with the threshold that pairs of different people give."""
    from facebench.evaluation.match_threshold import match_threshold
    from facebench.images.image_set import ImageSet

    if "embedding" not in spec.outputs:
        raise InputError(
            f"{spec.name} has no output 'embedding', so --impostors has no effect. Leave it out."
        )
    with Stages() as stages:
        found = match_threshold(ImageSet.open(photographs), backbone, progress=stages.update)
    rate = f"{found.text} of {photographs.resolve().name}"
    print_line(f"two faces match from a cosine of {found.threshold:.4f} on: {rate}")
    return spec.with_threshold(found.threshold, rate)


def _check_name(spec: NetworkSpec) -> None:
    """Refuse names that belong to a backbone or to the suffix of existing metrics."""
    from facebench.backbones import names
    from facebench.evaluation.cards import load_cards

    if spec.name in own_networks():
        return  # replaced
    suffixes = {part for metric in load_cards() for part in metric.split("_")}
    if spec.name in names() or spec.name in suffixes:
        raise InputError(f"The name '{spec.name}' is taken by a network or a metric. Choose another name.")


def _check_code(own: OwnNetwork, permitted: Path | None) -> None:
    """Require that the user names the Python file, because its code runs."""
    if own.spec.code is None:
        return
    if own.code is None:
        raise InputError(f"{own.origin}: code: expected FILE.py:NAME, such as mynet.py:MyNet.")
    path = own.code[0]
    if permitted is None or permitted.resolve() != path.resolve():
        raise InputError(
            f"The network '{own.spec.name}' runs the code in {path}. Read it, then permit it with: --code {path}"
        )


def _store(own: OwnNetwork, sha256: str) -> None:
    """Copy the file of a network, then write its description."""
    spec, folder = own.spec, networks_folder()
    source = own.file if own.code is None else own.code[0]
    assert source is not None
    target = folder / spec.name / source.name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.resolve() != target.resolve():
            with atomic_path(target) as copy:
                _copy(source, copy)
            sha256 = sha256_of(target)
        place = f"{spec.name}/{source.name}"
        stored = {"file": place} if own.code is None else {"code": f"{place}:{own.code[1]}"}
        content = spec.model_copy(update={**stored, "sha256": sha256}).model_dump(mode="json")
        # JSON is YAML; the description has one value on each line.
        atomic_write_text(
            folder / f"{spec.name}.yaml", json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        )
    except OSError as error:
        raise InputError(f"The network cannot be stored in {folder}: {error.strerror or error}.") from error


def _copy(source: Path, target: Path) -> None:
    """Copy the file of a network, with the weights that an ONNX file keeps beside it."""
    if source.suffix != ".onnx":
        shutil.copyfile(source, target)
        return
    from facebench.backbones.onnx_network import copy_complete

    copy_complete(source, target)


def _metrics_of(name: str) -> list[str]:
    from facebench.evaluation.cards import load_cards

    return [metric for metric, card in load_cards().items() if card.reads.backbone == name]
