"""The `facebench` command: parse, call, print."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from facebench import __version__
from facebench.commands import store, weights
from facebench.errors import FacebenchError

app = typer.Typer(
    help="Evaluate generated and edited faces: quality, identity and expression, with an interval on every number.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(weights.app, name="weights")
app.add_typer(store.app, name="store")


INTERRUPTED = 130


class Suite(str, Enum):
    """Which networks: those of the literature, or those that come with the installation."""

    auto = "auto"
    paper = "paper"
    compact = "compact"


class Engine(str, Enum):
    """Who decodes and computes."""

    local = "local"
    ray = "ray"


class Device(str, Enum):
    """Where the networks run."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 a rule failed, 2 usage or input error, 130 interrupted."""
    try:
        app()
    except FacebenchError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        _say_interrupted()
        sys.exit(INTERRUPTED)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:  # typer has caught the interrupt and said nothing
            _say_interrupted()
        raise


def _say_interrupted() -> None:
    print("interrupted: what was computed is kept, the same command continues from there", file=sys.stderr)


def _version(value: bool) -> None:
    if value:
        print(f"facebench {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


@app.command()
def evaluate(
    generated: Annotated[
        Path, typer.Argument(help="Folder, folder of identity folders, or manifest of generated faces.")
    ],
    reference: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]DIR", help="Real faces to compare with; several sets are given by name."
        ),
    ] = None,
    protocol: Annotated[str, typer.Option(help="What to measure; see `facebench protocols`.")] = "quality",
    suite: Annotated[
        Suite, typer.Option(help="auto takes paper when all its weights are at hand.")
    ] = Suite.auto,
    metrics: Annotated[str | None, typer.Option(help="Only these metrics, separated by commas.")] = None,
    device: Annotated[Device, typer.Option(help="Where the networks run.")] = Device.auto,
    engine: Annotated[
        Engine, typer.Option(help="local: this process. ray: workers on a Ray cluster, with the same result.")
    ] = Engine.local,
    address: Annotated[
        str | None,
        typer.Option(help="Running Ray cluster; auto finds this machine's (by default one is begun here)."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run record (by default runs/NAME-PROTOCOL).")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the model in tables (by default that of the folder).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of every resampling.")] = 0,
    max_rejected: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Stop above this share of unusable files.")
    ] = 0.02,
    by: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Every metric also by identity, expression, ...")
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="What the model is, for tables and factorial studies."),
    ] = None,
    accept_licence: Annotated[
        bool,
        typer.Option("--accept-licence", help="Fetch weights that exclude commercial use without asking."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the record, and nothing else, on stdout.")
    ] = False,
) -> None:
    """Measure a folder of generated faces and write a run record."""
    from facebench.commands.evaluating import evaluate_command
    from facebench.inputs import reference_of, tags_of

    evaluate_command(
        generated,
        reference_of(reference),
        protocol=protocol,
        suite=suite.value,
        metrics=metrics.split(",") if metrics else None,
        device=device.value,
        engine=engine.value,
        address=address,
        out=out,
        name=name,
        seed=seed,
        max_rejected=max_rejected,
        by=by,
        tags=tags_of(tag),
        accept_licence=accept_licence,
        as_json=as_json,
    )


@app.command()
def leaderboard(
    runs: Annotated[list[Path], typer.Argument(help="Run folders or record files.")],
    csv: Annotated[Path | None, typer.Option(help="Write CSV.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a self-contained page.")] = None,
    latex: Annotated[Path | None, typer.Option(help="Write LaTeX (booktabs).")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write Markdown.")] = None,
    with_published: Annotated[
        bool, typer.Option("--with-published", help="Also show what papers report, marked and not ranked.")
    ] = False,
) -> None:
    """Rank models by their run records."""
    from facebench.commands.ranking import leaderboard_command

    leaderboard_command(runs, csv=csv, html=html, latex=latex, markdown=markdown, published=with_published)


@app.command()
def published(
    name: Annotated[str | None, typer.Argument(help="Name of one table.")] = None,
) -> None:
    """List the tables of papers that are at hand, or print one."""
    from facebench.commands.ranking import published_command

    published_command(name)


@app.command()
def factorial(
    runs: Annotated[list[Path], typer.Argument(help="Runs that carry the factors as tags.")],
    metrics: Annotated[str | None, typer.Option(help="Only these metrics, separated by commas.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the effects as CSV.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a self-contained page.")] = None,
    plots: Annotated[Path | None, typer.Option(help="Folder for main-effects plots (SVG).")] = None,
    breakdown: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder with runs of the same names, evaluated with another --by; may be repeated."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of every resampling.")] = 0,
) -> None:
    """Main effects and two-way interactions of training choices over a grid of runs, and where models fail."""
    from facebench.commands.studying import factorial_command

    chosen = metrics.split(",") if metrics else None
    factorial_command(
        runs, metrics=chosen, csv=csv, html=html, plots=plots, breakdowns=breakdown or [], seed=seed
    )


