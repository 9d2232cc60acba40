"""The app in a real browser, as a user uses it. Without a browser these fail in CI, and skip elsewhere."""

import os
import shutil
import struct
import zlib
from collections.abc import Iterator

import pytest
from app_server import CONTENT, SITE, address
from app_with_slow_runs import SLOW

import nstlib
from demo.components.method_controls import NAMES

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


CONTEXTS: dict[tuple[object, str], object] = {}
FREE: dict[object, list["Page"]] = {}  # tabs that `leave` has emptied: the next page loads in half the time
SCREEN = {"width": 1280, "height": 900}
# A screen that shows ten images a second, and no animations by CSS: these take most of a page's CPU time.
CALM = """(() => {
  const asked = new Map(), later = setTimeout;
  let last = 0;
  requestAnimationFrame = (draw) => {
    if (!asked.size) later(() => {
      const now = performance.now(), due = [...asked.values()];
      asked.clear();
      due.forEach((one) => one(now));
    }, 100);
    asked.set(++last, draw);
    return last;
  };
  cancelAnimationFrame = (number) => asked.delete(number);
  const still = new CSSStyleSheet();
  still.replaceSync("*, ::before, ::after { animation: none !important; transition: none !important; }");
  document.adoptedStyleSheets.push(still);
})()"""


def new_page(
    browser, screen: dict[str, int] = SCREEN, motion: str = "no-preference", window: str = "first"
) -> "Page":
    """An empty tab in front of its window, because Chromium draws no others: two pages that are used in turn
    need two windows. The tabs of a window share a context, and so the scripts in its cache."""
    key = browser, window
    if key not in CONTEXTS:
        CONTEXTS[key] = browser.new_context()
        CONTEXTS[key].add_init_script(CALM)
    free = FREE.setdefault(CONTEXTS[key], [])
    page = free.pop() if free else watched(CONTEXTS[key].new_page())
    page.bring_to_front()
    page.set_viewport_size(screen)
    page.emulate_media(reduced_motion=motion)
    page.troubles.clear()
    return page


def watched(page: "Page") -> "Page":
    """The tab, which keeps what goes wrong in `troubles`."""
    troubles: list[str] = []
    page.set_default_timeout(WAIT)
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on(
        "request", lambda r: None if "127.0.0.1" in r.url or ":" not in r.url[:8] else _outside(r, troubles)
    )
    page.troubles = troubles
    return page


def loaded(browser) -> Iterator["Page"]:
    """The loaded page; afterwards, nothing may have gone wrong unseen."""
    page = new_page(browser)
    page.goto(address())
    expect(page.locator("#size input[type=number]")).to_have_value("64")  # it is ready
    yield page
    leave(page)


@pytest.fixture
def page(browser) -> Iterator["Page"]:
    yield from loaded(browser)


@pytest.fixture(scope="module")
def first_page(browser) -> Iterator["Page"]:
    """One page for the tests that need it as it is loaded, and start no run."""
    yield from loaded(browser)


def leave(page: "Page") -> None:
    """Empties a tab where nothing went wrong. A run that goes on would keep the next page waiting."""
    still_open = not page.is_closed()
    if still_open:
        page.evaluate("""() => { nst.started();
        for (const one of document.querySelectorAll('[id$="-leave"], [id$="-stop"]')) one.click(); }""")
        expect(page.locator("#stylize-start")).to_be_attached()
    assert page.troubles == []
    if still_open:
        page.goto("about:blank")
        FREE[page.context].append(page)


def no_runs(page: "Page", but: str = "") -> None:
    """No run begins by itself from now on, except that of the button with the id `but`."""
    script = "but => { const { rest } = nst; nst.rest = (id, ...more) => id === but && rest(id, ...more); }"
    page.evaluate(script, but)


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


def settled(page: "Page", words: str = "") -> None:
    """Waits until a run is done by itself, and the button offers more."""
    says(page, words)
    expect(page.locator("#stylize-start")).to_have_text("Finer")


def choose(page: "Page", kind: str, name: str) -> None:
    """Chooses an example image."""
    page.locator(f"#{kind}-examples button[data-name={name}]").click()


def status(page: "Page", words: str, tab: str = "stylize") -> None:
    expect(page.locator(f"#{tab}-status")).to_contain_text(words)


def saved(page: "Page", path, button: str = "#download") -> str:
    """Downloads the result to a path, and returns the name that the page gives it."""
    with page.expect_download() as download:
        page.locator(button).click()
    download.value.save_as(path)
    return download.value.suggested_filename


