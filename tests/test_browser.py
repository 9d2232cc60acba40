"""The app in a real browser, as a user uses it. Without a browser these fail in CI, and skip elsewhere."""

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
WAIT = 120_000  # ms: a busy machine serves the page slowly


@pytest.fixture(scope="module")
def browser():
    assert CHROMIUM, "CI must have a browser and the playwright package"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        expect.set_options(timeout=WAIT)
        yield chromium
        chromium.close()


def new_page(browser, **options: object) -> "Page":
    page = browser.new_page(**options)
    page.set_default_timeout(WAIT)
    return page


@pytest.fixture
def page(browser) -> Iterator["Page"]:
    """The loaded page; afterwards, nothing may have gone wrong unseen."""
    page, troubles = new_page(browser, viewport={"width": 1280, "height": 900}), []
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


def says(page: "Page", words: str) -> None:
    """Waits until the caption under the result has these words."""
    expect(page.locator("#caption")).to_contain_text(words)


def choose(page: "Page", preset: str) -> None:
    page.locator("#preset input").click()
    page.get_by_role("option", name=f"{preset}:").click()


def test_a_result_is_there_at_once_and_follows_every_change(page):
    says(page, "harbour × strokes · poly · γ 1 · 256 px · one pass")
    expect(page.locator("#result img")).to_be_visible()
    seen = [source(page)]
    settings(page, size=96)
    says(page, "96 px")
    changes = {
        "bn": lambda: page.get_by_label("Batch-norm statistics").check(),
        "× glass": lambda: page.locator("#styles-examples button").nth(1).click(),
        "γ 0.1": lambda: settings(page, gamma=0.1),
        "the content's colours": lambda: (
            page.locator("#colours input").click(),
            page.get_by_role("option", name="the content's").click(),
        ),
        "strength 50 %": lambda: settings(page, strength=0.5),
    }
    for words, change in changes.items():
        change()
        says(page, words)
        expect(page.locator("#result img")).not_to_have_attribute("src", seen[-1])
        seen.append(source(page))
    assert len({pixels(page, one) for one in seen}) == len(changes) + 1


def test_a_user_sees_it_form_stops_it_and_takes_it_home(page, tmp_path):
    page.locator("#contents-examples button").nth(1).click()
    settings(page, size=96, iterations=3000, seed=7)
    says(page, "still_life × strokes")
    page.locator("#stylize-start").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#stylize-stop")).to_be_focused()
    seen: dict[str, bytes] = {}
    deadline = time.monotonic() + 90
    while len(seen) < 3 and time.monotonic() < deadline:
        if (current := source(page)) and current not in seen:
            seen[current] = pixels(page, current)
        page.wait_for_timeout(50)
    assert len(set(seen.values())) >= 3, "three different previews"
    expect(page.locator("#stylize-status")).to_contain_text("of 3000")
    page.keyboard.press("Enter")
    expect(page.locator("#stylize-status")).to_contain_text("Stopped at step")
    expect(page.locator("#stylize-start")).to_be_focused()
    says(page, "of 3000")
    with page.expect_download() as download:
        page.locator("#download").click()
    download.value.save_as(tmp_path / "mine.png")
    assert download.value.suggested_filename == "still-life-strokes-poly.png"
    recipe = nstlib.read_recipe(tmp_path / "mine.png")
    assert recipe["settings"]["seed"] == 7 and recipe["settings"]["size"] == 96
    assert 0 < recipe["step"] < 3000
    page.get_by_role("button", name="Make this image again").click()
    expect(page.locator("#python")).to_contain_text(f"step.index == {recipe['step']}")
    assert f"Ctrl-C at step {recipe['step']}" in page.locator("#command textarea").input_value()


