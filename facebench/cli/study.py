"""`facebench study`: studies with people, and studies of published models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facebench.cli.messages import print_line, print_skipped

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