def test_a_run_begins_a_second_after_the_change_and_not_after_its_preview(first_page):
    waits = first_page.evaluate("""() => {
      const real = window.setTimeout, waits = [];
      let now = 5000;
      performance.now = () => now;
      window.setTimeout = (_, wait) => waits.push(wait);
      nst.changed("none");
      for (const passed of [400, 2000]) { now += passed; nst.rest("none", 1, 1000); }
      nst.rest("none", 0, 1000);
      window.setTimeout = real;
      delete performance.now;
      return waits;
    }""")
    assert waits == [600, 0]


def test_a_finished_image_is_part_of_the_page_and_every_image_is_sharp(first_page):
    page = first_page
    says(page, "harbour × strokes · linear · γ 1 · 768 px · 32 steps")
    status(page, "Finer")
    expect(page.locator("#size input[type=number]")).to_have_value("64")  # of what the user changes
    sharp = """images => images.map(i => [i.naturalWidth, i.getBoundingClientRect().width])"""
    for where in ("#result img", ".nst-picker img"):
        expect(page.locator(where).first).to_be_visible()
        for natural, shown in page.locator(where).evaluate_all(sharp):
            assert natural >= (2 if "picker" in where else 1) * shown or not shown
    assert page.locator("#ready-examples button").count() == 4
    page.locator("#ready-examples button").nth(2).click()
    settled(page, "still_life × mosaic · linear · γ 1 · 768 px · 32 steps")
    expect(page.locator("#styles-examples [aria-pressed=true]")).to_have_text("mosaic")
    expect(page.locator("#in-browser")).to_have_attribute("href", SITE)


def test_the_names_of_examples_are_whole_and_the_footer_ends_with_its_link(first_page):
    cut = """() => [...document.querySelectorAll(".nst-picker span")].filter((one) => {
      const text = document.createRange();
      text.selectNodeContents(one);
      const box = one.parentElement.getBoundingClientRect(), line = text.getBoundingClientRect();
      const inside = line.left >= box.left && line.right <= box.right && line.bottom <= box.bottom;
      const lines = text.getClientRects().length, words = one.textContent.split(" ").length;
      const clipped = getComputedStyle(one).overflowX === "hidden" && one.scrollWidth > one.clientWidth;
      return one.offsetParent && (!inside || lines > words || clipped);
    }).map((one) => one.textContent)"""
    for width in (390, 1000, 1280):
        first_page.set_viewport_size({"width": width, "height": 900})
        assert first_page.evaluate(cut) == []
    assert "·" not in first_page.locator("footer").inner_text()


def test_every_change_ends_in_an_optimised_image(page):
    seen = [pixels(page, source(page))]
    changes = {
        "bn": lambda: page.get_by_label("Batch-norm statistics").check(),
        "× glass": lambda: choose(page, "styles", "glass"),
        "still_life ×": lambda: choose(page, "contents", "still_life"),
        "γ 0.1": lambda: settings(page, gamma=0.1),
        "the content's colours": lambda: (
            page.locator("#colours input").click(),
            page.get_by_role("option", name="the content's").click(),
        ),
    }
    for words, change in changes.items():
        change()
        says(page, words)
        settled(page, "24 steps")
        seen.append(pixels(page, source(page)))
    assert len(set(seen)) == len(changes) + 1
    expect(page.locator("#history img")).to_have_count(len(changes))
    page.get_by_label("Linear").first.check()  # three changes at once end in the last
    settings(page, gamma=3, size=96)
    says(page, "still_life × glass · linear · γ 3 · 96 px")
    settled(page, "24 steps")
    expect(page.locator("#preset input")).to_have_value("draft: 24 steps")


