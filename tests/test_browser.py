"""The app in a real browser, as a visitor uses it. Without a browser these fail in CI, and skip elsewhere."""

import os
import shutil
import struct
import time
import zlib
from collections.abc import Iterator

import pytest
from app_server import CONTENT, address

import nstlib

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
try:
    from playwright.sync_api import Page, expect, sync_playwright
except ImportError:
    CHROMIUM = None
if CHROMIUM is None and os.environ.get("CI", "").lower() not in ("1", "true"):
    pytest.skip("no browser: needs the playwright package and chromium", allow_module_level=True)

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]
HEAD = b"IHDR\0\0\x4e\x20\0\0\x4e\x20\x08\2\0\0\0"  # a PNG of 20000 x 20000 px, and nothing in it
HUGE = b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + HEAD + struct.pack(">I", zlib.crc32(HEAD)) + bytes(50)
WAIT = 60_000  # ms: a busy machine serves the page slowly


@pytest.fixture(scope="module")
def browser():
    assert CHROMIUM, "CI must have a browser and the playwright package"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser) -> Iterator["Page"]:
    """The loaded page; afterwards, nothing may have gone wrong unseen."""
    page, troubles = browser.new_page(viewport={"width": 1280, "height": 900}), []
    page.set_default_timeout(WAIT)
    expect.set_options(timeout=WAIT)
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on(
        "request", lambda r: None if "127.0.0.1" in r.url or ":" not in r.url[:8] else _outside(r, troubles)
    )
    page.goto(address())
    expect(page.locator("#stylize-start")).to_be_visible()
    yield page
    page.close()
    assert troubles == []


def _outside(request, troubles: list[str]) -> None:
    if request.url.startswith("http"):
        troubles.append(f"asked another host: {request.url}")


def settings(page: "Page", **values: int) -> None:
    """Fills number fields of the controls, by element id."""
    if not page.locator("#iterations input").is_visible():
        page.get_by_role("button", name="More settings").click()
    for name, value in values.items():
        field = page.locator(f"#{name} input[type=number]")
        field.fill(str(value))
        field.press("Tab")


def source(page: "Page") -> str | None:
    return page.evaluate("document.querySelector('#result img')?.src ?? null")


def pixels(page: "Page", source: str) -> bytes:
    return page.request.get(source).body()


def test_a_visitor_sees_it_form_stops_it_and_takes_it_home(page, tmp_path):
    page.locator("#contents-examples button").nth(1).click()
    settings(page, size=96, iterations=3000, seed=7)
    page.locator("#stylize-start").click()
    seen: dict[str, bytes] = {}
    deadline = time.monotonic() + 30
    while len(seen) < 3 and time.monotonic() < deadline:
        if (current := source(page)) and current not in seen:
            seen[current] = pixels(page, current)
        page.wait_for_timeout(50)
    assert len(set(seen.values())) >= 3, "three different previews"
    expect(page.locator("#status")).to_contain_text("of 3000")
    page.locator("#stylize-stop").click()
    expect(page.locator("#status")).to_contain_text("Stopped at step", timeout=5000)
    expect(page.locator("#stylize-start")).to_be_visible()
    assert source(page), "the last picture stays"
    with page.expect_download() as download:
        page.locator("#download").click()
    download.value.save_as(tmp_path / "mine.png")
    assert download.value.suggested_filename.endswith("-waves-linear.png")
    recipe = nstlib.read_recipe(tmp_path / "mine.png")
    assert recipe["settings"]["seed"] == 7 and recipe["settings"]["size"] == 96
    assert 0 < recipe["step"] < 3000


def test_a_short_run_ends_and_its_result_becomes_the_next_content(page):
    settings(page, size=96, iterations=12)
    page.locator("#stylize-start").click()
    expect(page.locator("#status")).to_contain_text("Done: 12 steps")
    page.locator("#again").click()
    expect(page.locator("#contents img").first).to_have_attribute("src", source(page))


def test_a_broken_upload_is_explained(page, tmp_path):
    fake = tmp_path / "holiday.png"
    fake.write_text("not a picture")
    page.locator("#contents").get_by_label("Remove Image").or_(
        page.locator("#contents button[title*=lear]")
    ).first.click()
    page.locator("#contents input[type=file]").set_input_files(fake)
    expect(page.locator("#status")).to_contain_text("Cannot read holiday.png as an image")
    page.locator("#stylize-start").click()
    expect(page.locator("#status")).to_contain_text("Choose a content picture first")


def test_a_broken_upload_after_a_good_one_is_explained_too(page, tmp_path):
    clear = (
        page.locator("#contents")
        .get_by_label("Remove Image")
        .or_(page.locator("#contents button[title*=lear]"))
    )
    for name, words in (("holiday.png", "Cannot read holiday.png as an image"), ("huge.png", "huge.png")):
        clear.first.click()
        page.locator("#contents input[type=file]").set_input_files(CONTENT)
        expect(page.locator("#contents img").first).to_be_visible()
        clear.first.click()
        bad = tmp_path / name
        bad.write_bytes(b"no picture" if name == "holiday.png" else HUGE)
        page.locator("#contents input[type=file]").set_input_files(bad)
        expect(page.locator("#status")).to_contain_text(words)
        assert "/tmp" not in page.locator("#status").inner_text()
        page.locator("#contents input[type=file]").set_input_files(CONTENT)
        expect(page.locator("#contents img").first).to_be_visible()
    settings(page, size=96, iterations=4)
    page.locator("#stylize-start").click()
    expect(page.locator("#status")).to_contain_text("Done: 4 steps")


