"""The page for everybody: by rules (axe), by keyboard alone, on a phone, on a projector, with less motion."""

from pathlib import Path

import pytest
from app_server import address
from test_browser import WAIT, browser, new_page, page, settings  # noqa: F401  (fixtures; it skips where no browser is)

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


def open_page(browser: Browser, width: int, height: int, query: str = "", **options: str) -> Page:  # noqa: F811
    opened = new_page(browser, viewport={"width": width, "height": height}, **options)
    opened.goto(address() + query)
    expect(opened.locator("#result img")).to_be_visible()
    return opened


def open_tab(page: Page, tab: str) -> None:  # noqa: F811
    page.get_by_role("tab", name=tab, exact=True).click()


def serious(page: Page, rules: list[str]) -> list[str]:  # noqa: F811
    """What axe-core finds that is serious or critical, with the elements. Without rules: all rules."""
    options = {"resultTypes": ["violations"]} | ({"runOnly": rules} if rules else {})
    found = page.evaluate("options => axe.run(document, options)", options)["violations"]
    return [
        f"{one['id']}: {node['html'][:200]} ({node['any'][0]['message'] if node['any'] else ''})"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


@pytest.mark.parametrize(("theme", "rules"), [("light", []), ("dark", ["color-contrast"])])
def test_axe_finds_nothing_serious_in_any_tab(browser, theme, rules):  # noqa: F811
    """The theme changes colours only."""
    page = open_page(browser, 1280, 900, f"?__theme={theme}")  # noqa: F811
    page.evaluate(AXE)
    for name in ("More settings", "A second style", "Make this image again"):
        page.get_by_role("button", name=name).click()
    expect(page.locator("#python .cm-line").first).to_be_visible()
    for tab in TABS:
        open_tab(page, tab)
        page.wait_for_timeout(500)  # colours fade
        assert serious(page, rules) == [], tab
    page.close()


def walk(page: Page, until: str, most: int = 60) -> list[list]:  # noqa: F811
    """Presses Tab until the element with the id `until` has the focus; what was passed on the way."""
    passed = []
    for _ in range(most):
        page.keyboard.press("Tab")
        passed.append(page.evaluate(FOCUSED))
        if passed[-1][0] == until:
            return passed
    raise AssertionError(f"{until} was not reached in {most} steps: {passed}")


def test_a_user_without_a_mouse_refines_stops_and_never_loses_the_place(browser):  # noqa: F811
    page = open_page(browser, 1280, 900)  # noqa: F811
    settings(page, size=96, iterations=3000)
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Control+Home")
    page.evaluate("window.getSelection().removeAllRanges(); document.querySelector('#projector').focus()")
    passed = walk(page, "stylize-start", 25)
    assert all(seen for _, _, seen, _ in passed), [one for one in passed if not one[2]]
    assert all(there for *_, there in passed), "nothing invisible takes the focus"
    page.keyboard.press("Enter")
    expect(page.locator("#stylize-stop")).to_be_focused()
    expect(page.locator("#stylize-status")).to_contain_text("of 3000")
    page.keyboard.press("Enter")
    expect(page.locator("#stylize-status")).to_contain_text("Stopped at step")
    expect(page.locator("#stylize-start")).to_be_focused()
    on = walk(page, "gamma", 80)
    assert all(seen for _, _, seen, _ in on), [one for one in on if not one[2]]
    page.close()


def test_the_methods_are_chosen_by_arrow_keys_with_a_visible_place(browser):  # noqa: F811
    page = open_page(browser, 1280, 900)  # noqa: F811
    chosen = page.locator("#method input:checked")
    chosen.focus()
    before = chosen.get_attribute("value")
    page.keyboard.press("ArrowRight")
    expect(chosen).not_to_have_value(before)
    assert page.evaluate(FOCUSED)[2], "its place is seen"
    expect(page.locator("#caption")).not_to_contain_text(f"· {before} ·")  # it has followed
    field = page.locator("#preset input")
    field.focus()
    expect(page.get_by_role("option").first).to_be_visible()
    marked = field.get_attribute("aria-activedescendant") or ""
    page.keyboard.press("ArrowDown")  # Gradio answers it later, and would open the list again after Tab
    expect(field).not_to_have_attribute("aria-activedescendant", marked)
    page.keyboard.press("Tab")
    expect(page.get_by_role("option")).to_have_count(0)
    page.close()


def test_a_phone_has_the_image_and_the_button_on_its_first_screen(browser):  # noqa: F811
    page = open_page(browser, 390, 844)  # noqa: F811
    for one in ("#result", "#result img", "#stylize-start"):
        box = page.locator(one).bounding_box()
        assert box and box["y"] + box["height"] <= 844 and box["x"] >= 0, (one, box)
    for tab in TABS:
        open_tab(page, tab)
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, tab
    page.close()


def test_a_projector_has_a_wide_image_and_the_choices_folded(browser):  # noqa: F811
    page = open_page(browser, 1920, 1080, "?view=projector")  # noqa: F811
    expect(page.locator("#stylize-status")).not_to_contain_text("cannot be used")
    choices = page.locator(".nst-choose")
    expect(choices).to_be_hidden()
    box = page.locator("#result").bounding_box()
    assert box and box["width"] > 1700 and box["height"] > 500
    page.locator("#choices").click()
    expect(choices).to_be_visible()
    page.locator("#projector").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#choices")).to_be_hidden()
    expect(choices).to_be_visible()
    assert page.locator("#result").bounding_box()["width"] < 1000
    expect(page.locator("#projector")).to_have_attribute("aria-pressed", "false")
    page.close()


def test_a_tile_opens_large_by_keys_and_goes_on_in_stylize(page):  # noqa: F811
    settings(page, size=64, iterations=3)
    open_tab(page, "Compare")
    page.locator("#compare-start").click()
    expect(page.locator("#compare-status")).to_contain_text("Done in", timeout=4 * WAIT)
    tiles = page.locator("#compare-grid button.frame")
    expect(tiles).to_have_count(6)
    tiles.nth(0).focus()
    page.keyboard.press("Enter")
    large = page.locator(".nst-large[open]")
    expect(large.locator("img")).to_be_visible()
    assert large.locator("img").bounding_box()["height"] > 500
    expect(large.get_by_role("button", name="Open in Stylize")).to_be_hidden()  # the content is no result
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    words = list(NAMES.values())[3]
    expect(large.locator("figcaption")).to_have_text(f"The content in the style, {words}")
    page.keyboard.press("Escape")
    expect(large).to_have_count(0)
    expect(tiles.nth(5)).to_be_focused()
    page.keyboard.press("Enter")
    large.get_by_role("button", name="Open in Stylize").click()
    expect(page.get_by_role("tab", name="Stylize", exact=True)).to_have_attribute("aria-selected", "true")
    expect(page.locator("#method input:checked")).to_have_value(list(NAMES)[3])


def dots(page: Page) -> list[str]:  # noqa: F811
    """Where the moving points are."""
    read = "dots => dots.map(dot => dot.getAttribute('cx') + ',' + dot.getAttribute('cy'))"
    return page.locator("#point-clouds circle").evaluate_all(read)


def test_the_point_clouds_move_by_themselves_and_follow_the_method(page):  # noqa: F811
    open_tab(page, "The idea")
    expect(page.locator("#point-clouds [data-play]")).to_have_text("Pause")
    first = dots(page)
    page.wait_for_timeout(700)
    assert dots(page) != first
    expect(page.locator("#point-clouds [data-play]")).to_have_text("Play")
    end, left = dots(page), page.locator("#point-clouds li b").all_inner_texts()
    page.get_by_label(NAMES["bn"]).check()
    label = "A point cloud of dots moves onto one of squares under the method bn"
    expect(page.locator("#point-clouds svg")).to_have_attribute("aria-label", label)
    expect(page.locator("#point-clouds [data-play]")).to_have_text("Play")
    assert dots(page) != end and page.locator("#point-clouds li b").all_inner_texts() != left


def test_who_asked_for_less_motion_sees_the_end_and_may_still_play(browser):  # noqa: F811
    page = open_page(browser, 1280, 900, reduced_motion="reduce")  # noqa: F811
    open_tab(page, "The idea")
    play = page.locator("#point-clouds [data-play]")
    expect(play).to_have_text("Play")
    end = dots(page)
    page.wait_for_timeout(700)
    assert dots(page) == end, "nothing moves by itself"
    play.focus()
    page.keyboard.press("Enter")
    expect(play).to_have_text("Pause")
    page.wait_for_timeout(500)
    page.keyboard.press("Enter")
    expect(play).to_have_text("Play")
    held = dots(page)
    assert held != end
    time = page.locator("#point-clouds input[type=range]")
    time.focus()
    page.keyboard.press("End")
    assert dots(page) == end
    page.keyboard.press("Home")
    assert dots(page) not in (end, held)
    page.close()


def where(mark: Locator) -> float:
    return float(mark.evaluate("one => one.getBoundingClientRect().width"))


def test_the_pulls_follow_gamma(page):  # noqa: F811
    open_tab(page, "The idea")
    style, content = page.locator("#forces i.style"), page.locator("#forces i.content")
    assert where(style) == pytest.approx(where(content), rel=0.02)
    page.locator("#gamma input").fill("4")
    page.locator("#gamma input").press("Tab")
    expect(page.locator("#forces")).to_contain_text("4 times as hard")
    assert where(style) == pytest.approx(4 * where(content), rel=0.05)