def test_a_run_is_paused_goes_on_and_is_taken_home(page, tmp_path):
    settings(page, seed=SLOW, iterations=3000)
    expect(page.locator("#stylize-stop")).to_have_text("Pause")
    says(page, "of 3000 steps")
    seen = source(page)
    expect(page.locator("#result img")).not_to_have_attribute("src", seen)
    page.locator("#stylize-stop").focus()
    page.keyboard.press("Enter")
    status(page, "Paused at step")
    expect(page.locator("#stylize-start")).to_be_focused()
    expect(page.locator("#stylize-start")).to_have_text("Continue")
    assert saved(page, tmp_path / "mine.png") == "harbour-strokes-linear.png"
    recipe = nstlib.read_recipe(tmp_path / "mine.png")
    assert recipe["settings"]["seed"] == SLOW and 0 < recipe["step"] < 3000
    page.get_by_role("button", name="make this image again").click()
    expect(page.locator("#python")).to_contain_text(f"step.index == {recipe['step']}")
    assert saved(page, tmp_path / "run.webp", "#animation").endswith(".webp")
    page.locator("#stylize-start").click()
    expect(page.locator("#stylize-stop")).to_be_visible()
    expect(page.locator("#result img")).not_to_have_attribute("src", source(page))
    choose(page, "styles", "ink")  # a change ends the run
    settings(page, seed=0, iterations=2, size=96)
    settled(page, "× ink · linear · γ 1 · 96 px · 2 steps")
    for words in ("192 px · 2 steps", "320 px · 2 steps", "320 px · 8 steps"):  # Finer: larger, then more
        page.locator("#stylize-start").click()
        settled(page, words)


def test_results_come_back_from_history_file_and_link(page, browser, tmp_path):
    choose(page, "styles", "grid")
    settled(page, "harbour × grid · linear · γ 1 · 64 px · 24 steps")
    finished = pixels(page, source(page))
    saved(page, tmp_path / "mine.png")

    def back(words: str = "harbour × grid · linear · γ 1 · 64 px · 24 steps") -> None:
        settled(page, words)
        page.wait_for_timeout(1500)  # nothing may be painted over it
        says(page, words)
        assert pixels(page, source(page)) == finished

    def away() -> None:
        page.get_by_label("Gaussian").check()
        settled(page, "gaussian · γ 1 · 64 px · 24 steps")

    away()
    page.locator("#history button").last.click()
    back()
    expect(page.get_by_label("Linear").first).to_be_checked()
    away()
    page.locator("input[type=file]:has(+ #drop)").set_input_files(tmp_path / "mine.png")
    back()
    page.locator("#link").click()
    status(page, "link is in the address bar")
    other = new_page(browser, window="other")
    other.goto(page.url + "&gamma=5&size=many")
    settled(other, "harbour × grid · linear · γ 5 · 64 px · 24 steps")  # the link makes the finished image
    leave(other)


def test_a_result_of_an_own_photo_is_not_lost_where_the_photo_is_not(page, browser, tmp_path):
    nstlib.save_image(nstlib.load_image(CONTENT, 90).flip(-1), tmp_path / "coffee.png")
    page.locator("input[type=file]:has(+ #contents-upload)").set_input_files(tmp_path / "coffee.png")
    settings(page, gamma=2)
    settled(page, "coffee × strokes · linear · γ 2 · 64 px · 24 steps")
    finished = pixels(page, source(page))
    saved(page, tmp_path / "mine.png")
    other = new_page(browser, window="other")
    other.goto(address())
    expect(other.locator("[data-view=page]")).to_be_attached()  # page.js has run
    expect(other.locator("#size input[type=number]")).to_have_value("64")
    data = list((tmp_path / "mine.png").read_bytes())  # dropped on the page
    other.evaluate(
        """data => { const list = new DataTransfer();
        list.items.add(new File([new Uint8Array(data)], "mine.png", { type: "image/png" }));
        const drop = new DragEvent("drop", { dataTransfer: list, bubbles: true });
        document.querySelector("#result").dispatchEvent(drop); }""",
        data,
    )
    settled(other, "coffee × strokes · linear · γ 2 · 64 px · 24 steps")
    status(other, "Upload coffee.png again")
    expect(other.locator("#gamma input")).to_have_value("2")
    other.wait_for_timeout(1500)  # nothing may be painted over it
    says(other, "coffee × strokes")
    assert pixels(other, source(other)) == finished
    leave(other)
    (tmp_path / "plain.png").write_bytes((tmp_path / "coffee.png").read_bytes())
    nstlib.save_image(nstlib.load_image(CONTENT, 64), tmp_path / "plain.png", recipe={})
    page.locator("input[type=file]:has(+ #drop)").set_input_files(tmp_path / "plain.png")
    status(page, "not of a style transfer made here")
    says(page, "coffee × strokes")


