"""Takes screenshots of the app: `python docs/screenshots.py` makes docs/app.png; with a folder, every tab.

    python docs/screenshots.py shots      four tabs × four sizes × two themes, into shots/
    python docs/screenshots.py --web      docs/web.jpg: the static page in web/dist

It starts the app itself, and drives the chromium (or Google Chrome) that is installed.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
TABS = ("Stylize", "Compare", "Look inside", "The idea")
SIZES = {"phone": (390, 844), "landscape": (844, 390), "desktop": (1280, 800), "projector": (1920, 1080)}
THEMES = ("light", "dark")
WAIT = 300  # seconds for anything


@contextmanager
def app() -> Iterator[str]:
    """Starts an app and yields its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = {"GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": str(port)}
    process = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=os.environ | address)
    url, deadline = f"http://127.0.0.1:{port}/", time.monotonic() + WAIT
    try:
        while True:
            try:
                urllib.request.urlopen(url, timeout=5).close()
                break
            except OSError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise
                time.sleep(0.3)
        yield url
    finally:
        process.terminate()
        process.wait()


def open_page(browser: Browser, url: str) -> Page:
    """Opens the page and waits for its first result."""
    width, height = SIZES["desktop"]
    page = browser.new_page(viewport={"width": width, "height": height}, reduced_motion="reduce")
    page.set_default_timeout(1000 * WAIT)
    page.goto(f"{url}?__theme=light")
    page.wait_for_selector("#result img")
    page.wait_for_timeout(3000)  # thumbnails
    return page


def enter(page: Page, tab: str) -> None:
    """Opens a tab and fills it with results."""
    page.get_by_role("tab", name=tab, exact=True).click()
    kind = {"Compare": "compare", "Look inside": "inside"}.get(tab)
    if kind:  # it fills itself
        page.wait_for_function(f"document.querySelector('#{kind}-status').innerText.includes('Done')")
    page.wait_for_timeout(1000)


def capture_tabs(browser: Browser, url: str, folder: Path) -> None:
    """Captures every tab in every size and theme, from one page that changes its size."""
    folder.mkdir(parents=True, exist_ok=True)
    page = open_page(browser, url)
    field = page.locator("#size input[type=number]")
    field.fill("96")  # small images: this is about the page
    field.press("Tab")
    for tab in TABS:
        enter(page, tab)
        for size, (width, height) in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            if size == "projector":
                page.locator("#projector").click()
            for theme in THEMES:
                page.evaluate("theme => document.body.classList.toggle('dark', theme === 'dark')", theme)
                page.wait_for_timeout(600)
                path = folder / f"{tab.replace(' ', '-').lower()}-{size}-{theme}.png"
                page.screenshot(path=path, full_page=True)
                print(path, f"{width} × {height}", flush=True)
        page.locator("#projector").click()
        page.set_viewport_size(dict(zip(("width", "height"), SIZES["desktop"], strict=True)))
    page.close()


def capture_cover(browser: Browser, url: str) -> None:
    """Captures docs/app.png: the page as it opens."""
    page = open_page(browser, url)
    page.screenshot(path=ROOT / "docs" / "app.png")
    page.close()


def capture_web(browser: Browser) -> None:
    """Captures docs/web.jpg: the static page with its first image."""
    sys.path.insert(0, str(ROOT / "web"))
    from serve import serve  # type: ignore[import-not-found]

    server = serve(ROOT / "web" / "dist")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = browser.new_page(viewport={"width": 1100, "height": 800})
    page.goto(f"http://127.0.0.1:{server.server_address[1]}/")
    page.wait_for_timeout(30_000)  # models, first image
    page.screenshot(path=ROOT / "docs" / "web.jpg", type="jpeg", quality=85)
    server.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        help="folder for the screenshots of every tab; without it, only docs/app.png is made",
    )
    parser.add_argument("--web", action="store_true", help="make docs/web.jpg instead")
    parser.add_argument("--url", help="the address of an app that is already running")
    options = parser.parse_args()
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        if options.web:
            capture_web(browser)
            browser.close()
            return
        with app() if not options.url else _given(options.url) as url:
            if options.folder:
                capture_tabs(browser, url, options.folder)
            else:
                capture_cover(browser, url)
        browser.close()


@contextmanager
def _given(url: str) -> Iterator[str]:
    yield url


if __name__ == "__main__":
    main()