@app.command()
def check(
    run: Annotated[Path, typer.Argument(help="Run folder or record file.")],
    baseline: Annotated[Path, typer.Option(help="Record to compare with: a file or a run folder.")],
    rules: Annotated[Path | None, typer.Option(help="YAML: how much worse each metric may be.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML.")] = None,
    github: Annotated[
        bool, typer.Option("--github", help="Print workflow annotations and add a step summary.")
    ] = False,
    update: Annotated[
        bool, typer.Option("--update", help="Compare nothing: make this run the baseline.")
    ] = False,
) -> None:
    """Fail with exit code 1 when a run is worse than the baseline."""
    from facebench.commands import checking

    if update:
        checking.update_command(run, baseline)
    else:
        checking.check_command(run, baseline, rules=rules, junit=junit, github=github)


@app.command()
def validate(
    suite: Annotated[Suite, typer.Option(help="Whose metrics to validate.")] = Suite.compact,
    metrics: Annotated[str | None, typer.Option(help="Only these metrics, separated by commas.")] = None,
    kinds: Annotated[str | None, typer.Option(help="Only these damages, separated by commas.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of validation.json and validation.svg.")] = Path(
        "runs/validation"
    ),
    identities: Annotated[int, typer.Option(min=2, help="Number of people.")] = 16,
    images: Annotated[int, typer.Option(min=1, help="Images of each.")] = 8,
    size: Annotated[int, typer.Option(min=32, max=1024, help="Side in pixels.")] = 112,
    seed: Annotated[int, typer.Option(help="Of faces, damages and resampling.")] = 0,
    device: Annotated[Device, typer.Option(help="Where the networks run.")] = Device.auto,
) -> None:
    """Damage synthetic faces by known amounts; fail with exit code 1 when a metric breaks its card's claim."""
    from facebench.commands.validating import validate_command

    validate_command(
        out,
        suite=suite.value,
        metrics=metrics.split(",") if metrics else None,
        kinds=kinds.split(",") if kinds else None,
        identities=identities,
        images=images,
        size=size,
        seed=seed,
        device=device.value,
    )


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="Run folders; the others are compared with the first.")],
    html: Annotated[Path, typer.Option(help="Folder to write index.html into, or a file ending in .html.")],
    lang: Annotated[str, typer.Option(help="Language of the page: en or ja.")] = "en",
) -> None:
    """Write one self-contained page: results, differences, plots and galleries."""
    from facebench.commands.reporting import report_command

    report_command(runs, html=html, lang=lang)


@app.command()
def metrics(
    metric: Annotated[str | None, typer.Argument(help="Id of one metric.")] = None,
) -> None:
    """List the metrics, or print one metric's card."""
    from facebench.commands import cards

    cards.print_card(metric) if metric else cards.print_cards()


@app.command()
def protocols(
    name: Annotated[str | None, typer.Argument(help="Name of one protocol.")] = None,
) -> None:
    """List the protocols, or print one."""
    from facebench.commands import cards

    cards.print_protocol(name) if name else cards.print_protocols()


@app.command()
def doctor() -> None:
    """Versions, devices, weights at hand and free disk."""
    from facebench.commands.doctor import print_report

    print_report()


@app.command()
def train(
    kind: Annotated[
        str, typer.Argument(help="What to train: diffae, ddim, latent-dpm, recognition, rig ...")
    ],
    changes: Annotated[
        list[str] | None,
        typer.Argument(
            help="Folder of faces, and changes of the settings: steps=1000 optimiser.learning_rate=1e-4."
        ),
    ] = None,
    config: Annotated[
        str | None, typer.Option(help="A preset or a YAML file; by default the preset on synthetic faces.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the run; a run that it holds goes on.")] = Path(
        "runs/train"
    ),
    device: Annotated[Device, typer.Option(help="Where to train.")] = Device.auto,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="Go on with a run although its settings have changed.")
    ] = False,
) -> None:
    """Train a model; the same command goes on where a run stopped."""
    from facebench.commands.training import train_command

    train_command(
        kind, changes or [], config=config, out=out, device=device.value, accept_changes=accept_changes
    )


