"""The page for everybody: by rules (axe), by keyboard alone, on a phone, on a projector, with less motion."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from app_server import address

# It skips without a browser.
from test_browser import browser, leave, loaded, new_page, no_runs, settings, status  # noqa: F401

import axe_playwright_python  # isort: skip
from playwright.sync_api import Browser, Locator, Page, expect  # isort: skip

from demo.components.method_controls import NAMES

TABS = ("Stylize", "Compare", "Look inside", "The idea")
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
FOCUSED = """() => {
  const at = document.activeElement, look = [at, at.closest("label"), at.parentElement].filter(Boolean);
  const seen = look.some((one) => { const s = getComputedStyle(one);
    return s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2; });
  const box = at.getBoundingClientRect();
  return [at.id || at.closest("[id]")?.id || "", at.tagName + " " + (at.ariaLabel ?? at.innerText ?? ""),
          seen, box.width * box.height > 0];
}"""


STILL = """async () => {
  const ends = document.getAnimations().filter((one) => one.effect.getComputedTiming().endTime < Infinity);
  await Promise.allSettled(ends.map((one) => one.finished));
}"""


def open_page(browser: Browser, width: int, height: int, query: str = "", **options: str) -> Page:  # noqa: F811
    opened = new_page(browser, {"width": width, "height": height}, **options)
    opened.goto(address() + query)
    expect(opened.locator("#result img")).to_be_visible()
    expect(opened.locator("[data-view]")).to_be_attached()  # page.js has run
    no_runs(opened, but="compare-start")  # nothing here is about runs
    return opened


def open_tab(page: Page, tab: str) -> None:
    page.get_by_role("tab", name=tab, exact=True).click()


def serious(page: Page, rules: list[str], where: str = "html") -> list[str]:
    """What axe-core finds that is serious or critical, with the elements. Without rules: all rules."""
    options = {"resultTypes": ["violations"]} | ({"runOnly": rules} if rules else {})
    found = page.evaluate("values => axe.run(...values)", [where, options])["violations"]
    return [
        f"{one['id']}: {node['html'][:200]} ({node['any'][0]['message'] if node['any'] else ''})"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


@pytest.mark.parametrize(("theme", "rules"), [("light", []), ("dark", ["color-contrast"])])
def test_axe_finds_nothing_serious_in_any_tab(browser, theme, rules):  # noqa: F811
    """The theme changes colours only, and the tabs change nothing beside them."""
    page = open_page(browser, 1280, 900, f"?__theme={theme}")
    page.evaluate(AXE)
    for name in ("More settings", "A second style", "make this image again"):
        page.get_by_role("button", name=name).click()
    expect(page.locator("#python .cm-line").first).to_be_visible()
    expect(page.locator("#caption")).to_contain_text("768 px · 32 steps")  # a theme asks for no new image
    assert serious(page, rules) == []
    settings(page, iterations=2)
    for tab in TABS[1:]:
        open_tab(page, tab)
        if tab == "Compare":
            status(page, "Done in", "compare")
        assert serious(page, rules, "html" if theme == "light" else ".nst-show") == [], tab
    leave(page)


def walk(page: Page, until: str, most: int = 60) -> list[list]:
    """Presses Tab until the element with the id `until` has the focus; what was passed on the way."""
    passed = []
    for _ in range(most):
        page.keyboard.press("Tab")
        passed.append(page.evaluate(FOCUSED))
        if passed[-1][0] == until:
            return passed
    raise AssertionError(f"{until} was not reached in {most} steps: {passed}")


def test_a_user_without_a_mouse_never_loses_the_place(browser):  # noqa: F811
    page = open_page(browser, 1280, 900)
    page.locator("#projector").focus()
    passed = walk(page, "stylize-start", 25)
    assert all(there for *_, there in passed), "nothing invisible takes the focus"
    on = walk(page, "gamma", 80)
    assert all(seen for _, _, seen, _ in passed + on), [one for one in passed + on if not one[2]]
    leave(page)


RING = """(({ outlineWidth, outlineOffset }) => outlineWidth + outlineOffset)(
  getComputedStyle(document.activeElement))"""


def test_the_methods_are_chosen_by_arrow_keys_with_a_visible_place(browser):  # noqa: F811
    page = open_page(browser, 1280, 900)
    chosen = page.locator("#method input:checked")
    chosen.focus()
    before = chosen.get_attribute("value")
    page.keyboard.press("ArrowRight")
    expect(chosen).not_to_have_value(before)
    assert page.evaluate(FOCUSED)[2], "its place is seen"
    expect(page.locator("#caption")).not_to_contain_text(f"· {before} ·")  # it has followed
    page.get_by_role("button", name="More settings").click()
    field = page.locator("#preset input")
    field.focus()
    expect(page.get_by_role("option").first).to_be_visible()
    marked = field.get_attribute("aria-activedescendant") or ""
    page.keyboard.press("ArrowDown")  # Gradio answers it later, and would open the list again after Tab
    expect(field).not_to_have_attribute("aria-activedescendant", marked)
    page.keyboard.press("Tab")
    expect(page.get_by_role("option")).to_have_count(0)
    page.locator("#result button").last.focus()  # the image clips a ring around it
    style = page.evaluate(RING)
    assert style == "3px-4px"
    leave(page)


OVER_THE_RESULT = """() => {
  const show = document.querySelector(".nst-show"), box = show.getBoundingClientRect(), found = new Set();
  for (let y = Math.max(0, box.top) + 2; y < box.bottom - 2; y += 6)
    for (let x = box.left + 2; x < box.right; x += 8) {
      const at = document.elementFromPoint(x, y);
      if (at && !show.contains(at) && !at.contains(show)) found.add(at.textContent.trim() || at.className);
    }
  return [...found];
}"""


def test_nothing_shows_through_the_result_that_stays_in_sight_and_fullscreen_covers_it(browser):  # noqa: F811
    page = open_page(browser, 390, 844)
    for width in (390, 900):
        page.set_viewport_size({"width": width, "height": 844})
        for y in range(0, 1000, 80):
            page.evaluate("y => scrollTo(0, y)", y)
            assert page.evaluate(OVER_THE_RESULT) == [], (width, y)
    for one in ("#contents", "#result"):
        page.evaluate("scrollTo(0, 0)")
        page.locator(one).get_by_role("button", name="Fullscreen").click()
        expect(page.locator(f"{one}.fullscreen")).to_be_visible()
        for x, y in ((450, 60), (450, 300), (450, 700)):
            shown = page.evaluate("at => document.elementFromPoint(...at).closest('.fullscreen')?.id", [x, y])
            assert shown == one[1:]
        page.keyboard.press("Escape")
        expect(page.locator(".fullscreen")).to_have_count(0)
    leave(page)


def test_on_a_phone_the_result_stays_in_sight_while_its_images_are_chosen(browser):  # noqa: F811
    page = open_page(browser, 390, 844)
    for one in ("#result", "#stylize-start", "#contents", "#contents-upload"):
        box = page.locator(one).bounding_box()
        assert box and box["y"] + box["height"] <= 844 and box["x"] >= 0, (one, box)
    page.locator("#gamma").scroll_into_view_if_needed()
    for one in ("#result", "#stylize-start", "#gamma"):
        box = page.locator(one).bounding_box()
        assert box and 0 <= box["y"] + 10 and box["y"] + box["height"] <= 844, (one, box)
    for tab in TABS:
        page.evaluate("scrollTo(0, 0)")
        open_tab(page, tab)
        if tab == "Compare":
            expect(page.locator("#compare-grid img")).to_have_count(6)
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, tab
    open_tab(page, "Stylize")
    page.set_viewport_size({"width": 844, "height": 390})
    page.evaluate("scrollTo(0, 0)")
    for one in ("#result", "#contents"):
        box = page.locator(one).bounding_box()
        assert box and box["y"] + box["height"] <= 390, (one, box)
    leave(page)


def test_a_projector_shows_the_image_large_beside_the_choices(browser):  # noqa: F811
    page = open_page(browser, 1920, 1080, "?view=projector")
    expect(page.locator("#stylize-status")).not_to_contain_text("cannot be used")
    box = page.locator("#result").bounding_box()
    assert box and box["width"] > 1000 and box["height"] > 500
    expect(page.locator("#method")).to_be_in_viewport()
    page.locator("#projector").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#projector")).to_have_attribute("aria-pressed", "false")
    leave(page)


@pytest.fixture(scope="module")
def idea_page(browser) -> Iterator[Page]:  # noqa: F811
    """A page with the tab of the idea open, for the tests of its parts."""
    for page in loaded(browser):
        no_runs(page)
        open_tab(page, "The idea")
        yield page


@pytest.fixture
def idea(idea_page: Page) -> Page:
    idea_page.bring_to_front()
    return idea_page


def dots(page: Page) -> list[str]:
    """Where the moving points are."""
    read = "dots => dots.map(dot => dot.getAttribute('cx') + ',' + dot.getAttribute('cy'))"
    return page.locator("#point-clouds circle").evaluate_all(read)


def test_the_point_clouds_move_by_themselves_and_follow_the_method(idea):
    page = idea
    expect(page.locator("#point-clouds [data-play]")).to_have_text("Pause")
    moving = page.locator("#point-clouds .moving circle").first
    expect(moving).not_to_have_attribute("cx", moving.get_attribute("cx"))
    expect(page.locator("#point-clouds [data-play]")).to_have_text("Play")
    end, left = dots(page), page.locator("#point-clouds li b").all_inner_texts()
    page.get_by_label(NAMES["bn"]).check()
    label = "A point cloud of dots moves onto one of squares under the method bn"
    expect(page.locator("#point-clouds svg")).to_have_attribute("aria-label", label)
    expect(page.locator("#point-clouds [data-play]")).to_have_text("Play")
    assert dots(page) != end and page.locator("#point-clouds li b").all_inner_texts() != left


def test_the_idea_follows_the_method_and_shows_its_formula(idea):
    expect(idea.locator("#idea .katex").first).to_be_visible()
    idea.get_by_label("Gaussian").check()
    expect(idea.locator("#idea h2")).to_have_text("Gaussian")
    expect(idea.locator("#looks")).to_contain_text("random Fourier features")


def test_who_asked_for_less_motion_sees_the_end_and_may_still_play(browser):  # noqa: F811
    page = open_page(browser, 1280, 900, motion="reduce")
    open_tab(page, "The idea")
    play = page.locator("#point-clouds [data-play]")
    expect(play).to_have_text("Play")
    end = dots(page)
    page.wait_for_timeout(700)
    assert dots(page) == end, "nothing moves by itself"
    play.focus()
    page.keyboard.press("Enter")
    expect(play).to_have_text("Pause")
    time = page.locator("#point-clouds input[type=range]")
    expect(time).not_to_have_value("0")
    page.keyboard.press("Enter")
    expect(play).to_have_text("Play")
    held = dots(page)
    assert held != end
    time.focus()
    page.keyboard.press("End")
    assert dots(page) == end
    page.keyboard.press("Home")
    assert dots(page) not in (end, held)
    leave(page)


def where(mark: Locator) -> float:
    return float(mark.evaluate("one => one.getBoundingClientRect().width"))


def test_the_pulls_follow_gamma(idea):
    page = idea
    style, content = page.locator("#forces i.style"), page.locator("#forces i.content")
    assert where(style) == pytest.approx(where(content), rel=0.02)
    page.locator("#gamma input").fill("4")
    page.locator("#gamma input").press("Tab")
    expect(page.locator("#forces")).to_contain_text("4 times as hard")
    assert where(style) == pytest.approx(4 * where(content), rel=0.05)


def test_the_points_of_two_samples_move_by_keyboard(idea):
    page = idea
    page.get_by_role("button", name="Drag the points yourself").click()
    frame = page.frame_locator("#two-samples iframe")
    shown = frame.locator(".means b")
    before = shown.inner_text()
    frame.locator("svg circle").first.press("ArrowRight")
    expect(shown).not_to_have_text(before)
    page.evaluate(AXE)
    assert serious(page, []) == []
