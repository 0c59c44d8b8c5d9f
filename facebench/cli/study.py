"""`facebench study`: studies with people, and studies of published models."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facebench.cli.choices import split_list
from facebench.cli.machine_options import Address, Engine, EngineOption, Gpus, Workers, machines
from facebench.cli.messages import print_line, print_skipped
from facebench.cli.named_values import parse_references
from facebench.core.errors import InputError
from facebench.core.extras import requires_extra

if TYPE_CHECKING:
    from facebench.studies.id_booth import Request

app = typer.Typer(help="Prepare and run studies.", no_args_is_help=True, add_completion=False)


@app.callback()
def _group() -> None: ...


@app.command()
def ratings(
    images: Annotated[Path, typer.Argument(help="Folder, manifest or archive of the images to compare.")],
    out: Annotated[Path, typer.Argument(help="HTML file of the page.")],
    question: Annotated[str, typer.Option(help="Question about two images.")],
    pairs: Annotated[int, typer.Option(min=1, help="Pairs that each person judges.")] = 100,
    size: Annotated[int, typer.Option(min=32, max=1024, help="Longest side of an image in pixels.")] = 256,
    seed: Annotated[int, typer.Option(help="Seed of the pairs.")] = 0,
) -> None:
    """Write a page that collects preferences between pairs of images.

    The page works offline in any browser, and saves a CSV file that `facebench validate --against` reads.
    """
    from facebench.cli.progress import Stages
    from facebench.core.files import atomic_write_text
    from facebench.images.image_set import ImageSet
    from facebench.studies.ratings_page import RatingStudy, ratings_page

    study = RatingStudy(question, pairs, size, seed)
    with Stages() as stages:
        page, skipped = ratings_page(ImageSet.open(images), study, stages.update)
    print_skipped(skipped)
    out.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_text(out, page)
    print_line(f"wrote {out}; open it in a browser, or send it to the people who rate")
    print_line(f"then compare: facebench validate --against RATINGS.csv --run RUN  (RUN evaluates {images})")


@app.command("id-booth")
def id_booth(
    people: Annotated[Path, typer.Option(help="Photographs: one sub-folder for each person, or a manifest.")],
    base: Annotated[
        list[str],
        typer.Option(metavar="[LABEL=]NAME", help="Base model: a folder, or a name in the hub cache."),
    ],
    reference: Annotated[
        list[str], typer.Option(metavar="NAME=DIR", help="Real set; TFD and FFHQ in the paper.")
    ],
    changes: Annotated[
        list[str] | None, typer.Argument(help="Changed settings, such as draw.images=100.")
    ] = None,
    losses: Annotated[
        str, typer.Option(help="Losses, separated by commas.")
    ] = "dreambooth,portraitbooth,id-booth",
    config: Annotated[
        str,
        typer.Option(
            help="id-booth-released (as the scripts compute), id-booth (as the paper says), or a file."
        ),
    ] = "id-booth-released",
    released: Annotated[
        bool | None,
        typer.Option(
            "--released/--mended",
            help="Repeat or mend all defects of the scripts; by default the preset decides.",
        ),
    ] = None,
    recogniser: Annotated[Path | None, typer.Option(help="Recogniser of the identity losses.")] = None,
    benchmarks: Annotated[
        Path | None, typer.Option(help="Folder of verification benchmarks, for table 3.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the study; the same command continues it.")] = Path(
        "runs/id-booth"
    ),
    workers: Workers = 1,
    gpus: Gpus = None,
    engine: EngineOption = Engine.local,
    address: Address = None,
    show: Annotated[
        bool, typer.Option("--show", help="Print the plan with time, disk and what is missing; run nothing.")
    ] = False,
) -> None:
    """Train ID-Booth's models, draw and evaluate their images, and write its three tables."""
    with requires_extra("train"):
        from facebench.studies.id_booth import Request, run_study
        from facebench.studies.id_booth.request import Networks
        from facebench.studies.id_booth.settings import read_settings

    references = parse_references(reference)
    if not isinstance(references, dict):
        raise InputError("Give each real set a name, such as --reference TFD=DIR.")
    request = Request.read(
        people,
        base,
        tuple(split_list(losses) or ()),
        {name: Path(path) for name, path in references.items()},
        read_settings(config, changes or (), released),
        Networks(recogniser, benchmarks),
    )
    if show:
        _show(request, out)
        return
    start = time.monotonic()

    def report(name: str, state: str, finished: int, jobs: int) -> None:
        if state != "known":
            print_line(f"{finished}/{jobs} {(time.monotonic() - start) / 60:.1f} min  {state}: {name}")

    study = run_study(
        request,
        out,
        machines(workers, gpus, engine, address),
        progress=report,
        on_note=lambda text: print_line(f"note: {text}", style="dim"),
    )
    for table in study.tables:
        print_line(f"wrote {table}")
    study.check()


def _show(request: Request, out: Path) -> None:
    """Print the jobs of the study and its needs."""
    from facebench.studies.id_booth.forecast import forecast

    for line in forecast(request, out):
        is_missing = line.startswith("missing: ") and not line.endswith("nothing")
        print_line(line, style="yellow" if is_missing else "")