ENCODE = Annotated[int, typer.Option(help="DDIM steps of encoding; 250 is official, 20 is quick.")]
RENDER = Annotated[int, typer.Option(help="DDIM steps of rendering; 100 is official, 20 is quick.")]
CHECKPOINT = Annotated[
    Path,
    typer.Option(help="A model file, a run's folder, an official checkpoint, or a shipped model."),
]


@app.command()
def edit(
    images: Annotated[Path, typer.Argument(help="Folder or manifest of faces.")],
    out: Annotated[Path, typer.Argument(help="New folder for the edits and their manifest.")],
    attribute: Annotated[str, typer.Option(help="What to change, such as happy or valence.")],
    directions: Annotated[
        Path, typer.Option(help="What `facebench train classifier` wrote, or shipped directions.")
    ] = Path("directions-64-synthface"),
    checkpoint: CHECKPOINT = Path("diffae-64-synthface"),
    strength: Annotated[
        list[float] | None,
        typer.Option(help="How far; may be given several times. The official notebook uses 0.3."),
    ] = None,
    target: Annotated[
        Path | None,
        typer.Option(help="What the edits should look like: images of the same names as the sources."),
    ] = None,
    encode_steps: ENCODE = 250,
    render_steps: RENDER = 100,
    device: Annotated[Device, typer.Option(help="Where to run.")] = Device.auto,
) -> None:
    """Edit faces along a direction of a diffusion autoencoder."""
    from facebench.commands.generating import edit_command

    edit_command(
        checkpoint, directions, images, out, attribute=attribute, strengths=strength or [0.3],
        encode_steps=encode_steps, render_steps=render_steps, device=device.value, targets=target,
    )  # fmt: skip


@app.command()
def reconstruct(
    images: Annotated[Path, typer.Argument(help="Folder or manifest of faces.")],
    out: Annotated[Path, typer.Argument(help="New folder.")],
    checkpoint: CHECKPOINT = Path("diffae-64-synthface"),
    encode_steps: ENCODE = 250,
    render_steps: RENDER = 100,
    device: Annotated[Device, typer.Option(help="Where to run.")] = Device.auto,
) -> None:
    """Encode faces with a diffusion autoencoder and draw them again."""
    from facebench.commands.generating import reconstruct_command

    reconstruct_command(
        checkpoint, images, out, encode_steps=encode_steps, render_steps=render_steps, device=device.value
    )


@app.command()
def sample(
    checkpoint: Annotated[Path, typer.Argument(help="A DDIM model, or an autoencoder with --latent.")],
    out: Annotated[Path, typer.Argument(help="New folder.")],
    latent: Annotated[Path | None, typer.Option(help="Latent model of the autoencoder.")] = None,
    count: Annotated[int, typer.Option(min=1, help="How many faces.")] = 64,
    steps: Annotated[int, typer.Option(min=1, help="DDIM steps.")] = 100,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    device: Annotated[Device, typer.Option(help="Where to run.")] = Device.auto,
) -> None:
    """Make faces that do not exist."""
    from facebench.commands.generating import sample_command

    sample_command(checkpoint, latent, out, count=count, steps=steps, seed=seed, device=device.value)


@app.command()
def interpolate(
    first: Annotated[Path, typer.Argument(help="Image of a face.")],
    second: Annotated[Path, typer.Argument(help="Image of another.")],
    out: Annotated[Path, typer.Argument(help="New folder.")],
    checkpoint: CHECKPOINT = Path("diffae-64-synthface"),
    frames: Annotated[int, typer.Option(min=2, help="How many, both ends included.")] = 8,
    encode_steps: ENCODE = 250,
    render_steps: RENDER = 100,
    device: Annotated[Device, typer.Option(help="Where to run.")] = Device.auto,
) -> None:
    """Draw the faces between two faces."""
    from facebench.commands.generating import interpolate_command

    interpolate_command(
        checkpoint, first, second, out, frames=frames, encode_steps=encode_steps, render_steps=render_steps,
        device=device.value,
    )  # fmt: skip


@app.command()
def align(
    images: Annotated[Path, typer.Argument(help="Folder or manifest of photographs.")],
    out: Annotated[Path, typer.Argument(help="New folder.")],
    size: Annotated[int, typer.Option(min=16, max=4096, help="Side in pixels.")] = 256,
) -> None:
    """Cut faces out of photographs as FFHQ does."""
    from facebench.commands.generating import align_command

    align_command(images, out, size=size)


