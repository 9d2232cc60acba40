"""The static page in headless Chromium: first image, images a second (at 256 px, and live), memory.

    python web/build.py && python benchmarks/web.py [--seconds 60] [--drag 4] [--threads]

One WebAssembly thread, unless --threads. The camera is Chromium's fake device.
"""

import argparse
import shutil
import sys
import threading
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "web"))
from serve import serve  # noqa: E402

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
DRAG = """async (seconds) => {
  const slider = document.querySelector("#strength"), count = () => Number(document.body.dataset.images);
  const before = count(), begin = performance.now();
  for (let k = 0; performance.now() - begin < 1000 * seconds; k++) {
    slider.value = 0.5 + 0.5 * Math.sin(k / 20);
    slider.dispatchEvent(new Event("input"));
    await new Promise((next) => setTimeout(next, 16));
  }
  return 1000 * (count() - before) / (performance.now() - begin);
}"""

FIXED = """async (seconds) => {
  const { stylize } = await import("./client.js"), { show } = await import("./images.js");
  const canvas = document.querySelector("#result"), { chosen } = await import("./methods.js");
  const times = [];
  for (const begin = performance.now(); performance.now() - begin < 1000 * seconds; ) {
    const start = performance.now();
    show(await stylize(0.5 + 0.5 * Math.sin(times.length), chosen().shares), canvas);
    times.push(performance.now() - start);
  }
  return [canvas.width, canvas.height, times.sort((a, b) => a - b)[times.length >> 1] / 1000];
}"""


def memory(page: Page) -> float:
    """MB of the page's process, its worker included, or nan where it cannot be known."""
    used = "performance.measureUserAgentSpecificMemory().then((found) => found.bytes / 1e6)"
    return float(page.evaluate(f"self.crossOriginIsolated ? {used} : NaN"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="of the camera (default 60)")
    parser.add_argument("--drag", type=float, default=4, help="seconds for each method (default 4)")
    parser.add_argument("--threads", action="store_true", help="WebAssembly threads")
    options = parser.parse_args()
    server = serve(ROOT / "web" / "dist")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=chromium, args=FLAGS).new_page()
        page.set_default_timeout(120_000)
        begin = time.perf_counter()
        engine = "wasm" if options.threads else "one-thread"
        page.goto(f"http://127.0.0.1:{server.server_port}/?engine={engine}")
        page.wait_for_selector("body[data-images]")  # wait_for_function needs eval, which the page forbids
        print(f"first image: {time.perf_counter() - begin:.1f} s; {page.inner_text('#status')}")
        page.locator("#size").fill("256")
        for name in ("Linear", "Batch-norm statistics", "Polynomial (Gram)", "Wasserstein", "Fusion of two"):
            page.get_by_role("radio", name=name, exact=True).check()
            page.wait_for_timeout(1500)
            width, height, seconds = page.evaluate(FIXED, options.drag)
            fixed = f"{1 / seconds:.1f} images a second of {width} × {height} px"
            print(f"{name}: {fixed}, {page.evaluate(DRAG, options.drag):.1f} while the strength moves")
            page.wait_for_timeout(1500)
        page.get_by_role("radio", name="Polynomial (Gram)").check()
        page.locator("#camera").click()
        page.wait_for_timeout(5000)
        begin, first = time.perf_counter(), int(page.get_attribute("body", "data-images") or 0)
        print(f"camera: {memory(page):.0f} MB", end="", flush=True)
        while time.perf_counter() - begin < options.seconds:
            page.wait_for_timeout(1000 * options.seconds / 4)
            print(f" … {memory(page):.0f}", end="", flush=True)
        count = int(page.get_attribute("body", "data-images") or 0) - first
        print(f"; {count / (time.perf_counter() - begin):.1f} images a second")


if __name__ == "__main__":
    main()
