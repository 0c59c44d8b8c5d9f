"""The page of preferences in a real browser: answers become a file that `read_ratings` reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser

from facebench.studies.ratings import read_ratings
from tests.cli.conftest import succeed

NAMES = ("a, b.png", '"quoted".png', "=1+1.png", "顔.png")


def test_answers_are_saved_and_survive_a_reload(browser: Browser, tmp_path: Path) -> None:
    for grey, name in enumerate(NAMES):
        Image.fromarray(np.full((16, 16, 3), 40 * grey, np.uint8)).save(tmp_path / name)
    page_file = tmp_path / "study" / "page.html"
    succeed("study", "ratings", tmp_path, page_file, "--question", "Which is brighter?", "--pairs", 6)
    context = browser.new_context(accept_downloads=True)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text))
    page.goto(page_file.as_uri())
    brightness = (
        "image => { const c = document.createElement('canvas').getContext('2d'); c.drawImage(image, 0, 0);"
    )
    brightness += " return c.getImageData(0, 0, 1, 1).data[0]; }"
    for _ in range(3):
        left, right = (page.locator(f"#{side}-image").evaluate(brightness) for side in ("left", "right"))
        page.keyboard.press("ArrowLeft" if left > right else "ArrowRight")
    page.reload()
    assert page.locator("#position").inner_text() == "Pair 4 of 6"
    page.click("#left")
    page.keyboard.press("Backspace")
    page.keyboard.press("ArrowDown")
    for _ in range(2):
        left, right = (page.locator(f"#{side}-image").evaluate(brightness) for side in ("left", "right"))
        page.click("#left" if left > right else "#right")
    assert "All 6 pairs are answered" in page.locator("#position").inner_text()
    with page.expect_download() as download:
        page.click("#save")
    saved = tmp_path / "ratings.csv"
    download.value.save_as(saved)
    context.close()
    assert problems == []
    ratings = read_ratings(saved)
    assert ratings.kind == "pairs"
    assert len(ratings.rows) == 5  # six pairs, one of them undecided
    order = {name: place for place, name in enumerate(NAMES)}
    assert all(order[row.preferred] > order[row.rejected] for row in ratings.rows.itertuples())
