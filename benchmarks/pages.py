"""Report and leaderboard pages in Chromium: seconds to write, size, time until interactive, time of each action.

    python benchmarks/pages.py report --images 1000 2000
    python benchmarks/pages.py board --runs 1000 [--record RUN]

`report` makes two sets of faces (the second one blurred), evaluates both, writes one report of them, and uses its
image browser. One in eight faces is rendered; the others are shifted and mirrored copies. `board` writes the
leaderboard of many records that vary around one. An action ends when the next frame is painted and its images are
decoded. `tools/browser.sh` finds or installs Chromium.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image as Pillow
from PIL import ImageChops, ImageFilter, ImageOps
from playwright.sync_api import Page, sync_playwright
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from facebench import evaluate, synthface  # noqa: E402
from facebench.compare.leaderboard import Leaderboard  # noqa: E402
from facebench.evaluation.record import Run, load_run  # noqa: E402
from facebench.report.pages.run import report_page  # noqa: E402

PEOPLE, COPIES = 25, 8
"""Number of rendered people, and of copies of each rendered face."""
METRICS = ["jpeg_quality"]
"""The report reads images and tables; its time does not depend on the networks."""
REPEATS = 5
PAINTED = """() => new Promise((done) => requestAnimationFrame(() => setTimeout(async () => {
  const shown = [...document.images].filter((image) => {
    const box = image.getBoundingClientRect();
    return box.width && box.bottom > 0 && box.top < innerHeight;
  });
  await Promise.all(shown.map((image) => image.decode().catch(() => null)));
  requestAnimationFrame(() => setTimeout(() => done(performance.now())));
})))"""
"""Resolves when the next frame is painted and the images of the window are decoded."""
ACTION = f"""async ([code, argument]) => {{
  const start = performance.now();
  new Function("argument", code)(argument);
  return await ({PAINTED})() - start;
}}"""
FIELD = """const [name, value] = argument;
const field = document.querySelector("form.rows, .browser form").elements[name];
field.value = value;
field.dispatchEvent(new Event("input", {bubbles: true}));"""
CLICK = "document.querySelector(argument).click();"
REPORT_ACTIONS = {
    "sort by a number": [(FIELD, ["sort", "0"]), (FIELD, ["order", "down"])],
    "filter by a number": [(FIELD, ["low", "0.001"]), (FIELD, ["low", ""])],
    "filter by a person": [(FIELD, ["column0", "{first}"]), (FIELD, ["column0", ""])],
    "search": [(FIELD, ["search", "00"]), (FIELD, ["search", ""])],
    "enlarge": [(CLICK, ".browser-card button"), (CLICK, "dialog .close")],
}
BOARD_ACTIONS = {
    "sort by a number": [(CLICK, "thead th.number button")] * 2,
    "sort by name": [(CLICK, "thead th button")] * 2,
    "search": [(FIELD, ["search", "model 1"]), (FIELD, ["search", ""])],
    "filter by a tag": [(FIELD, ["base", "b"]), (FIELD, ["base", ""])],
    "all columns": [(CLICK, "button[data-columns=all]"), (CLICK, "button[data-columns=first]")],
    "all models": [(CLICK, "button.more")],
}


@contextmanager
def chromium() -> Iterator[Page]:
    """Open a window of 1300 x 900 pixels."""
    found = subprocess.run(
        ["bash", str(ROOT / "tools" / "browser.sh")], capture_output=True, text=True, check=True
    )
    arguments = ["--no-sandbox"] if os.getuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found.stdout.strip(), args=arguments)
        yield browser.new_page(viewport={"width": 1300, "height": 900})
        browser.close()


def render(folder: Path, images: int) -> list[Path]:
    """Make a set of faces, and a blurred copy."""
    rendered = folder / "rendered"
    synthface.write(rendered, identities=PEOPLE, images=images // (PEOPLE * COPIES), size=128, seed=0)
    rows = pd.read_csv(rendered / "manifest.csv", dtype=str)
    sets = [folder / "ours", folder / "blurred"]
    for place, target in enumerate(sets):
        tables = []
        for copy in range(COPIES):
            names = []
            for name in rows["image"]:
                face = Pillow.open(rendered / name)
                face = ImageOps.mirror(face) if copy % 2 else face
                face = ImageChops.offset(face, copy, 0)
                names.append(name.replace(".png", f"-{copy}.png"))
                (target / names[-1]).parent.mkdir(parents=True, exist_ok=True)
                face.filter(ImageFilter.GaussianBlur(3 * place)).save(target / names[-1])
            tables.append(rows.assign(image=names))
        pd.concat(tables).to_csv(target / "manifest.csv", index=False)
    return sets


def evaluated(folder: Path, images: int) -> list[Run]:
    """Evaluate the two sets of a folder, and read the records as `facebench report` does."""
    runs = []
    for faces in render(folder, images):
        run = evaluate(faces / "manifest.csv", protocol="quality", metrics=METRICS, name=faces.name)
        run.save(folder / "runs" / faces.name)
        runs.append(load_run(folder / "runs" / faces.name))
    return runs


def many_runs(folder: Path, count: int, record: str | None) -> list[Run]:
    """Return records that vary around a record; by default around a small evaluation of the compact suite."""
    if record is None:
        sets = render(folder, 2 * PEOPLE * COPIES)
        first = evaluate(sets[0], reference=sets[1], suite="compact", name="model")
    else:
        first = load_run(record)
    rng = np.random.default_rng(0)
    runs = []
    for number in range(count):
        run = first.model_copy(deep=True)
        run.name, run.created = f"model {number}", first.created + timedelta(minutes=number)
        run.tags = {"base": "abc"[number % 3], "prompt": ("simple", "complex")[number % 2]}
        for result in run.metrics.values():
            if result.value is not None:
                change = float(rng.normal(0, 0.1 * abs(result.value)))
                result.value += change
                if result.low is not None and result.high is not None:
                    result.low, result.high = result.low + change, result.high + change
        runs.append(run)
    return runs


Taken = dict[str, list[tuple[float, float]]]
"""Milliseconds of each action: elapsed, and CPU time of the page's main thread."""