def test_refine_goes_on_and_its_settings_are_restored_from_history_file_and_link(page, browser, tmp_path):
    settings(page, size=96)
    says(page, "96 px")
    page.locator("#stylize-start").click()
    expect(page.locator("#stylize-status")).to_contain_text("Done: 12 steps")
    says(page, "poly · γ 1 · 96 px · 12 steps")
    refined = pixels(page, source(page))
    expect(page.locator("#history img")).to_have_count(1)
    with page.expect_download() as download:
        page.locator("#animation").click()
    assert download.value.suggested_filename.endswith(".webp")
    with page.expect_download() as download:
        page.locator("#download").click()
    download.value.save_as(tmp_path / "mine.png")

    def back() -> None:
        says(page, "poly · γ 1 · 96 px · 12 steps")
        expect(page.get_by_label("Polynomial (Gram)")).to_be_checked()
        page.wait_for_timeout(1500)  # nothing may be painted over it
        assert pixels(page, source(page)) == refined

    page.get_by_label("Linear").first.check()
    says(page, "linear · γ 1 · 96 px · one pass")
    page.locator("#history button").first.click()
    back()
    page.get_by_label("Linear").first.check()
    says(page, "linear · γ 1 · 96 px · one pass")
    page.locator("#drop input[type=file]").set_input_files(tmp_path / "mine.png")
    back()
    page.locator("#link").click()
    expect(page.locator("#stylize-status")).to_contain_text("link is in the address bar")
    other = new_page(browser)
    other.goto(page.url + "&gamma=5&size=many")
    expect(other.locator("#caption")).to_contain_text("poly · γ 5 · 96 px · one pass")
    expect(other.locator("#gamma input")).to_have_value("5")
    other.close()


def test_a_file_without_a_recipe_is_refused_in_words(page, tmp_path):
    nstlib.save_image(nstlib.load_image(CONTENT, 64), tmp_path / "plain.png")
    page.locator("#drop input[type=file]").set_input_files(tmp_path / "plain.png")
    expect(page.locator("#stylize-status")).to_contain_text("plain.png holds no recipe")
    says(page, "harbour × strokes")


def test_two_results_side_by_side(page):
    settings(page, size=96)
    says(page, "96 px")
    page.locator("#pin").click()
    expect(page.locator("#pin")).to_have_text("Unpin A")
    page.get_by_label("Linear").first.check()
    says(page, "linear")
    page.get_by_role("tab", name="Side by side").click()
    both = page.locator("#slider img")
    expect(both).to_have_count(2)
    left, right = (pixels(page, both.nth(i).get_attribute("src")) for i in (0, 1))
    assert left != right
    page.get_by_label("Gaussian").check()
    says(page, "gaussian")
    expect(page.locator("#slider img")).to_have_count(2)
    sources = {pixels(page, page.locator("#slider img").nth(i).get_attribute("src")) for i in (0, 1)}
    assert len(sources) == 2 and len(sources - {left, right}) == 1, "A stays, B follows"


def test_a_second_style_is_mixed_placed_and_brushed(page):
    settings(page, size=96)
    page.get_by_role("button", name="A second style").click()
    page.locator("#second-examples button").nth(1).click()
    says(page, "50 % strokes + 50 % glass")
    page.get_by_label("Left", exact=True).check()
    says(page, "strokes + glass")
    seen = source(page)
    page.get_by_label("Where I brush").check()
    expect(page.locator("#stylize-status")).to_contain_text("Brush on the image")
    page.locator("#brush canvas").scroll_into_view_if_needed()
    box = page.locator("#brush canvas").bounding_box()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + box["height"] / 2, steps=12)
    page.mouse.up()
    expect(page.locator("#result img")).not_to_have_attribute("src", seen)
    page.get_by_role("button", name="Make this image again").click()
    expect(page.locator("#python")).to_contain_text("mask-1.png")
    expect(page.locator("#masks")).to_contain_text("mask-2")


def test_a_short_run_ends_and_its_result_becomes_the_next_content(page):
    settings(page, size=96, iterations=6)
    page.locator("#stylize-start").click()
    expect(page.locator("#stylize-status")).to_contain_text("Done: 6 steps")
    result = source(page)
    page.locator("#again").click()
    expect(page.locator("#contents img").first).to_have_attribute("src", result)


