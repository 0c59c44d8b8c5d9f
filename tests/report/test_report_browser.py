"""Pages opened from disk in a real browser."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from facebench.compare.leaderboard import Leaderboard
from facebench.evaluation.record_reading import load_run
from facebench.report.pages.run import report_page
from tests.helpers.paths import REPOSITORY
from tests.helpers.records import make_run
from tests.helpers.run_folders import HOSTILE, make_report_run
from tests.helpers.transfer_runs import EXPRESSION, PERSON, make_transfer_run, with_closest, with_groups

ROOT = REPOSITORY


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    runs = [
        make_report_run(folder, "ours"),
        make_report_run(folder, "<img src=x onerror=alert(2)>", seed=1, shift=0.5),
    ]
    file = folder / "report.html"
    file.write_text(report_page(runs), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def transfers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("transfers")
    runs = [
        with_closest(with_groups(make_transfer_run(folder, "ours"))),
        make_transfer_run(folder, "theirs", share=0.2, seed=1),
    ]
    file = folder / "report.html"
    file.write_text(report_page(runs, "ja"), encoding="utf-8")
    return file


class Opened:
    """A page that records console messages, errors, dialogs and failed requests."""

    def __init__(self, page: Page, file: Path) -> None:
        self.page = page
        self.problems: list[str] = []
        page.on("console", lambda message: self.problems.append(message.text))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("dialog", lambda dialog: (self.problems.append(dialog.message), dialog.dismiss()))
        page.on("requestfailed", lambda request: self.problems.append(request.url))
        page.goto(file.as_uri())


def column(page: Page, table: str, place: int) -> list[str]:
    return page.locator(f"{table} tbody tr td:nth-child({place})").all_inner_texts()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 390)])
def test_the_report_opens_from_disk_without_errors_and_fits(
    browser: Browser, report: Path, tmp_path: Path, scheme: str, width: int
) -> None:
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    opened = Opened(context.new_page(), report)
    page = opened.page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    picture = tmp_path / f"{scheme}-{width}.png"
    page.screenshot(path=picture, full_page=True)
    assert picture.stat().st_size > 50_000
    style = page.evaluate(
        "(({color, backgroundColor}) => [color, backgroundColor])(getComputedStyle(document.body))"
    )
    ink, paper = (sum(int(part) for part in re.findall(r"\d+", colour)[:3]) for colour in style)
    assert (ink < paper) is (scheme == "light")
    label = page.locator("figure.plot svg text").first
    assert label.evaluate("element => getComputedStyle(element).fill") == style[0]
    assert opened.problems == []
    context.close()


@pytest.mark.parametrize(("scheme", "width"), [("dark", 1280), ("light", 390)])
def test_the_page_of_a_transfer_fits_and_its_heat_maps_are_readable(
    browser: Browser, transfers: Path, tmp_path: Path, scheme: str, width: int
) -> None:
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    opened = Opened(context.new_page(), transfers)
    page = opened.page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    assert page.locator("table.heat tbody th", has_text=PERSON).count() > 0
    assert page.locator("table.heat thead th", has_text=EXPRESSION).count() > 0
    assert page.locator(".numbered li", has_text=EXPRESSION).count() > 0
    worst = page.locator("table.heat td.worse").first
    ink, behind = worst.evaluate(
        "(cell) => (({color, backgroundColor}) => [color, backgroundColor])(getComputedStyle(cell))"
    )
    assert ink != behind
    images = page.locator("figure.image-group img")
    assert images.evaluate_all("images => images.length > 10 && images.every((i) => i.naturalWidth > 0)")
    assert opened.problems == []
    context.close()


def test_a_heat_map_is_sorted_by_a_click(browser: Browser, transfers: Path) -> None:
    page = Opened(browser.new_page(), transfers).page
    table = page.locator("table.heat").first
    table.locator("th", has_text="sad").click()
    shown = [float(text) for text in table.locator("tbody td:nth-child(4)").all_inner_texts()]
    assert shown == sorted(shown)


def test_the_keyboard_enlarges_images_and_returns_to_the_one_that_was_opened(
    browser: Browser, report: Path
) -> None:
    opened = Opened(browser.new_page(), report)
    page = opened.page
    dialog = page.locator("dialog[open]")
    title = dialog.locator("h3")
    cards = page.locator(".browser-card button")
    cards.nth(1).focus()
    page.keyboard.press("Enter")
    second = title.inner_text()
    assert page.evaluate("document.querySelector('dialog').contains(document.activeElement)")
    page.keyboard.press("ArrowLeft")
    first = title.inner_text()
    assert first != second
    page.keyboard.press("ArrowLeft")
    assert title.inner_text() == first, "nothing is before the first image"
    page.keyboard.press("ArrowRight")
    assert title.inner_text() == second
    page.keyboard.press("Escape")
    assert dialog.count() == 0
    assert cards.nth(1).evaluate("(button) => button === document.activeElement")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert title.inner_text() not in (first, second), "the third image"
    for _ in range(4):
        page.keyboard.press("Tab")
        focus = page.evaluate_handle("document.activeElement").as_element()
        assert focus.evaluate("(element) => element.matches('body, dialog, dialog *')")
    assert opened.problems == []


def test_a_hostile_file_name_shows_as_text(browser: Browser, report: Path) -> None:
    opened = Opened(browser.new_page(), report)
    page = opened.page
    assert page.locator("figure.thumb figcaption", has_text=HOSTILE).count() >= 1
    assert page.locator('img[src="x"]').count() == 0
    assert page.locator("h1").inner_text() == "ours · <img src=x onerror=alert(2)>"
    shown = page.locator("figure.thumb img")
    assert shown.count() > 0
    assert shown.evaluate_all("images => images.every((i) => i.complete && i.naturalWidth > 0)")
    assert opened.problems == []


def test_a_click_sorts_and_a_second_click_reverses_the_order(browser: Browser, report: Path) -> None:
    page = Opened(browser.new_page(), report).page
    table = "#differences1 table"
    before = column(page, table, 4)
    page.locator(f"{table} th", has_text="Difference").click()
    ascending = [float(text.split()[0]) for text in column(page, table, 4)]
    assert ascending == sorted(ascending)
    assert len(ascending) == len(before)
    page.locator(f"{table} th button", has_text="Difference").press("Enter")
    assert [float(text.split()[0]) for text in column(page, table, 4)] == ascending[::-1]
    assert page.locator(f"{table} th[aria-sort]").count() == 1


def test_cells_without_a_value_are_last_in_both_orders(browser: Browser, tmp_path: Path) -> None:
    runs = [make_run("none", fd_lite0=None), make_run("b", fd_lite0=10.0), make_run("a", fd_lite0=9.0)]
    file = tmp_path / "board.html"
    Leaderboard.from_runs(runs).to_html(file)
    page = Opened(browser.new_page(), file).page
    heading = page.locator("th", has_text="FD (Lite0)")
    heading.click()
    assert column(page, "table", 1) == ["a", "b", "none"]
    heading.click()
    assert column(page, "table", 1) == ["b", "a", "none"]


def test_the_leaderboard_filters_and_links_to_the_reports(browser: Browser, tmp_path: Path) -> None:
    run = make_report_run(tmp_path, "a ours")
    folder = run.save(tmp_path / "runs" / "a #1 ?").parent
    (folder / "report").mkdir()
    (folder / "report" / "index.html").write_text(report_page([run]), encoding="utf-8")
    other = make_run("b theirs", fd_lite0=1.0).model_copy(update={"suite": "paper"})
    Leaderboard.from_runs([load_run(folder), other]).to_html(tmp_path / "site")
    opened = Opened(browser.new_page(), tmp_path / "site" / "index.html")
    page = opened.page
    assert page.locator("section:visible").count() == 2
    page.select_option("select[name=suite]", "paper")
    assert page.locator("section:visible caption").all_inner_texts() == [
        "quality · paper · data reference · n = 2000"
    ]
    page.select_option("select[name=suite]", "")
    page.select_option("select[name=dataset]", "reference")
    assert page.locator("section:visible").count() == 2
    page.locator("table a").click()
    assert page.locator("h1").inner_text() == "a ours"
    assert opened.problems == []


def test_a_model_with_several_runs_has_one_row_with_its_history(browser: Browser, tmp_path: Path) -> None:
    runs = []
    for day, value in enumerate((3.0, 2.0, 2.5), start=1):
        created = datetime(2026, 1, day, tzinfo=timezone.utc)
        run = make_run("ours <b>", fd_lite0=value).model_copy(update={"created": created})
        folder = run.save(tmp_path / "runs" / str(day)).parent
        (folder / "report").mkdir()
        (folder / "report" / "index.html").write_text(f"<h1>day {day}</h1>", encoding="utf-8")
        runs.append(folder)
    Leaderboard.from_runs([*runs, make_run("theirs", fd_lite0=9.0)]).to_html(tmp_path / "site")
    context = browser.new_context(color_scheme="dark", viewport={"width": 390, "height": 800})
    opened = Opened(context.new_page(), tmp_path / "site" / "index.html")
    page = opened.page
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert column(page, "table", 1) == ["ours <b>", "theirs"]
    assert page.locator("svg.spark").count() == 1
    label = page.locator("svg.spark").get_attribute("aria-label")
    assert label == "2026-01-01 00:00: 3, 2026-01-02 00:00: 2, 2026-01-03 00:00: 2.5"
    assert page.locator("svg.spark polyline").bounding_box()["width"] > 40
    assert page.locator(".links a").all_inner_texts() == [
        "ours <b>, 2026-01-02 00:00",
        "ours <b>, 2026-01-01 00:00",
    ]
    page.locator("table a").click()
    assert page.locator("h1").inner_text() == "day 3"
    assert opened.problems == []
    context.close()


def test_on_a_phone_the_board_scrolls_below_a_first_column_that_stays(
    browser: Browser, tmp_path: Path
) -> None:
    runs = [
        make_run(name, fd_lite0=1.0, recall_lite0=0.5, precision_lite0=0.5) for name in ("ours", "theirs")
    ]
    for run in runs:
        run.tags.update(base="SD-2.1", prompt="Complex")
    Leaderboard.from_runs(runs).to_html(tmp_path / "site")
    context = browser.new_context(viewport={"width": 390, "height": 800})
    page = Opened(context.new_page(), tmp_path / "site" / "index.html").page
    page.evaluate("document.querySelector('.scroll').scrollLeft = 10000")
    assert page.evaluate("document.querySelector('.scroll').scrollLeft") > 100
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator("tbody td").first.bounding_box()["x"] >= 0