def use(page: Page, file: Path, actions: dict[str, list[tuple[str, object]]]) -> Taken:
    """Open a page several times, and return the time until it is usable and of each action."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})

    def cpu() -> float:
        metrics = devtools.send("Performance.getMetrics")["metrics"]
        return 1000 * next(each["value"] for each in metrics if each["name"] == "TaskDuration")

    taken: Taken = {"interactive": []}
    for _ in range(REPEATS):
        page.goto("about:blank")
        before = cpu()
        page.goto(file.as_uri(), wait_until="commit")
        page.wait_for_load_state("load")
        taken["interactive"].append((page.evaluate(PAINTED), cpu() - before))
        for name, steps in actions.items():
            for code, argument in steps:
                if argument == ["column0", "{first}"]:
                    first = "document.querySelector('.browser [name=column0] option:nth-child(2)').value"
                    argument = ["column0", page.evaluate(first)]
                before = cpu()
                elapsed = page.evaluate(ACTION, [code, argument])
                taken.setdefault(name, []).append((elapsed, cpu() - before))
    return taken


def print_measured(title: str, facts: dict[str, str], taken: Taken) -> None:
    table = Table("what", "value", "largest", "CPU time of the page", title=title)
    for name, value in facts.items():
        table.add_row(name, value, "", "")
    for name, values in taken.items():
        elapsed, cpu = zip(*values, strict=True)
        largest, median = max(elapsed), statistics.median(elapsed)
        table.add_row(name, f"{median:.0f} ms", f"{largest:.0f} ms", f"{statistics.median(cpu):.0f} ms")
    Console(width=100).print(table)


def seconds(start: float, cpu: float) -> str:
    return f"{time.perf_counter() - start:.1f} s, {time.process_time() - cpu:.1f} s of CPU time"


def megabytes(file: Path) -> str:
    return f"{file.stat().st_size / 1e6:.1f} MB"


def measure_report(page: Page, work: Path, images: int) -> None:
    runs = evaluated(work, images)
    file = work / "report" / "index.html"
    start, cpu = time.perf_counter(), time.process_time()
    text = report_page(runs, "en", file.parent)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    facts = {"written in": seconds(start, cpu), "page": megabytes(file)}
    thumbnails = list((file.parent / "thumbnails").glob("*"))
    if thumbnails:
        size = sum(each.stat().st_size for each in thumbnails)
        facts["thumbnails"] = f"{len(thumbnails):,} files, {size / 1e6:.1f} MB"
    print_measured(f"report of 2 x {images:,} images", facts, use(page, file, REPORT_ACTIONS))


def measure_board(page: Page, work: Path, count: int, record: str | None) -> None:
    runs = many_runs(work, count, record)
    work.mkdir(parents=True, exist_ok=True)
    file = work / "board.html"
    start, cpu = time.perf_counter(), time.process_time()
    Leaderboard.from_runs(runs).to_html(file)
    facts = {"written in": seconds(start, cpu), "page": megabytes(file)}
    facts["metrics"] = str(len(runs[0].metrics))
    print_measured(f"leaderboard of {count:,} runs", facts, use(page, file, BOARD_ACTIONS))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=["report", "board"])
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 2000], help="images of each set")
    parser.add_argument("--runs", type=int, nargs="+", default=[1000])
    parser.add_argument("--record", help="run that the boards vary around")
    arguments = parser.parse_args()
    with chromium() as page, tempfile.TemporaryDirectory() as folder:
        for size in arguments.images if arguments.part == "report" else ():
            measure_report(page, Path(folder) / str(size), size)
        for size in arguments.runs if arguments.part == "board" else ():
            measure_board(page, Path(folder) / str(size), size, arguments.record)


if __name__ == "__main__":
    main()
