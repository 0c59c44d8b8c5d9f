"""`facebench doctor`: state of this installation."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.table import Table
from rich.text import Text

from facebench.cli.messages import Console
from facebench.core.language import message, translate
from facebench.core.version import __version__


def doctor() -> None:
    """Show versions, devices, networks at hand, missing weights and free disk space."""
    from facebench.backbones import weights
    from facebench.core.environment import versions
    from facebench.evaluation.protocols import load_protocols
    from facebench.features.store.sqlite import default_folder

    console = Console()
    table = Table.grid(padding=(0, 2))
    table.add_row(Text("facebench", style="bold"), __version__)
    table.add_row("Python", f"{platform.python_version()} on {platform.platform()}")
    for library, version in versions().items():
        table.add_row(library, version)
    table.add_row(translate(message("devices")), ", ".join(_devices()))
    table.add_row(translate("feature store"), _folder_and_free_space(default_folder()))
    table.add_row(translate(message("weights")), _folder_and_free_space(weights.cache_dir()))
    console.print(table)
    console.print()
    console.print(_networks())
    for name, protocol in load_protocols().items():
        for suite, metrics in protocol.suites.items():
            console.print(f"{name} · {suite}: ", _readiness(metrics), sep="", soft_wrap=True)


def _networks() -> Table:
    """Return the networks by kind of measurement, best first, with the command that brings missing weights."""
    from facebench.backbones.weights.availability import command_for
    from facebench.evaluation.network_choice import NetworkState, network_states

    table = Table(
        title=translate("Networks by kind of measurement. auto takes the best one at hand (●)."),
        title_justify="left",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for heading in (message("kind"), message("network"), "", message("weights")):
        table.add_column(translate(heading), overflow="fold")

    def weights_of(state: NetworkState) -> Text:
        if not state.missing:
            return Text(
                translate("at hand, not the official ones" if state.unofficial else "at hand"), style="green"
            )
        return Text("; ".join(map(command_for, state.missing)), style="yellow")

    for kind, states in network_states().items():
        for place, state in enumerate(states):
            table.add_row(
                translate(kind) if place == 0 else "",
                Text(state.network),
                "●" if state.is_best else "",
                weights_of(state),
                end_section=place == len(states) - 1,
            )
    return table


def _devices() -> list[str]:
    import torch

    devices = [f"cpu ({torch.get_num_threads()} threads)"]
    for index in range(torch.cuda.device_count()):
        devices.append(f"cuda:{index} ({torch.cuda.get_device_name(index)})")
    return devices + (["mps"] if torch.backends.mps.is_available() else [])


def _folder_and_free_space(folder: Path) -> str:
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    return translate(f"{folder} ({shutil.disk_usage(existing).free / 1e9:.0f} GB free)")


def _readiness(metrics: Sequence[str]) -> Text:
    from facebench.evaluation.cards import find_card
    from facebench.evaluation.network_choice import missing_entries

    cards = [find_card(metric) for metric in metrics]
    missing = {entry.name for card in cards for entry in missing_entries(card)}
    if not missing:
        return Text(translate(message("ready")), style="green")
    ready = sum(not missing_entries(card) for card in cards)
    names = ", ".join(sorted(missing))
    return Text(translate(f"{ready} of {len(cards)} metrics, weights missing: {names}"), style="yellow")
