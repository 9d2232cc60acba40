"""The app's public API, as a client in another process sees it, and the parts that need no browser."""

import json
import threading
from pathlib import Path

import pytest

pytest.importorskip("gradio")
from app_server import CONTENT, STYLE, address
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

import nstlib


def client(folder: Path) -> Client:
    return Client(address(), verbose=False, download_files=str(folder))


def ask(app: Client, **changes: object):
    options = {"size": 96, "iterations": 30, **changes}
    return app.submit(handle_file(str(CONTENT)), handle_file(str(STYLE)), api_name="/stylize", **options)


def test_only_the_documented_endpoints_are_public(tmp_path):
    info = client(tmp_path).view_api(return_format="dict")
    assert "/stylize" in info["named_endpoints"]
    assert set(info["named_endpoints"]) <= {"/stylize", "/compare"} and not info["unnamed_endpoints"]
    parameters = {p["parameter_name"]: p for p in info["named_endpoints"]["/stylize"]["parameters"]}
    assert list(parameters)[:4] == ["content", "style", "method", "gamma"]
    assert (
        parameters["gamma"]["python_type"]["type"] == "float"
        and parameters["gamma"]["parameter_default"] == 1
    )
    assert parameters["iterations"]["parameter_has_default"]


def test_stylize_streams_pictures_and_ends_with_a_recipe_that_repeats_it(tmp_path):
    answers = list(ask(client(tmp_path), method="bn:0.7+poly(c=1):0.3", gamma=2.5, seed=4, iterations=400))
    steps = [info["step"] for _, info in answers]
    assert len(answers) >= 2 and steps == sorted(set(steps)) and steps[-1] == 400
    path, info = answers[-1]
    assert info["done"] and info["total"] == 400 and all(term.partition("/")[0] for term in info["terms"])
    recipe = nstlib.read_recipe(path)
    settings = nstlib.Settings.from_dict(recipe["settings"])
    assert (settings.gamma, settings.seed, settings.size, recipe["step"]) == (2.5, 4, 96, 400)
    assert str(settings.discrepancy) == "bn:0.7+poly(c=1):0.3"
    with Image.open(path) as file:
        assert file.format == "PNG" and max(file.size) == 96


def test_the_picture_is_the_library_s_own(tmp_path):
    path, _ = list(ask(client(tmp_path), iterations=6, seed=1))[-1]
    content, style = (nstlib.load_image(p, size=96) for p in (CONTENT, STYLE))
    again = nstlib.stylize(content, style, nstlib.Settings.from_dict(nstlib.read_recipe(path)["settings"]))
    assert (nstlib.load_image(path) - again).abs().mean() < 0.02


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method": "cubist"}, "unknown method 'cubist'"),
        ({"size": 2000}, "at most 320 px"),
        ({"gamma": -1}, "gamma must lie in"),
        ({"iterations": 50_000}, "steps here"),
        ({"preset": "none"}, "presets are"),
    ],
)
def test_a_bad_request_says_what_is_wrong(tmp_path, changes, words):
    with pytest.raises(AppError, match=f"(?i){words}"):
        ask(client(tmp_path), **changes).result()


def test_a_text_file_called_png_is_explained_and_the_app_lives_on(tmp_path):
    fake = tmp_path / "holiday.png"
    fake.write_text("not a picture")
    app = client(tmp_path)
    with pytest.raises(AppError, match=r"(?i)cannot read holiday\.png as an image"):
        app.submit(handle_file(str(fake)), handle_file(str(STYLE)), api_name="/stylize").result()
    assert list(ask(app, iterations=2))[-1][1]["done"]


def test_two_visitors_at_once_get_their_own_pictures(tmp_path):
    found: dict[str, dict] = {}

    def visit(method: str) -> None:
        path, _ = list(ask(client(tmp_path / method), method=method, iterations=60))[-1]
        found[method] = nstlib.read_recipe(path)["settings"] | {"pixels": Path(path).read_bytes()}

    threads = [threading.Thread(target=visit, args=(method,)) for method in ("linear", "gaussian")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert {name: values["method"] for name, values in found.items()} == {
        "linear": "linear",
        "gaussian": "gaussian",
    }
    assert found["linear"]["pixels"] != found["gaussian"]["pixels"]


def test_the_page_asks_no_other_host(tmp_path):
    config = json.dumps(client(tmp_path).config)
    assert "googleapis" not in config and "cdn" not in config.lower()
