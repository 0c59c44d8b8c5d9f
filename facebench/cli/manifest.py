"""`facebench manifest`: write a manifest from the paths of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from facebench.cli.messages import print_line
from facebench.core.errors import InputError
from facebench.core.files import atomic_write_text
from facebench.images.manifest import read_manifest
from facebench.images.manifest_builder import (
    PATHS,
    BuiltManifest,
    Layout,
    Unmatched,
    build_manifest,
    missing_combinations,
    unmatched_csv,
)
from facebench.images.manifest_join import join_manifests
from facebench.images.named_roots import parse_roots
from facebench.images.path_pattern import PathPattern

SHOWN = 5
SHOWN_VALUES = 8
LARGEST_GRID = 100_000


def manifest(
    folders: Annotated[list[Path], typer.Argument(metavar="ROOT...", help="Folders that hold the images.")],
    pattern: Annotated[
        str,
        typer.Option(
            help="Pattern of the paths below each root, such as '{person}/train{stage}/{image}'. Each field becomes a "
            "column; {number:[0-9]+} restricts a field by a regular expression."
        ),
    ],
    join: Annotated[
        bool,
        typer.Option(
            "--join",
            help="Join existing manifests; the pattern is that of their paths, such as '{cell}/{person}/manifest.csv'.",
        ),
    ] = False,
    source: Annotated[
        str | None, typer.Option(help="Path of the source image, composed of the fields.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Path of the target image, composed of the fields.")
    ] = None,
    reconstruction: Annotated[
        str | None, typer.Option(help="Path of the reconstruction, composed of the fields.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Further column; the value may contain fields."),
    ] = None,
    root: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=DIR",
            help="Folder outside the folder of the manifest; its files are written as @NAME/path.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Manifest to write.")] = Path("manifest.csv"),
    append: Annotated[
        bool, typer.Option("--append", help="Keep the rows of an existing manifest and add the new ones.")
    ] = False,
    allow_missing: Annotated[
        bool,
        typer.Option(
            "--allow-missing", help="Leave out images whose source or target lies in a missing folder."
        ),
    ] = False,
) -> None:
    """Write a manifest from the paths of images: fields of a pattern become columns."""
    if out.suffix.lower() != ".csv":
        raise InputError(f"{out} does not end in .csv.")
    linked = {"source": source, "target": target, "reconstruction": reconstruction}
    layout = Layout(
        PathPattern(pattern),
        {name: PathPattern(text) for name, text in linked.items() if text is not None},
        {name: PathPattern(text) for name, text in _parse_settings(settings or []).items()},
        parse_roots(root),
        allow_missing,
    )
    if join and layout.links:
        raise InputError("--join takes the source and target from the joined manifests; leave out --source.")
    built = (join_manifests if join else build_manifest)(folders, layout, out.parent)
    built = _appended(built, out) if append and out.is_file() else built
    out.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_text(out, built.csv())
    _print_summary(built, out)
    _print_unmatched(built.unmatched, out.with_name(f"{out.stem}-unmatched.csv"))
    roots = "".join(f" --root {option}" for option in root or [])
    protocol = "expression-transfer" if "target" in built.columns else "quality"
    print_line(f"next: facebench evaluate {out} --protocol {protocol}{roots}", style="dim")


def _parse_settings(options: Sequence[str]) -> dict[str, str]:
    columns: dict[str, str] = {}
    for option in options:
        name, _, value = option.partition("=")
        if not name or not value or name in columns:
            problem = "is given twice" if name in columns else "is not NAME=VALUE"
            raise InputError(f"The column '{option}' {problem}. Write for example: --set data=AffectNet")
        columns[name] = value
    return columns


def _appended(built: BuiltManifest, out: Path) -> BuiltManifest:
    """Add the rows to those of the manifest; a row of an image that it holds replaces that row."""
    rows = {row.columns.get("image", str(row.line)): dict(row.columns) for row in read_manifest(out)}
    rows |= {row["image"]: row for row in built.rows}
    return BuiltManifest(list(rows.values()), built.unmatched, built.ambiguous)


def _print_summary(built: BuiltManifest, out: Path) -> None:
    print_line(f"wrote {out}: {len(built.rows):,} images")
    values = built.values()
    for name, texts in values.items():
        listed = ", ".join(texts) if len(texts) <= SHOWN_VALUES else f"{', '.join(texts[:3])} … {texts[-1]}"
        print_line(f"  {name}: {len(texts)} ({listed})", style="dim")
    if built.ambiguous:
        print_line(
            f"{len(built.ambiguous):,} paths could be split in another way; the first: {built.ambiguous[0]}. Restrict "
            "a field, such as {number:[0-9]+}.",
            style="yellow",
        )
    _print_missing_cells(built, values)


def _print_missing_cells(built: BuiltManifest, values: Mapping[str, Sequence[str]]) -> None:
    """Print the combinations of conditions that have no image: conditions are the columns that all rows have."""
    names = [
        name
        for name, texts in values.items()
        if len(texts) > 1 and name not in (*PATHS, "identity") and _in_all(built, name)
    ]
    size = 1
    for name in names:
        size *= len(values[name])
    if not names or size > LARGEST_GRID:
        return
    missing = missing_combinations(built.rows, names)
    if missing:
        first = ", ".join(f"{name} {value}" for name, value in missing[0].items())
        print_line(
            f"{len(missing):,} of {size:,} combinations have no image; the first: {first}", style="yellow"
        )
    else:
        print_line(f"every combination has images: {size:,} of {size:,}", style="dim")


def _in_all(built: BuiltManifest, name: str) -> bool:
    return all(name in row for row in built.rows)


def _print_unmatched(unmatched: Sequence[Unmatched], file: Path) -> None:
    if not unmatched:
        file.unlink(missing_ok=True)
        return
    atomic_write_text(file, unmatched_csv(unmatched))
    print_line(f"left out {len(unmatched):,} images:", style="yellow")
    for one in unmatched[:SHOWN]:
        print_line(f"  {one.path}: {one.reason}", style="dim")
    if len(unmatched) > SHOWN:
        print_line(f"  ... all of them: {file}", style="dim")
