"""`facebench doctor`: state of this installation."""

from __future__ import annotations

import platform
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from facebench.cli.choices import FormatOption, TableFormat
from facebench.cli.messages import Console
from facebench.cli.terminal_tables import show_tables
from facebench.core import tables
from facebench.core.language import message, translate
from facebench.core.version import __version__

if TYPE_CHECKING:
    from facebench.evaluation.network_choice import NetworkState

_NARROW = 60
"""On terminals with fewer columns, kinds of measurement are rows of their own."""


def doctor(style: FormatOption = TableFormat.auto) -> None:
    """Show versions, devices, networks at hand, missing weights and free disk space."""
    if style == TableFormat.auto:
        _print_state()
    else:
        show_tables(_table(), style)


def _table() -> tables.Table:
    """Return everything as one table."""
    from facebench.backbones.weights.availability import command_for
    from facebench.evaluation.network_choice import network_states
    from facebench.evaluation.protocols import load_protocols

    rows = [["machine", name, state, ""] for name, state in _machine().items()]
    for kind, states in network_states().items():
        for state in states:
            found = "missing" if state.missing else "at hand, not the official ones"
            if not state.missing and not state.unofficial:
                found = "at hand, best of its kind" if state.is_best else "at hand"
            rows.append(
                ["network", f"{kind}/{state.network}", found, "; ".join(map(command_for, state.missing))]
            )
    for name, protocol in load_protocols().items():
        for suite, metrics in protocol.suites.items():
            rows.append(["suite", f"{name}/{suite}", _readiness(metrics)[0], ""])
    titles = {
        "name": message("Name"),
        "section": message("Section"),
        "state": message("State"),
        "remedy": "Command for the weights",
    }
    columns = [
        tables.Column(key, title, numeric=False, words=key == "state") for key, title in titles.items()
    ]
    return tables.Table(
        columns, [[tables.Cell(text) for text in (name, section, *rest)] for section, name, *rest in rows]
    )


def _machine() -> dict[str, str]:
    """Return versions, devices, and folders with their free space."""
    from facebench.backbones import weights
    from facebench.core.environment import versions
    from facebench.features.store.sqlite import default_folder

    return {
        "facebench": __version__,
        "Python": f"{platform.python_version()} on {platform.platform()}",
        **versions(),
        message("devices"): ", ".join(_devices()),
        "feature store": _folder_and_free_space(default_folder()),
        message("weights"): _folder_and_free_space(weights.cache_dir()),
    }


def _print_state() -> None:
    from facebench.evaluation.network_choice import network_states
    from facebench.evaluation.protocols import load_protocols

    console = Console()
    table = Table.grid(padding=(0, 2))
    for _ in range(2):
        table.add_column(overflow="fold")
    for name, text in _machine().items():
        table.add_row(Text(translate(name), style="bold" if name == "facebench" else ""), translate(text))
    console.print(table)
    console.print()
    states = network_states()
    console.print(_networks(states, console.width))
    for name, protocol in load_protocols().items():
        for suite, metrics in protocol.suites.items():
            _print_readiness(console, f"{name} · {suite}: ", metrics)
    _print_commands(console, states)


def _networks(states: Mapping[str, Sequence[NetworkState]], width: int) -> Table:
    """Return the networks by kind of measurement, best first, and how missing weights are obtained."""
    is_narrow = width < _NARROW
    table = Table(
        title=translate("Networks by kind of measurement. auto takes the best one at hand (●)."),
        title_justify="left",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for heading in ([] if is_narrow else [message("kind")]) + [message("network"), message("weights")]:
        table.add_column(translate(heading), overflow="fold")
    for kind, networks in states.items():
        if is_narrow:
            table.add_row(Text(translate(kind), style="bold"))
        for place, state in enumerate(networks):
            first = [] if is_narrow else [translate(kind) if place == 0 else ""]
            table.add_row(
                *first,
                Text(state.network),
                Text("● " if state.is_best else "  ") + _weights(state),
                end_section=place == len(networks) - 1,
            )
    return table


def _weights(state: NetworkState) -> Text:
    """Return whether a network has its weights, or how they are obtained."""
    from facebench.backbones.weights.availability import way_to

    if not state.missing:
        return Text(
            translate("at hand, not the official ones" if state.unofficial else "at hand"), style="green"
        )
    ways = dict.fromkeys(map(way_to, state.missing))
    return Text(", ".join(map(translate, ways)), style="yellow")


def _print_commands(console: Console, states: Mapping[str, Sequence[NetworkState]]) -> None:
    """Print the commands that bring the missing weights, each on a line of its own."""
    from facebench.backbones.weights.availability import command_for

    missing = {
        entry.name: entry for networks in states.values() for state in networks for entry in state.missing
    }
    if not missing:
        return
    console.print()
    console.print(translate("Commands for the missing weights:"), style="bold")
    for entry in missing.values():
        console.print(Text(f"  {command_for(entry)}"), soft_wrap=True)


def _devices() -> list[str]:
    import torch

    devices = [f"cpu ({torch.get_num_threads()} threads)"]
    for index in range(torch.cuda.device_count()):
        devices.append(f"cuda:{index} ({torch.cuda.get_device_name(index)})")
    return devices + (["mps"] if torch.backends.mps.is_available() else [])


def _folder_and_free_space(folder: Path) -> str:
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    return f"{folder} ({shutil.disk_usage(existing).free / 1e9:.0f} GB free)"


def _print_readiness(console: Console, label: str, metrics: Sequence[str]) -> None:
    """Print which part of a suite can run; continuation lines are indented and no name is cut."""
    text, style = _readiness(metrics)
    text = translate(text)
    lines = textwrap.wrap(
        label + text, console.width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
    shown = Text("\n".join(lines))
    shown.stylize(style, start=len(label))
    console.print(shown, soft_wrap=True)


def _readiness(metrics: Sequence[str]) -> tuple[str, str]:
    """Return which part of a suite can run, and the style of the text."""
    from facebench.evaluation.cards import find_card
    from facebench.evaluation.network_choice import missing_entries

    cards = [find_card(metric) for metric in metrics]
    missing = {entry.name for card in cards for entry in missing_entries(card)}
    if not missing:
        return message("ready"), "green"
    ready = sum(not missing_entries(card) for card in cards)
    names = ", ".join(sorted(missing))
    return f"{ready} of {len(cards)} metrics, weights missing: {names}", "yellow"