@app.command()
def generate(
    base: Annotated[
        str, typer.Argument(help="Base model: a folder in diffusers' layout, or a name in the hub cache.")
    ],
    out: Annotated[Path, typer.Argument(help="Folder; a person gets a sub-folder of it.")],
    lora: Annotated[
        Path | None, typer.Option(help="Run of `train dreambooth`; without, prior images.")
    ] = None,
    identity: Annotated[str | None, typer.Option(help="Name of the person's sub-folder.")] = None,
    prompts: Annotated[
        str, typer.Option(help="base, complex, or a text file with a prompt a line.")
    ] = "base",
    count: Annotated[int, typer.Option(min=1, help="How many images.")] = 21,
    gender: Annotated[
        str | None, typer.Option(help="A word before 'sks person', as the released script adds.")
    ] = None,
    size: Annotated[int, typer.Option(min=8, help="Side in pixels.")] = 512,
    steps: Annotated[int, typer.Option(min=1, help="Sampling steps.")] = 30,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    device: Annotated[Device, typer.Option(help="Where to run.")] = Device.auto,
) -> None:
    """Draw a person with Stable Diffusion and trained adapters."""
    from facebench.commands.personal import generate_command

    generate_command(
        base, out, lora=lora, identity=identity, prompts=prompts, count=count, gender=gender, size=size, steps=steps,
        seed=seed, device=device.value,
    )  # fmt: skip


@app.command()
def synth(
    out: Annotated[Path, typer.Argument(help="New folder to write.")],
    identities: Annotated[int, typer.Option(min=1, help="Number of people.")] = 50,
    images: Annotated[int, typer.Option(min=1, help="Images of each.")] = 8,
    size: Annotated[int, typer.Option(min=32, max=1024, help="Side in pixels.")] = 128,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 0,
    expressions: Annotated[
        str | None, typer.Option(help="Only these expressions, separated by commas.")
    ] = None,
    buffers: Annotated[
        bool, typer.Option("--buffers", help="Also write normals, albedo and shading.")
    ] = False,
    benchmark_bin: Annotated[
        list[Path] | None,
        typer.Option(
            help="Also write a verification benchmark of other people, in insightface's .bin format."
        ),
    ] = None,
    benchmark_people: Annotated[
        int, typer.Option(min=20, help="People of each benchmark; twice as many pairs.")
    ] = 300,
) -> None:
    """Render synthetic faces whose identity, expression, pose and light are known."""
    from facebench.commands.synth import benchmark_command, synth_command

    options: dict[str, Any] = {"identities": identities, "images": images, "size": size, "seed": seed}
    synth_command(
        out, expressions=expressions.split(",") if expressions else None, buffers=buffers, **options
    )
    for number, path in enumerate(benchmark_bin or []):
        start = identities + number * benchmark_people
        benchmark_command(path, people=benchmark_people, start=start, size=size, seed=seed)


@app.command()
def buffers(
    images: Annotated[Path, typer.Argument(help="Folder or manifest of faces.")],
    out: Annotated[Path, typer.Option(help="Folder to write; a stopped run goes on.")],
    source: Annotated[
        str, typer.Option(help="synthface, deca or emoca: who reads shape, expression, pose, light.")
    ] = "synthface",
    size: Annotated[int, typer.Option(min=16, max=1024, help="Side in pixels.")] = 64,
    mean_shape: Annotated[
        bool, typer.Option("--mean-shape", help="An album of one person: draw all with their mean shape.")
    ] = False,
    device: Annotated[Device, typer.Option(help="Where the networks run.")] = Device.auto,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads that draw.")] = None,
) -> None:
    """Write the physical buffers (rendering, normals, albedo) that a DiffusionRig reads."""
    from facebench.commands.buffers import buffers_command

    buffers_command(
        images, out, source=source, size=size, album=mean_shape, device=device.value, workers=workers
    )


@app.command()
def transfer(
    checkpoint: Annotated[Path, typer.Option(help="A DiffusionRig: folder of a training run, or a file.")],
    source: Annotated[Path, typer.Option(help="Images whose identity stays: folder or manifest.")],
    target: Annotated[Path, typer.Option(help="Images whose expression is taken.")],
    extractor_source: Annotated[
        str, typer.Option(help="Who reads the source: synthface, compact, deca, emoca.")
    ],
    extractor_target: Annotated[str, typer.Option(help="Who reads the target.")],
    out: Annotated[Path, typer.Option(help="Folder to write; a stopped run goes on.")],
    pairs: Annotated[
        Path | None, typer.Option(help="CSV with the columns source and target: names of images.")
    ] = None,
    take: Annotated[str, typer.Option(help="What is taken: expression, light or pose.")] = "expression",
    steps: Annotated[int, typer.Option(min=1, max=1000, help="Steps of DDIM.")] = 20,
    seed: Annotated[int, typer.Option(help="Of the noise that painting begins with.")] = 0,
    device: Annotated[Device, typer.Option(help="Where the networks run.")] = Device.auto,
) -> None:
    """Put the expression, light or pose of one face onto another with a DiffusionRig."""
    from facebench.commands.transferring import transfer_command

    transfer_command(
        checkpoint, source, target, out, extractor_source=extractor_source, extractor_target=extractor_target,
        pairs=pairs, what=take, steps=steps, seed=seed, device=device.value,
    )  # fmt: skip