def test_a_broken_upload_is_explained(page, tmp_path):
    fake = tmp_path / "holiday.png"
    fake.write_text("not a picture")
    page.locator("#contents").get_by_label("Remove Image").or_(
        page.locator("#contents button[title*=lear]")
    ).first.click()
    page.locator("#contents input[type=file]").set_input_files(fake)
    expect(page.locator("#stylize-status")).to_contain_text("Cannot read holiday.png as an image")
    page.locator("#stylize-start").click()
    expect(page.locator("#stylize-status")).to_contain_text("Choose a content image first")
    expect(page.locator("#stylize-start")).to_be_visible()


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
        expect(page.locator("#stylize-status")).to_contain_text(words)
        assert "/tmp" not in page.locator("#stylize-status").inner_text()
        page.locator("#contents input[type=file]").set_input_files(CONTENT)
        expect(page.locator("#contents img").first).to_be_visible()
    settings(page, size=96, iterations=4)
    page.locator("#stylize-start").click()
    expect(page.locator("#stylize-status")).to_contain_text("Done: 4 steps")


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


def test_two_users_wait_for_each_other_and_one_may_leave(page, browser):
    settings(page, size=96, iterations=2000)
    page.locator("#stylize-start").click()
    expect(page.locator("#stylize-stop")).to_be_visible()
    other = new_page(browser)
    other.goto(address())
    other.locator("#stylize-start").click()
    expect(other.locator("#stylize-status")).to_contain_text("queue: 1/1")
    expect(other.locator("#caption")).to_contain_text("harbour × strokes · poly · γ 1 · 256 px · one pass")
    other.locator("#stylize-leave").click()
    expect(other.locator("#stylize-status")).to_contain_text("Nothing was started")
    expect(other.locator("#stylize-start")).to_be_visible()
    other.close()
    page.locator("#stylize-stop").click()
    expect(page.locator("#stylize-status")).to_contain_text("Stopped at step")


def test_a_closed_tab_gives_its_place_away(page, browser):
    leaver = new_page(browser)
    leaver.goto(address())
    settings(leaver, size=256, iterations=3000)
    leaver.locator("#stylize-start").click()
    expect(leaver.locator("#stylize-stop")).to_be_visible()
    leaver.close()
    settings(page, size=96, iterations=10)
    page.locator("#stylize-start").click()
    # Theirs would take 60 s.
    expect(page.locator("#stylize-status")).to_contain_text("Done: 10 steps", timeout=50_000)


def test_the_gamma_slider_is_logarithmic_and_the_preset_leaves_what_was_chosen(page):
    slider, number = page.locator("#gamma-slider input[type=range]"), page.locator("#gamma input")
    slider.focus()
    for _ in range(15):  # 0.3 decades
        page.keyboard.press("ArrowRight")
    expect(number).to_have_value("2")
    number.fill("0.1")
    number.press("Tab")
    expect(slider).to_have_value("-1")
    choose(page, "draft")
    page.get_by_role("button", name="More settings").click()
    expect(page.locator("#iterations input")).to_have_value(str(nstlib.PRESETS["draft"].iterations))
    expect(number).to_have_value("0.1")


def test_nothing_jumps_on_a_phone_while_it_streams(browser):
    page = new_page(browser, viewport={"width": 390, "height": 844})
    page.goto(address())
    expect(page.locator("#result img")).to_be_visible()
    settings(page, size=96, iterations=600)
    page.locator("#stylize-start").click()
    expect(page.locator("#stylize-status")).to_contain_text("Step")
    place = "document.querySelector('#curve').getBoundingClientRect().top + scrollY"
    before = page.evaluate(place)
    page.wait_for_timeout(1500)
    assert abs(page.evaluate(place) - before) <= 1
    page.locator("#stylize-stop").click()
    page.close()