def test_before_and_after_are_shown_in_one_frame(page):
    page.locator("#before").click()
    both = page.locator("#slider img")
    expect(both).to_have_count(2)
    left, right = (pixels(page, both.nth(i).get_attribute("src")) for i in (0, 1))
    assert left != right
    page.set_viewport_size({"width": 390, "height": 600})  # where the image must shrink to fit
    look = """one => { const { x, y, width, height } = one.getBoundingClientRect();
      return [x, y, width, height, getComputedStyle(one).backgroundColor]; }"""
    places = [one.evaluate(look) for one in both.all()]
    assert places[0] == places[1] and places[0][-1] == "rgba(0, 0, 0, 0)"
    page.set_viewport_size(SCREEN)
    page.get_by_label("Gaussian").check()
    settled(page, "gaussian · γ 1 · 64 px · 24 steps")
    expect(both).to_have_count(2)
    assert len({pixels(page, both.nth(i).get_attribute("src")) for i in (0, 1)} - {left, right}) == 2
    page.locator("#before").click()
    expect(page.locator("#result img")).to_be_visible()


def test_a_second_style_is_mixed_placed_and_brushed(page):
    no_runs(page)  # they have status lines of their own
    page.get_by_role("button", name="A second style").click()
    choose(page, "second", "glass")
    says(page, "50 % strokes + 50 % glass")
    page.get_by_label("Left", exact=True).check()
    says(page, "strokes + glass")
    page.get_by_label("Where I brush").check()
    status(page, "Brush on the image")
    seen = source(page)
    page.locator("#brush canvas").scroll_into_view_if_needed()
    box = page.locator("#brush canvas").bounding_box()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + box["height"] / 2, steps=12)
    page.mouse.up()
    expect(page.locator("#result img")).not_to_have_attribute("src", seen)
    page.get_by_role("button", name="make this image again").click()
    expect(page.locator("#python")).to_contain_text("mask-1.png")
    expect(page.locator("#masks")).to_contain_text("mask-2")


def test_a_result_becomes_the_next_content_under_its_name(page):
    page.locator("#again").click()
    settled(page, "harbour-strokes-linear × strokes · linear · γ 1 · 64 px · 24 steps")


def test_a_broken_upload_is_explained_and_the_image_stays(page, tmp_path):
    field = page.locator("input[type=file]:has(+ #contents-upload)")
    for name, data, words in (
        ("holiday.png", b"no picture", "Cannot read holiday.png as an image"),
        ("huge.png", HUGE, "huge.png"),
    ):
        (tmp_path / name).write_bytes(data)
        field.set_input_files(tmp_path / name)
        status(page, words)
        assert "/tmp" not in page.locator("#stylize-status").inner_text()
        says(page, "harbour × strokes · linear · γ 1 · 768 px")
    field.set_input_files(CONTENT.with_name("valley.jpg"))
    settled(page, "valley × strokes · linear · γ 1 · 64 px · 24 steps")


def test_compare_fills_itself_and_a_tile_opens_large_by_keys_and_as_it_is(page, tmp_path):
    settings(page, size=64, iterations=4)
    settled(page, "4 steps")
    page.get_by_role("tab", name="Compare", exact=True).click()
    status(page, "Done in", "compare")
    tiles = page.locator("#compare-grid img")
    expect(tiles).to_have_count(6)
    assert len({tiles.nth(i).get_attribute("src") for i in range(6)}) == 6
    assert all(tiles.nth(i).get_attribute("alt") for i in range(6))
    saved(page, tmp_path / "sheet.png", "#compare-download")
    assert len(nstlib.read_recipe(tmp_path / "sheet.png")["cells"]) == 4
    frames, large = page.locator("#compare-grid button.frame"), page.locator(".nst-large[open]")
    stylize = large.get_by_role("button", name="Open in Stylize")
    expect(frames).to_have_count(6)
    frames.nth(0).focus()
    page.keyboard.press("Enter")
    expect(large.locator("img")).to_be_visible()
    assert large.locator("img").bounding_box()["height"] > 500
    expect(stylize).to_be_hidden()  # the content is no result
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    expect(large.locator("figcaption")).to_have_text(f"The content in the style, {list(NAMES.values())[3]}")
    expect(stylize).to_be_visible()
    page.keyboard.press("Escape")
    expect(large).to_have_count(0)
    expect(frames.nth(5)).to_be_focused()
    tiles.nth(5).click()
    page.get_by_role("button", name="Open in Stylize").last.click()
    settled(page, "harbour × strokes · bn · γ 1 · 64 px · 4 steps")
    page.get_by_role("tab", name="Compare", exact=True).click()
    page.wait_for_timeout(500)
    status(page, "Done in", "compare")  # nothing has changed, and nothing is made again


