"""Availability of weights on this machine: which files of a backbone are missing, and the command that brings them."""

from __future__ import annotations

from collections.abc import Iterable

from facebench.backbones.weights import lockfile, registry
from facebench.backbones.weights.cache import cache_dir, missing_text, path_of
from facebench.backbones.weights.download import PAUSES
from facebench.backbones.weights.fetch import Accept, ask_licence, fetch, offline
from facebench.backbones.weights.registry import Entry
from facebench.core.errors import WeightsError
from facebench.core.language import message
from facebench.core.progress import Progress

OFFLINE = "FACEBENCH_OFFLINE forbids the network."


def missing_entries(backbone: str, *, official: bool = False) -> list[Entry]:
    """Return the files of a backbone that are not on this machine; only their presence is checked.

    Args:
        backbone: name of the backbone.
        official: whether weights imported with `--unofficial` count as missing.

    Example:
        >>> missing_entries("sface")
        []
    """
    return [
        entry
        for entry in registry.needed_by(backbone)
        if not path_of(entry).is_file() or (official and lockfile.known(cache_dir(), entry).unofficial)
    ]


def command_for(entry: Entry) -> str:
    """Return the command that brings a missing file.

    Example:
        >>> command_for(registry.entry("crfiqa-l"))
        'facebench weights import crfiqa-l FILE (from https://github.com/fdbtrs/CR-FIQA)'
        >>> command_for(registry.entry("maxvit-va"))
        'facebench weights import maxvit-va FILE (from facebench train affect --config cage-maxvit-va)'
    """
    if not entry.urls:
        return f"facebench weights import {entry.name} FILE (from {entry.trained_by or entry.home})"
    consent = "" if lockfile.licence_accepted(cache_dir(), entry) else " --accept-licence"
    return f"facebench weights fetch {entry.name}{consent}"


def way_to(entry: Entry) -> str:
    """Return in one or two words how a missing file is obtained.

    Example:
        >>> [way_to(registry.entry(name)) for name in ("headpose", "crfiqa-l", "maxvit-va")]
        ['fetch', 'import', 'train']
    """
    if entry.urls:
        accepted = lockfile.licence_accepted(cache_dir(), entry)
        return message("fetch") if accepted else message("fetch, licence")
    return message("train") if entry.trained_by else message("import")


def nothing_at_hand(entries: Iterable[Entry]) -> WeightsError:
    """Return the error for a run of which no network has its weights."""
    unique = {entry.name: entry for entry in entries}
    return WeightsError(
        f"{missing_text(list(unique.values()))}\n"
        "facebench doctor lists the networks at hand, and --suite auto measures with them."
    )


def fetch_available(
    names: Iterable[str], *, accept: bool | Accept = False, progress: Progress | None = None
) -> list[str]:
    """Download every missing file that has an address and whose licence is accepted.

    Args:
        names: names of backbones or registry entries.
        accept: whether non-commercial licences are accepted: for all entries, or a callback for each.
        progress: callback invoked with the name of the entry, the bytes received and the total.

    Returns:
        Why files are still missing, one message for each; empty when everything is at hand. After the first failed
        download further ones are tried once.
    """
    missing = [entry for entry in registry.select(names) if not path_of(entry).is_file()]
    if missing and offline():
        return [OFFLINE]
    problems: list[str] = []
    wanted: list[Entry] = []
    for entry in missing:
        if entry.urls:
            try:
                ask_licence(entry, accept)
                wanted.append(entry)
            except WeightsError as error:
                problems.append(str(error))
        else:
            problems.append(f"'{entry.name}' has no address: {command_for(entry)}")
    failures: list[str] = []
    for entry in wanted:
        try:
            fetch(entry, pauses=() if failures else PAUSES, progress=progress)
        except WeightsError as error:
            failures.append(str(error))
    return problems + failures
