"""The static page in Chromium, with no host but this machine: its images are the library's, also offline.

The page is built once, which takes most of the time here; WEB_DIST=web/dist takes one that is built already.
Without a browser, npm or the extra `export` these fail in CI, and skip elsewhere.
"""

import base64
import importlib.util
import os
import re
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from test_browser import CHROMIUM, FLAGS, WAIT  # it skips where no browser is
from test_browser_access import AXE, STILL, serious

import nstlib  # isort: skip - before torch: it limits how long waiting threads spin
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

from nstlib import export
from nstlib.__main__ import main

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "web"))
import build  # noqa: E402
import serve  # noqa: E402

NEEDED = [name for name in export.NEEDS if importlib.util.find_spec(name) is None]
NEEDED += [] if shutil.which("npm") or list((ROOT / "web" / ".cache").glob("*.tgz")) else ["npm"]
if NEEDED and os.environ.get("CI", "").lower() not in ("1", "true"):
    pytest.skip(f"the page cannot be built without {', '.join(NEEDED)}", allow_module_level=True)

CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
METHODS = {  # as users choose them → as nstlib reads them
    "Linear": "linear",
    "Batch-norm statistics": "bn",
    "Polynomial (Gram)": "poly",
    "Wasserstein": "wasserstein",
    "Fusion of two": "bn:0.5+poly:0.5",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    assert not NEEDED, f"CI must have {', '.join(NEEDED)}"
    if built := os.environ.get("WEB_DIST"):
        return Path(built)
    folder = tmp_path_factory.mktemp("web") / "dist"
    build.build(folder, request.getfixturevalue("onnx_folder"))
    return folder


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    yield from served(folder)


def served(folder: Path, handler: type[serve.Handler] = serve.Handler) -> Iterator[str]:
    server = serve.serve(folder, handler=handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *CAMERA])
        expect.set_options(timeout=WAIT)
        yield chromium
        chromium.close()


def open_page(browser: Browser, address: str, **options: object) -> Page:
    """The loaded page with its first image. Nothing may go wrong unseen, and no other host is asked."""
    page = browser.new_page(**{"viewport": {"width": 1280, "height": 900}} | options)
    page.set_default_timeout(WAIT)
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))

    def is_here(request: Request) -> None:
        if not request.url.startswith((address, "blob:", "data:")):
            troubles.append(f"asked another host: {request.url}")

    page.context.on("request", is_here)
    page.troubles = troubles  # type: ignore[attr-defined]
    page.goto(address)
    made(page)
    return page


@pytest.fixture(scope="module")
def page(browser: Browser, address: str) -> Iterator[Page]:
    page = open_page(browser, address)
    yield page
    assert page.troubles == []  # type: ignore[attr-defined]
    page.close()


def made(page: Page, before: str = "") -> str:
    """Waits until more images were made; how many there are now. (`wait_for_function` needs eval.)"""
    body = page.locator("body")
    expect(body).to_have_attribute("data-images", re.compile(r"\d"))
    expect(body).not_to_have_attribute("data-images", before)
    return body.get_attribute("data-images") or ""


def change(page: Page, action: Callable[[], object]) -> None:
    """Does something, and waits for an image of all that was asked."""
    before = page.locator("body").get_attribute("data-images") or ""
    action()
    made(page, before)
    expect(page.locator("body")).to_have_attribute("data-working", "false")


def upload(page: Page, kind: str, path: Path) -> None:
    change(page, lambda: page.locator(f"[data-kind={kind}] input[type=file]").set_input_files(path))


