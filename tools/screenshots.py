"""Screenshots of the docs: `python -m tools.screenshots [FOLDER]` writes docs/screens.

Three sets of rendered faces are evaluated against a fourth one. Their report, its image browser and their leaderboard
are drawn by Chromium in English and Japanese, light and dark, at two widths. The runs are kept in FOLDER.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from facebench import Leaderboard, Run, evaluate, load_run, synthface
from facebench.core.language import use_language
from facebench.report.pages.run import report_page

ROOT = Path(__file__).parents[1]
SCREENS = ROOT / "docs" / "screens"
LANGUAGES, SCHEMES, WIDTHS = ("en", "ja"), ("light", "dark"), (1300, 390)
HEIGHT = 900
QUALITY = 60
DEGRADED = {"blurred": ("blur", 0.35), "collapsed": ("mode_collapse", 0.6)}
PARTS = {"report": None, "images": ".browser", "board": None}
"""Pages, with the element that is scrolled into view."""


def evaluated(folder: Path) -> list[Run]:
    """Render and evaluate the sets; runs that exist are read."""
    runs = []
    for name, seed in (("reference", 1), ("ours", 2)):
        if not (folder / name).exists():
            synthface.write(folder / name, identities=16, images=5, size=128, seed=seed)
    for name, (kind, strength) in DEGRADED.items():
        if not (folder / name).exists():
            synthface.degrade(folder / name, folder / "ours", kind, strength)
    for name in ("ours", *DEGRADED):
        out = folder / "runs" / name
        if not out.exists():
            tags = {"kind": "as rendered" if name == "ours" else DEGRADED[name][0]}
            run = evaluate(
                folder / name / "manifest.csv",
                reference=folder / "reference" / "manifest.csv",
                suite="compact",
                name=name,
            )
            run.tags.update(tags)
            run.save(out)
        runs.append(load_run(out))
    return runs


def pages(folder: Path, runs: list[Run]) -> dict[str, Path]:
    """Write the report of the first two runs and the board of all, in each language."""
    files = {}
    for lang in LANGUAGES:
        with use_language(lang):
            texts = {"report": report_page(runs[:2], lang), "board": Leaderboard.from_runs(runs).to_html()}
        for name, text in texts.items():
            files[f"{name}-{lang}"] = folder / f"{name}-{lang}.html"
            files[f"{name}-{lang}"].write_text(text, encoding="utf-8")
    files["images-en"] = files["report-en"]
    return files


def screenshot(browser: Browser, file: Path, part: str, width: int, scheme: str) -> Image.Image:
    """Draw the first window of a page, or the window that begins at a part of it."""
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": HEIGHT})
    page = context.new_page()
    page.goto(file.as_uri())
    element = PARTS[part]
    if element is not None:
        page.locator(element).first.evaluate("(element) => element.scrollIntoView({block: 'start'})")
        page.wait_for_timeout(200)
    content = page.screenshot()
    context.close()
    return Image.open(io.BytesIO(content)).convert("RGB")


def printed_by(tool: str) -> str:
    """Return what a tool prints; it may install what it looks for."""
    command = ["bash", str(ROOT / "tools" / tool)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def main() -> int:
    """Write all screenshots; needs Chromium and a Japanese font."""
    chromium = printed_by("browser.sh")
    print(f"Japanese font: {printed_by('japanese_font.sh')}")
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    files = pages(folder, evaluated(folder))
    SCREENS.mkdir(exist_ok=True)
    for old in SCREENS.iterdir():
        old.unlink()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"] if os.getuid() == 0 else []
        )
        for name, file in files.items():
            part = name.partition("-")[0]
            for width in WIDTHS:
                for scheme in SCHEMES if part != "images" else SCHEMES[:1]:
                    picture = screenshot(browser, file, part, width, scheme)
                    picture.save(SCREENS / f"{name}-{width}-{scheme}.webp", quality=QUALITY, method=6)
        browser.close()
    size = sum(file.stat().st_size for file in SCREENS.iterdir())
    print(f"wrote {len(list(SCREENS.iterdir()))} files of {size / 1e3:.0f} kB to {SCREENS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