@app.command()
def grid(
    path: Annotated[Path, typer.Argument(metavar="GRID.yaml", help="Factors, data, training, transfer.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder (by default runs/NAME); a stopped grid goes on.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Jobs at a time.")] = 1,
    gpus: Annotated[
        str | None, typer.Option(help="Numbers of GPUs, such as 0,1,2,3: one job at a time on each.")
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="List the commands and do nothing.")] = False,
) -> None:
    """Train, use, evaluate and compare a model for every combination of choices."""
    from facebench.commands.gridding import grid_command

    grid_command(path, out, workers=workers, gpus=gpus, show=show)


@app.command()
def degrade(
    source: Annotated[Path, typer.Argument(help="A set written by `facebench synth`.")],
    out: Annotated[Path, typer.Argument(help="New folder to write.")],
    kind: Annotated[
        str,
        typer.Option(
            help="blur, jpeg, noise, occlusion, identity_drift, expression_strength or mode_collapse."
        ),
    ],
    strength: Annotated[float, typer.Option(min=0.0, max=1.0, help="0 is none, 1 the most.")] = 0.5,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 0,
) -> None:
    """Write a copy of a synthetic set that is worse by a known amount."""
    from facebench.commands.synth import degrade_command

    degrade_command(source, out, kind=kind, strength=strength, seed=seed)


@app.command("verify-benchmark")
def verify_benchmark(
    checkpoint: Annotated[
        Path, typer.Argument(help="A run of `facebench train recognition`, or its model.safetensors.")
    ],
    data: Annotated[
        Path, typer.Option(help="Folder of NAME.bin files, or of NAME folders with pairs.txt inside.")
    ],
    benchmarks: Annotated[
        str, typer.Option(help="Names, separated by commas.")
    ] = "lfw,agedb_30,calfw,cfp_fp,cplfw",
    device: Annotated[Device, typer.Option(help="Where the network runs.")] = Device.auto,
    out: Annotated[Path | None, typer.Option(help="Write JSON: every fold, rates with intervals.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print that JSON, and nothing else, on stdout.")
    ] = False,
) -> None:
    """Ten-fold verification accuracy of a trained recogniser, with flip sum, and acceptance rates."""
    from facebench.commands.recognising import verify_command

    verify_command(checkpoint, benchmarks.split(","), data, device=device.value, out=out, as_json=as_json)


@app.command()
def utility(
    generated: Annotated[Path, typer.Argument(help="Generated faces: identity folders, or a manifest.")],
    changes: Annotated[list[str] | None, typer.Argument(help="Changes of the training's settings.")] = None,
    data: Annotated[Path, typer.Option(help="Folder of the benchmarks.")] = Path("benchmarks"),
    benchmarks: Annotated[
        str, typer.Option(help="Names, separated by commas.")
    ] = "lfw,agedb_30,calfw,cfp_fp,cplfw",
    validation: Annotated[
        str, typer.Option(help="The one that chooses the epoch and stays out of the average.")
    ] = "lfw",
    config: Annotated[str, typer.Option(help="Preset or YAML file of the training.")] = "resnet18-cosface",
    seeds: Annotated[int, typer.Option(min=1, help="How many trainings.")] = 3,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; what it holds goes on.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the model in tables.")] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="What the model is.")] = None,
    device: Annotated[Device, typer.Option(help="Where to train.")] = Device.auto,
) -> None:
    """Train recognisers on generated faces and verify them on real ones: what the faces are good for."""
    from facebench.commands.recognising import utility_command
    from facebench.inputs import tags_of

    utility_command(
        generated,
        changes or [],
        data=data,
        benchmarks=benchmarks.split(","),
        validation=validation,
        config=config,
        seeds=seeds,
        out=out,
        name=name,
        tags=tags_of(tag),
        device=device.value,
    )