def test_runs_begin_by_themselves_only_while_nobody_else_works_and_all_wait_in_turn(page, browser):
    other = new_page(
        browser, window="other"
    )  # it loads before the run, which would take half of the machine meanwhile
    other.goto(address())
    expect(other.locator("#size input[type=number]")).to_have_value("64")
    settings(page, seed=SLOW, iterations=3000)  # minutes: longer than what follows, on any machine
    says(page, "of 3000 steps")
    page.get_by_role("tab", name="Compare").click()  # it waits for the run of its own page
    status(page, "number 1 of 1. Your own run in Stylize is still working.", "compare")
    page.locator("#compare-leave").click()
    status(page, "Nothing was started", "compare")
    choose(other, "styles", "glass")
    status(other, "Another page uses this app now")
    other.get_by_role("tab", name="Compare").click()
    status(other, "Start makes these images. Another page uses this app now", "compare")
    other.get_by_role("tab", name="Stylize").click()
    other.wait_for_timeout(1500)
    says(other, "one pass")
    joins: list = []
    other.route("**/queue/join*", lambda route: joins.append(route))  # a slow connection
    other.locator("#stylize-start").click()
    other.locator("#stylize-leave").click()  # before the run has a place
    other.wait_for_timeout(200)
    for join in joins:
        join.continue_()
    status(other, "Nothing was started")
    other.unroute("**/queue/join*")
    other.locator("#stylize-start").click()
    status(other, "you are number 1 of 1")
    expect(other.locator(f"#stylize-status a[href='{SITE}']")).to_be_visible()
    choose(other, "styles", "ink")  # live images while waiting
    says(other, "× ink")
    other.locator("#stylize-leave").click()
    expect(other.locator("#stylize-leave")).to_be_hidden()
    other.locator("#stylize-start").click()
    status(other, "you are number 1 of 1")
    page.close()  # who leaves gives the place away
    settled(other, "× ink · linear · γ 1 · 64 px · 24 steps")
    leave(other)


def test_the_gamma_slider_is_logarithmic_and_presets_say_what_they_do(page):
    no_runs(page)
    slider, number = page.locator("#gamma-slider input[type=range]"), page.locator("#gamma input")
    slider.focus()
    for _ in range(15):  # 0.3 decades
        page.keyboard.press("ArrowRight")
    expect(number).to_have_value("2")
    says(page, "γ 2")
    number.fill("0.1")
    number.press("Tab")
    expect(slider).to_have_value("-1")
    settings(page, size=5000)  # more than there is: the largest
    says(page, "γ 0.1 · 320 px")
    page.locator("#preset input").click()
    page.get_by_role("option", name="balanced:").click()
    expect(page.locator("#iterations input")).to_have_value(str(nstlib.PRESETS["balanced"].iterations))
    expect(number).to_have_value("0.1")
    settings(page, seed=-1)
    status(page, "eed must lie in")


def test_a_lesson_shows_what_the_teacher_has_chosen(browser):
    page = new_page(browser)
    page.goto(address() + "?style=glass&method=bn&lesson=1")
    settled(page, "harbour × glass · bn · γ 1 · 64 px · 24 steps")
    for hidden in ("#styles-examples", "#method", "#styles-upload"):
        expect(page.locator(hidden)).to_be_hidden()
    expect(page.locator("#gamma")).to_be_visible()
    expect(page.locator(".form:has(> #method)")).to_be_hidden()  # its border, too
    expect(page.locator("#looks")).to_contain_text("The method Batch-norm statistics looks at the mean")
    expect(page.locator("#note")).to_be_hidden()
    leave(page)
    page.goto(address() + "?method=bn:0.7%2Bpoly:0.3&lesson=1")
    says(page, "bn:0.7+poly:0.3")
    expect(page.locator("#mix")).to_be_hidden()
    leave(page)


def test_who_opens_a_link_of_own_images_reads_that_they_are_not_in_it(browser):
    page = new_page(browser)
    page.goto(address() + "?style=glass&method=gaussian&gamma=5&size=96")
    expect(page.locator("#note")).to_have_text(
        "A link cannot contain its sender's own images: choose your photo."
    )
    settled(page, "harbour × glass · gaussian · γ 5 · 96 px · 24 steps")
    expect(page.locator("#note")).to_be_visible()
    leave(page)
