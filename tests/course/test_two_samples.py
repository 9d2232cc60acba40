"""The drawing with points to drag: its numbers are the library's, and notebooks 2 and 4 show it as it is."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch

import nstlib
from nstlib.kernels import gaussian, linear, polynomial

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "demo" / "components" / "two_samples.html"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
KERNELS: dict[str, Callable[[float], Any]] = {
    "linear": lambda sigma: linear,
    "gram": lambda sigma: polynomial(c=0.0),
    "poly": lambda sigma: polynomial(c=1.0),
    "gaussian": gaussian,
}
SEEN = {  # scene → the kernels that see a difference: notebook 2's theory, and notebook 4's pairs A to C
    "shifted": {"linear", "gram", "poly", "gaussian"},
    "wider": {"gram", "poly", "gaussian"},
    "slope": {"gram", "poly", "gaussian"},
    "mirrored": {"linear", "poly", "gaussian"},
    "ring": {"gaussian"},
}


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    """The file alone in a browser, without a server and without network."""
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None and os.environ.get("CI", "").lower() not in ("1", "true"):
        pytest.skip("no browser: needs chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page, troubles = browser.new_page(offline=True), []
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.set_default_timeout(60_000)
        page.set_content(PAGE.read_text(encoding="utf-8"))
        page.locator("input").fill("-0.5")  # log2 σ
        yield page
        browser.close()
    assert not troubles


def shown(page: Any) -> float:
    return float(page.locator(".means b").inner_text())


def points(page: Any) -> tuple[torch.Tensor, torch.Tensor, float]:
    found = page.evaluate("document.querySelector('.two-samples').points")
    F, S = (torch.tensor(found[name], dtype=torch.float64).T for name in "FS")
    return F, S, float(found["sigma"])


def choose(page: Any, scene: str, kernel: str) -> None:
    page.locator(".scene").select_option(scene)
    page.locator(".kernel").select_option(kernel)


@pytest.mark.parametrize("scene", SEEN)
def test_the_drawing_computes_what_the_library_computes(page: Any, scene: str) -> None:
    for name, kernel in KERNELS.items():
        choose(page, scene, name)
        F, S, sigma = points(page)
        assert shown(page) == pytest.approx(float(nstlib.mmd2(kernel(sigma), F, S)), abs=6e-4)
        assert (shown(page) > 1e-3) == (name in SEEN[scene]), name


def test_a_dragged_point_moves_and_the_numbers_follow(page: Any) -> None:
    choose(page, "ring", "linear")
    assert shown(page) == 0
    dot = page.locator("svg circle").first
    box = dot.bounding_box()
    before, *_ = points(page)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 50, box["y"] - 40, steps=4)
    page.mouse.up()
    F, S, _ = points(page)
    assert F[0, 0] > before[0, 0] + 0.5 and F[1, 0] > before[1, 0] + 0.5
    torch.testing.assert_close(F[:, 1:], before[:, 1:])
    assert shown(page) == pytest.approx(float(nstlib.mmd2(linear, F, S)), abs=6e-4) and shown(page) > 0
    dot.press("ArrowLeft")
    assert points(page)[0][0, 0] == pytest.approx(float(F[0, 0]) - 0.1)
    page.locator(".reset").click()
    assert shown(page) == 0


def test_axe_finds_nothing_serious(page: Any) -> None:
    rules = Path(pytest.importorskip("axe_playwright_python").__file__).parent / "axe.min.js"
    page.evaluate(rules.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run('.two-samples')")["violations"]
    assert not [one["id"] for one in found if one["impact"] in ("serious", "critical")]


def flow(page: Any) -> None:
    page.locator(".flow").click()
    page.wait_for_function("document.querySelector('.flow').textContent === 'Let F flow'", timeout=120_000)


def test_under_the_linear_kernel_the_sample_moves_as_a_whole(page: Any) -> None:
    choose(page, "shifted", "linear")
    before, *_ = points(page)
    flow(page)
    F, S, _ = points(page)
    torch.testing.assert_close(F.mean(1), S.mean(1), atol=1e-3, rtol=0)
    torch.testing.assert_close(torch.cov(F), torch.cov(before))


def test_under_gram_products_become_equal_on_the_wrong_side_of_the_origin(page: Any) -> None:
    choose(page, "shifted", "gram")
    flow(page)
    F, S, _ = points(page)
    torch.testing.assert_close(F @ F.T / F.shape[1], S @ S.T / S.shape[1], atol=0.02, rtol=0)
    assert F.mean(1).max() < 0 < S.mean(1).min()


def test_mirror_images_flow_with_an_offset_only(page: Any) -> None:
    choose(page, "mirrored", "gram")
    before, S, _ = points(page)
    flow(page)
    assert torch.equal(points(page)[0], before)
    choose(page, "mirrored", "poly")
    flow(page)
    F, *_ = points(page)
    torch.testing.assert_close(F.mean(1), S.mean(1), atol=0.02, rtol=0)
    torch.testing.assert_close(F @ F.T / F.shape[1], S @ S.T / S.shape[1], atol=0.05, rtol=0)


def test_a_tiny_bandwidth_makes_all_samples_different_and_a_large_one_none(page: Any) -> None:
    choose(page, "shifted", "gaussian")
    found = []
    for exponent in ("-3", "2", "-0.5"):
        page.locator("input").fill(exponent)
        found.append(shown(page))
    assert found[0] == pytest.approx(2 / 10, abs=0.03) and found[1] < 0.5 * found[2]


@pytest.mark.parametrize(
    ("name", "kernel"), [("02_two_sample_problem", "gaussian"), ("04_four_styles_of_style", "gram")]
)
def test_a_notebook_stores_the_drawing_as_it_is(name: str, kernel: str) -> None:
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    stored = [
        o.data["text/html"]
        for c in notebook.cells
        for o in c.get("outputs", [])
        if "text/html" in o.get("data", {})
    ]
    page = PAGE.read_text(encoding="utf-8").replace('data-kernel="gaussian"', f'data-kernel="{kernel}"')
    assert stored == [page], "run notebooks/regenerate.py"