def test_compare_fills_its_grid(page, tmp_path):
    settings(page, size=64, iterations=10)
    page.get_by_role("tab", name="Compare", exact=True).click()
    expect(page.locator("#compare-grid img")).to_have_count(0)
    page.locator("#compare-start").click()
    expect(page.locator("#compare-status")).to_contain_text("Done in")
    pictures = page.locator("#compare-grid img")
    expect(pictures).to_have_count(6)
    assert len({pictures.nth(i).get_attribute("src") for i in range(6)}) == 6
    assert all(pictures.nth(i).get_attribute("alt") for i in range(6))
    with page.expect_download() as download:
        page.locator("#compare-download").click()
    download.value.save_as(tmp_path / "sheet.png")
    assert len(nstlib.read_recipe(tmp_path / "sheet.png")["cells"]) == 4


def test_the_idea_follows_the_method_and_shows_its_formula(page):
    page.get_by_role("tab", name="The idea", exact=True).click()
    expect(page.locator("#idea .katex").first).to_be_visible()
    page.get_by_label("Gaussian").check()
    expect(page.locator("#idea h2")).to_have_text("Gaussian")


def test_live_follows_every_change_and_refine_goes_on_from_it(page):
    settings(page, size=96)
    page.get_by_role("tab", name="Live", exact=True).click()
    picture, status = page.locator("#live img"), page.locator("#live-status")
    expect(picture).to_be_visible()
    expect(status).to_contain_text("One pass: 96 × 72 px")
    seen = [picture.get_attribute("src")]
    for change in ("strength", "method", "style"):
        if change == "strength":
            page.locator("#strength input[type=number]").fill("0.5")
            page.keyboard.press("Tab")
        elif change == "method":
            page.get_by_label("Batch-norm statistics").check()
        else:
            page.locator("#styles-examples button").nth(2).click()
        expect(picture).not_to_have_attribute("src", seen[-1])
        seen.append(picture.get_attribute("src"))
    assert len({pixels(page, address_of) for address_of in seen}) == 4
    expect(status).to_contain_text("bn")
    page.locator("#refine").click()
    expect(page.locator("#stylize-start")).to_be_visible()  # the run is Stylize's, with its preset
    expect(page.locator("#status")).to_contain_text("Done: 12 steps")
    expect(page.locator("#preset input")).to_have_value("polish")


def test_two_visitors_wait_for_each_other_and_one_may_leave(page, browser):
    settings(page, size=96, iterations=2000)
    page.locator("#stylize-start").click()
    expect(page.locator("#stylize-stop")).to_be_visible()
    other = browser.new_page()
    other.goto(address())
    other.locator("#stylize-start").click()
    expect(other.locator("#status")).to_contain_text("queue: 1/1")
    assert other.evaluate("document.querySelector('#result img')") is None
    other.locator("#stylize-leave").click()
    expect(other.locator("#status")).to_contain_text("Nothing was started")
    expect(other.locator("#stylize-start")).to_be_visible()
    other.close()
    page.locator("#stylize-stop").click()
    expect(page.locator("#status")).to_contain_text("Stopped at step")


def test_a_closed_tab_gives_its_place_away(page, browser):
    leaver = browser.new_page()
    leaver.goto(address())
    settings(leaver, size=96, iterations=2000)
    leaver.locator("#stylize-start").click()
    expect(leaver.locator("#stylize-stop")).to_be_visible()
    leaver.close()
    settings(page, size=96, iterations=10)
    page.locator("#stylize-start").click()
    expect(page.locator("#status")).to_contain_text("Done: 10 steps", timeout=20_000)


def test_the_gamma_slider_is_logarithmic_and_the_preset_fills_the_controls(page):
    slider, number = page.locator("#gamma-slider input[type=range]"), page.locator("#gamma input")
    slider.focus()
    for _ in range(15):  # 0.3 decades
        page.keyboard.press("ArrowRight")
    expect(number).to_have_value("2")
    number.fill("0.1")
    number.press("Tab")
    expect(slider).to_have_value("-1")
    page.locator("#preset input").click()
    page.get_by_role("option", name="draft").click()
    expect(number).to_have_value("1")
    expect(slider).to_have_value("0")
    page.get_by_role("button", name="More settings").click()
    expect(page.locator("#iterations input")).to_have_value(str(nstlib.PRESETS["draft"].iterations))


def test_a_phone_needs_no_sideways_scrolling_and_nothing_jumps_while_it_streams(browser):
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(address())
    expect(page.locator("#stylize-start")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    settings(page, size=96, iterations=600)
    page.locator("#stylize-start").click()
    expect(page.locator("#result img")).to_be_visible()
    place = "document.querySelector('#curve').getBoundingClientRect().top + scrollY"
    before = page.evaluate(place)
    page.wait_for_timeout(1500)
    assert abs(page.evaluate(place) - before) <= 1
    page.locator("#stylize-stop").click()
    page.close()