def saved(page: Page, path: Path) -> Path:
    with page.expect_download() as download:
        page.get_by_role("button", name="Save PNG").click()
    download.value.save_as(path)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A content and a style as PNG files that the page takes as they are."""
    folder, found = tmp_path_factory.mktemp("files"), {}
    for kind, name, size in (("content", "contents/valley", 96), ("style", "styles/mosaic", 80)):
        found[kind] = folder / f"{kind}.png"
        nstlib.save_image(nstlib.load_image(ROOT / "examples" / f"{name}.jpg", size), found[kind])
    return found


def upload_both(page: Page, files: dict[str, Path]) -> None:
    """Uploads the two files where the page does not show them."""
    if page.locator("[data-kind=content] canvas").get_attribute("aria-label") != "The content image: content":
        upload(page, "content", files["content"])
        upload(page, "style", files["style"])


@pytest.mark.parametrize("title", METHODS)
def test_the_image_is_the_library_s(page, files, title, tmp_path):
    upload_both(page, files)
    radio = page.get_by_role("radio", name=title, exact=True)
    if not radio.is_checked():
        change(page, radio.check)
    image, method = saved(page, tmp_path / "image.png"), METHODS[title]
    recipe = nstlib.read_recipe(image)
    assert recipe["method"] == method and recipe["kind"] == "onepass" and recipe["strength"] == 1
    again = tmp_path / "again.png"
    given = [str(files[kind]) for kind in ("content", "style")]
    assert main(["onepass", *given, "--recipe", str(image), "-o", str(again)]) == 0
    difference = 255 * (nstlib.load_image(image) - nstlib.load_image(again)).abs()
    assert difference.mean() < 1 and difference.max() < 6


def test_the_content_s_colours_strength_and_keys(page, files, tmp_path):
    upload_both(page, files)
    change(page, lambda: page.get_by_role("radio", name="Wasserstein").check())
    change(page, lambda: page.locator("#colours").select_option("luminance"))
    strength = page.get_by_role("slider", name="Strength")
    strength.focus()
    change(page, lambda: page.keyboard.press("PageDown"))
    image, again = saved(page, tmp_path / "image.png"), tmp_path / "again.png"
    recipe = nstlib.read_recipe(image)
    assert recipe["colours"] == "luminance" and recipe["strength"] == float(strength.input_value()) < 1
    given = [str(files[kind]) for kind in ("content", "style")]
    assert main(["onepass", *given, "--recipe", str(image), "-o", str(again)]) == 0
    difference = 255 * (nstlib.load_image(image) - nstlib.load_image(again)).abs()
    assert difference.mean() < 1 and difference.max() < 6
    change(page, lambda: page.locator("#colours").select_option("style"))


DRAG = """async () => {
  const slider = document.querySelector("#strength"), images = () => Number(document.body.dataset.images);
  for (let end = images() + 3, k = 0; images() < end; k++) {
    slider.value = k % 2 ? 0.4 : 0.9;
    slider.dispatchEvent(new Event("input"));
    await new Promise((next) => setTimeout(next, 16));
  }
  return document.querySelector("#result").width;
}"""


def test_images_are_smaller_while_a_slider_moves_faster_than_the_device(page):
    for kind in ("content", "style"):  # the examples are large enough
        change(page, lambda kind=kind: page.locator(f"[data-kind={kind}] .strip button").first.click())
    change(page, lambda: page.locator("#size").fill("512"))
    assert page.evaluate(DRAG) < 512
    expect(page.locator("body")).to_have_attribute("data-working", "false")
    expect(page.locator("#caption")).to_contain_text("512 px")  # the full size, at rest
    assert page.evaluate("document.querySelector('#result').width") == 512
    change(page, lambda: page.locator("#size").fill("256"))


PUT = """([kind, event]) => {
  const bytes = Uint8Array.from(atob("%s"), (c) => c.charCodeAt(0)), data = new DataTransfer();
  data.items.add(new File([bytes], "tiny.png", { type: "image/png" }));
  const options = { bubbles: true, cancelable: true };
  const made = event === "drop" ? new DragEvent("drop", { ...options, dataTransfer: data })
                                : new ClipboardEvent("paste", { ...options, clipboardData: data });
  document.querySelector(`[data-kind=${kind}] .drop`).dispatchEvent(made);
}"""


def test_drop_and_clipboard_and_what_is_no_image(page, files, tmp_path):
    put = PUT % base64.b64encode(files["style"].read_bytes()).decode()
    change(page, lambda: page.evaluate(put, ["content", "drop"]))
    expect(page.locator("[data-kind=content] canvas")).to_have_attribute(
        "aria-label", "The content image: tiny"
    )
    page.locator("[data-kind=style] .strip button").first.click()
    change(page, lambda: page.evaluate(put, ["style", "paste"]))
    expect(page.locator("#caption")).to_contain_text("tiny × tiny")
    wrong = tmp_path / "wrong.png"
    wrong.write_bytes(b"no image")
    page.locator("[data-kind=style] input[type=file]").set_input_files(wrong)
    expect(page.locator("#status")).to_have_text(
        "Not used: wrong.png cannot be read. Open a PNG, JPEG or WebP file."
    )
    change(page, lambda: page.locator("[data-kind=style] .strip button").nth(2).click())
    expect(page.locator("#status")).to_contain_text("px in")


def test_the_camera_is_content_until_it_is_stopped(page):
    camera = page.locator("#camera")
    camera.click()
    expect(camera).to_have_text("Stop the camera")
    expect(page.locator("#caption")).to_contain_text("camera ×")
    expect(page.locator("[data-kind=content] .strip [aria-pressed=true]")).to_have_count(0)
    count = ""
    for _ in range(4):
        count = made(page, count)
    camera.focus()
    page.keyboard.press("Enter")
    expect(camera).to_have_text("Live camera")
    change(page, lambda: page.locator("[data-kind=content] .strip button").first.click())
    expect(page.locator("#caption")).to_contain_text("harbour ×")


def test_the_idea_follows_the_method(page):
    expect(page.get_by_role("link", name="the app")).to_have_attribute("href", build.ABOUT_APP)
    page.get_by_role("tab", name="Image").focus()
    page.keyboard.press("ArrowRight")
    moving = page.locator("#view-idea svg")
    page.get_by_role("radio", name="Linear").check()
    expect(moving).to_have_attribute(
        "aria-label", "A point cloud of dots moves onto one of squares under the method linear"
    )
    expect(page.locator("#view-idea h2")).to_have_text("Linear")
    page.get_by_role("radio", name="Fusion of two").check()
    expect(page.locator("#view-idea h2")).to_have_text(["Batch-norm statistics", "Polynomial (Gram)"])
    expect(page.locator("#view-idea [data-play]")).to_have_text("Pause")
    page.get_by_role("tab", name="The idea").press("ArrowLeft")
    expect(page.locator("#result")).to_be_visible()


def test_axe_finds_nothing_serious(page):
    """The dark scheme changes colours only."""
    radio = page.get_by_role("radio", name="Fusion of two")
    if not radio.is_checked():
        change(page, radio.check)
    page.evaluate(AXE)
    for scheme, rules in (("light", []), ("dark", ["color-contrast", "link-in-text-block"])):
        page.emulate_media(color_scheme=scheme)
        for tab, shown in (("The idea", "#view-idea svg"), ("Image", "#result")):
            page.get_by_role("tab", name=tab).click()
            expect(page.locator(shown)).to_be_visible()
            page.evaluate(STILL)  # colours fade
            assert serious(page, rules) == [], (scheme, tab)
    page.emulate_media(color_scheme="light")


def test_a_phone(browser, address):
    page = open_page(browser, address, viewport={"width": 390, "height": 844}, has_touch=True)
    for one in ("#result", "#strength", "#save"):
        box = page.locator(one).bounding_box()
        assert box and box["x"] >= 0 and box["y"] + box["height"] <= 844, (one, box)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("tab", name="The idea").click()
    expect(page.locator("#view-idea svg")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    small = page.locator(
        "button:visible, .button:visible, select:visible, .choices label:visible"
    ).evaluate_all(
        "all => all.filter(one => one.getBoundingClientRect().height < 40).map(one => one.outerHTML)"
    )
    assert small == []
    page.close()


CONTROLLED = """() => new Promise((done) => {
  if (navigator.serviceWorker.controller) done();
  navigator.serviceWorker.addEventListener("controllerchange", () => done());
})"""


def test_offline_and_isolated_after_the_first_visit(browser, folder):
    """A host that sets no headers: the service worker sets them, and has every file."""
    server = served(folder, serve.Plain)
    address = next(server)
    page = open_page(browser, address)
    assert not page.evaluate("crossOriginIsolated")
    expect(page.locator("#status")).to_contain_text("one thread")
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.evaluate(CONTROLLED)
    next(server, None)  # the host is gone
    page.context.set_offline(True)
    page.reload()
    made(page)
    assert page.evaluate("crossOriginIsolated")
    change(page, lambda: page.locator("[data-kind=style] .strip button").nth(6).click())
    expect(page.locator("#caption")).to_contain_text("× mosaic")
    page.get_by_role("tab", name="The idea").click()
    expect(page.locator("#view-idea svg")).to_be_visible()
    page.close()


def test_a_browser_without_webassembly_says_what_it_needs(browser, address):
    page = browser.new_page()
    page.add_init_script("delete window.WebAssembly")
    page.goto(address)
    expect(page.locator("#status")).to_contain_text("This browser cannot run the models")
    expect(page.locator("#status")).to_have_class("alert")
    page.close()


NO_DEVICE = """const requestDevice = async () => { throw new Error("no device"); };
const requestAdapter = async () => ({ info: {}, features: new Set(), limits: {}, requestDevice });
Object.defineProperty(navigator, "gpu", { value: { requestAdapter } });
"""
RUNTIME = """export const env = { wasm: {} };
export class Tensor { dispose() {} }
let left = %d;
const image = async () => {
  if (!left--) throw new Error("the device is lost");
  const { probe } = await (await fetch(new URL("../models.json", import.meta.url))).json();
  const data = new Float32Array(3 * 64 * 64);
  probe.values.forEach((x, k) => { data[k * probe.every] = %s; });
  return { image: { dims: [1, 3, 64, 64], data, dispose() {} } };
};
const session = { run: async ({ strength }) => strength ? image() : {} };
export const InferenceSession = { create: async () => session };
"""


@pytest.mark.parametrize("runtime", [None, RUNTIME % (9, "1 - x"), RUNTIME % (1, "x")])
def test_a_gpu_that_fails_is_replaced(browser, address, runtime):
    """It has no device, computes a different image, or gets lost after the first image."""

    def with_gpu(route):
        answer = route.fetch()
        route.fulfill(response=answer, body=NO_DEVICE + answer.text())

    page = browser.new_page(service_workers="block")
    page.set_default_timeout(WAIT)
    page.route("**/engine.js", with_gpu)
    if runtime:
        answer = {"body": runtime, "content_type": "text/javascript", "headers": serve.ISOLATED}
        page.route("**/ort.webgpu.bundle.min.mjs", lambda route: route.fulfill(**answer))
    page.goto(address)
    made(page)
    expect(page.locator("#status")).to_contain_text("(WebGPU does not work here)")
    expect(page.locator("#result")).to_have_attribute("aria-label", "harbour in the style of strokes")
    change(page, lambda: page.get_by_role("radio", name="Linear").check())
    page.close()


def test_what_is_transferred(folder):
    def size(*patterns: str) -> int:
        return sum(path.stat().st_size for pattern in patterns for path in folder.rglob(pattern))

    assert size("models/*") < 6e6
    assert size("*") - size("ort/*.wasm.gz") + max(p.stat().st_size for p in folder.glob("ort/*.gz")) < 20e6
    texts = [path.read_text("utf-8", "ignore") for path in folder.glob("*.*")]
    named = {host for text in texts for host in re.findall(r"https?://[\w.]+", text)}
    assert named <= {"http://www.w3.org", "https://github.com"}, named
