"""The app's public API, as a client in another process sees it, and the parts that need no browser."""

import dataclasses
import functools
import io
import itertools
import json
import re
import shlex
import tempfile
import threading
import types
import urllib.request
from pathlib import Path

import pytest
import torch

pytest.importorskip("gradio")
import gradio as gr
import numpy as np
from app_server import CONTENT, SITE, STYLE, address
from gradio_client import Client, handle_file
from gradio_client.client import Job
from gradio_client.exceptions import AppError
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient

import nstlib
from demo import page
from demo.components import address as link
from demo.components import (
    common,
    controls,
    curves,
    grid,
    inputs,
    messages,
    method_controls,
    presets,
    reproduce,
)
from demo.components.method_controls import from_method, to_method
from demo.guard.blocks import GuardedBlocks
from demo.guard.middleware import Guard
from demo.runs import engine, files, limits, masks, paused, preview, ready
from demo.runs.animation import FRAMES, Animation
from demo.runs.recipes import Recipe, Source, identify
from demo.runs.results import Result, open_result
from demo.runs.stop_flags import StopFlags
from demo.tabs import history, idea, inside, result_view, stylize
from demo.tabs.compare import plan as plan_comparison
from demo.tabs.inside import plan as plan_inside
from nstlib.__main__ import main as command_line
from nstlib.feedforward.prepared import gamma_to_strength

SMALL = nstlib.Settings(size=64, iterations=4)


@functools.cache
def client(user: str = "one") -> Client:
    """A client of the app. Most tests share one: a new one reads the whole description of the API first."""
    return Client(address(), verbose=False, download_files=tempfile.mkdtemp())


def answers(job: Job) -> list[tuple]:
    """All answers of a job: (path, info) each."""
    job.result()  # it sleeps meanwhile; iterating over a job asks it every millisecond
    return job.outputs()


def ask(app: Client, **changes: object):
    options = {"size": 96, "iterations": 30, **changes}
    return app.submit(handle_file(str(CONTENT)), handle_file(str(STYLE)), api_name="/stylize", **options)


def test_only_the_documented_endpoints_are_public():
    info = client().view_api(return_format="dict")
    assert set(info["named_endpoints"]) == {"/stylize", "/onepass", "/compare"}
    assert not info["unnamed_endpoints"]
    parameters = {p["parameter_name"]: p for p in info["named_endpoints"]["/stylize"]["parameters"]}
    assert list(parameters)[:4] == ["content", "style", "method", "gamma"]
    assert "float" in parameters["gamma"]["python_type"]["type"]
    left_out = [p for p in parameters if parameters[p]["parameter_has_default"]]
    assert left_out == ["method", "gamma", "size", "iterations", "seed", "encoder", "preset", "colours"]
    assert parameters["gamma"]["parameter_default"] is None, "as the preset has it"


def test_a_preset_is_run_as_it_is_and_what_is_asked_for_wins():
    pair = handle_file(str(CONTENT)), handle_file(str(STYLE))
    _, info = answers(client().submit(*pair, api_name="/stylize", preset="draft", size=64))[-1]
    assert info["total"] == nstlib.PRESETS["draft"].iterations
    usual = nstlib.Settings().iterations
    job = client().submit(*pair, api_name="/stylize", preset="draft", size=64, iterations=usual)
    assert next(job)[1]["total"] == usual
    job.cancel()


def test_a_panorama_is_taken(tmp_path):
    Image.new("RGB", (1600, 300), "teal").save(tmp_path / "wide.png")
    job = client().submit(
        handle_file(str(tmp_path / "wide.png")),
        handle_file(str(STYLE)),
        api_name="/stylize",
        size=256,
        iterations=2,
    )
    with Image.open(answers(job)[-1][0]) as file:
        assert file.size == (256, 48)


def test_stylize_streams_pictures_and_ends_with_a_recipe_that_repeats_it():
    changes = {"method": "bn:0.7+poly(c=1):0.3", "gamma": 2.5, "seed": 4, "colours": "luminance"}
    found = answers(ask(client(), iterations=60, **changes))
    steps = [info["step"] for _, info in found]
    assert len(found) >= 2 and steps == sorted(set(steps)) and steps[-1] == 60
    path, info = found[-1]
    assert info["done"] and info["total"] == 60 and all(term.partition("/")[0] for term in info["terms"])
    recipe = nstlib.read_recipe(path)
    settings = nstlib.Settings.from_dict(recipe["settings"])
    assert (settings.gamma, settings.seed, settings.size, recipe["step"]) == (2.5, 4, 96, 60)
    assert (str(settings.discrepancy), settings.colours) == ("bn:0.7+poly(c=1):0.3", "luminance")
    with Image.open(path) as file:
        assert file.format == "PNG" and max(file.size) == 96


def test_the_picture_is_the_library_s_own():
    path, _ = answers(ask(client(), iterations=6, seed=1))[-1]
    content, style = (nstlib.load_image(p, size=96) for p in (CONTENT, STYLE))
    again = nstlib.stylize(content, style, nstlib.Settings.from_dict(nstlib.read_recipe(path)["settings"]))
    assert (nstlib.load_image(path) - again).abs().mean() < 0.02


def test_one_pass_is_the_library_s_own(request):
    pair = handle_file(str(CONTENT)), handle_file(str(STYLE))
    options = {"method": "bn", "gamma": 0.5, "size": 64, "seed": 3, "colours": "luminance"}
    path, info = client().predict(*pair, **options, api_name="/onepass")
    recipe = nstlib.read_recipe(path)
    content, style = (nstlib.load_image(p, size=64) for p in (CONTENT, STYLE))
    strength, threads = gamma_to_strength(0.5), torch.get_num_threads()
    request.addfinalizer(lambda: torch.set_num_threads(threads))
    torch.set_num_threads(recipe["threads"])  # as the app has: rounding depends on them
    again = nstlib.onepass(content, style, "bn", strength=strength, colours="luminance")
    assert (
        (nstlib.load_image(path) - again).abs().max() < 0.02 and recipe["method"] == "bn" and info["seconds"]
    )
    for options, wanted in (
        ({}, nstlib.onepass(content, style)),
        ({"strength": 0.3}, nstlib.onepass(content, style, strength=0.3)),
        ({"strength": 0}, content),
    ):
        path, _ = client().predict(*pair, size=64, **options, api_name="/onepass")
        assert (nstlib.load_image(path) - wanted).abs().max() < 0.02
    for options, words in (
        ({"method": "cubist"}, "nknown method 'cubist'"),
        ({"strength": 2}, "trength must lie in 0 … 1, got 2"),
        ({"strength": 1, "gamma": 1}, "give one of them"),
    ):
        with pytest.raises(AppError, match=words):
            client().predict(*pair, **options, api_name="/onepass")
    for bare, words in (("photo.jpg", "was not uploaded here"), ("https://a.org/b.jpg", "no addresses")):
        with pytest.raises(AppError, match=rf'{words}.* pass handle_file\("photo.jpg"\)'):
            client().predict(bare, pair[1], api_name="/onepass")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method": "cubist"}, "unknown method 'cubist'"),
        ({"size": 2000}, "size \\(px\\) may be at most 320"),
        ({"gamma": -1}, "gamma must lie in"),
        ({"iterations": 50_000}, "steps may be at most"),
        ({"preset": "none"}, "list of choices"),
        ({"size": 96.5}, "size must be a whole number"),
        ({"seed": 1.5}, "seed must be a whole number"),
    ],
)
def test_a_bad_request_says_what_is_wrong(changes, words):
    with pytest.raises(AppError, match=f"(?i){words}"):
        ask(client(), **changes).result()


def test_a_text_file_called_png_is_explained_and_the_app_lives_on(tmp_path):
    fake = tmp_path / "holiday.png"
    fake.write_text("not a picture")
    app = client()
    with pytest.raises(AppError, match=r"(?i)cannot read holiday\.png as an image"):
        app.submit(handle_file(str(fake)), handle_file(str(STYLE)), api_name="/stylize").result()
    assert answers(ask(app, iterations=2))[-1][1]["done"]


def test_two_visitors_at_once_get_their_own_pictures():
    found: dict[str, dict] = {}

    def visit(method: str) -> None:
        path, _ = answers(ask(client(method), method=method, iterations=20))[-1]
        found[method] = nstlib.read_recipe(path)["settings"] | {"pixels": Path(path).read_bytes()}

    address()  # one app for both
    threads = [threading.Thread(target=visit, args=(method,)) for method in ("linear", "gaussian")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=300)
    assert {name: values["method"] for name, values in found.items()} == {
        "linear": "linear",
        "gaussian": "gaussian",
    }
    assert found["linear"]["pixels"] != found["gaussian"]["pixels"]


def test_the_page_asks_no_other_host():
    config = re.sub(r"base64,[\w+/=]*", "", json.dumps(client().config))
    assert "googleapis" not in config and "cdn" not in config.lower()


def test_compare_streams_a_growing_sheet():
    pair = handle_file(str(CONTENT)), handle_file(str(STYLE))
    options = {"kind": "fusion", "size": 64, "iterations": 5, "api_name": "/compare"}
    found = answers(client().submit(*pair, **options))
    assert [info["finished"] for _, info in found] == [1, 2, 3, 4, 5] and found[-1][1]["done"]
    assert found[-1][1]["labels"][0] == "0.9 BN + 0.1 Gram"
    cells = nstlib.read_recipe(found[-1][0])["cells"]
    assert [c["recipe"]["settings"]["method"] for c in cells][::4] == ["bn:0.9+poly:0.1", "bn:0.1+poly:0.9"]
    with Image.open(found[-1][0]) as sheet:
        assert sheet.width > 3 * 64


# --- parts, without a server ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "linear",
        "poly",
        "poly(c=2)",
        "gaussian(bandwidth_factor=0.5)",
        "bn",
        "bn:0.7+poly(c=1):0.3",
        "linear:0.5+gaussian:0.5",
        "energy",
        "wasserstein:0.25+bn:0.75",
    ],
)
def test_the_method_controls_say_what_they_show(text):
    assert str(nstlib.method(to_method(*from_method(text)))) == str(nstlib.method(text))


def test_every_method_has_an_idea_and_a_control():
    assert set(method_controls.ALL) == set(nstlib.METHODS) - {"gram"}
    for name in method_controls.ALL:
        words = idea.describe(name)
        assert method_controls.ALL[name] in words and "<svg" in method_controls.looks(name)
        assert f"<b>{method_controls.ALL[name]}</b> looks at" in method_controls.looks(name)


def test_every_setting_has_a_control_and_every_preset_on_offer_can_be_shown():
    import app

    assert app.demo is not None
    with gr.Blocks():
        shown = controls.Controls()
        shown.add_options()
    fields = [f.name for f in dataclasses.fields(nstlib.Settings)]
    assert sorted([*shown.by_name, *controls.ELSEWHERE, *controls.HIDDEN]) == sorted(fields)
    for preset in nstlib.PRESETS.values():
        from_method(str(preset.method))
        assert set(preset.style_layers) <= set(presets.layer_names(preset.encoder))


def test_limits_are_safe_on_a_public_host_and_follow_the_environment():
    home, host = limits.read({}), limits.read({"SPACE_ID": "someone/app"})
    assert host.size < home.size and host.seconds < home.seconds and host.queue <= 64
    assert all(name in limits.LOCAL_ENCODERS for name in host.encoders), "a public host downloads nothing"
    assert limits.read({"NSTLIB_MAX_SIZE": "200", "NSTLIB_ENCODERS": "vgg19-slim"}).size == 200
    with pytest.raises(ValueError, match="NSTLIB_QUEUE"):
        limits.read({"NSTLIB_QUEUE": "many"})
    with pytest.raises(ValueError, match="vgg99"):
        limits.read({"NSTLIB_ENCODERS": "vgg99"})


def test_the_page_links_to_the_static_page_where_its_address_is_known(monkeypatch, tmp_path):
    monkeypatch.setattr(limits, "STATIC", tmp_path)
    assert limits.read({}).web == "" and limits.read({"NSTLIB_WEB": SITE}).web == SITE
    (tmp_path / "index.html").write_text("the static page")
    assert limits.read({}).web == "browser/" and limits.read({"NSTLIB_WEB": ""}).web == ""
    for wrong in ("javascript:alert(1)", "https://a.example/ onclick=x", "ftp://a.example"):
        with pytest.raises(ValueError, match="NSTLIB_WEB"):
            limits.read({"NSTLIB_WEB": wrong})
    for web, count in (("", 0), (SITE, 1)):
        monkeypatch.setattr(messages, "LIMITS", dataclasses.replace(limits.LIMITS, web=web))
        assert messages.browser_link().count(f'href="{web}"') == count
    app = Starlette(routes=[Mount("/browser", StaticFiles(directory=tmp_path, html=True))])
    asked = TestClient(Guard(app, GuardedBlocks()))
    assert asked.get("/browser/").text == "the static page"
    assert asked.get("/browser/../limits.py").status_code == asked.get("/other/").status_code == 404


def pair(settings: nstlib.Settings, **options: str) -> engine.Job:
    return engine.Job(settings, str(CONTENT), str(STYLE), **options)


def made(job: engine.Job, step: int = 0) -> Result:
    """What the page would show: one pass, or a run stopped after a step."""
    recipe = job.recipe(step)
    if step:
        found = next(found for found in job.steps(lambda: None) if found.index == step)
        pixels, library = np.asarray(nstlib.to_pil(found.image)), found.image.recipe
    else:
        pixels, library = preview.one_pass(job)
    return Result(pixels, recipe, library, job.content, None)


RUN = nstlib.Settings(method="bn:0.7+poly(c=1):0.3", gamma=2.5, size=64, iterations=4, seed=3, levels=1)
LAYERS = {"style_layers": ("relu1_1", "relu2_1"), "layer_weights": (1.0, 0.5), "lr": 0.5}
OTHER = str(STYLE.with_name("glass.jpg"))


@pytest.mark.parametrize(
    ("job", "step"),
    [
        (pair(RUN.replace(**LAYERS)), 4),
        (pair(RUN), 2),
        (pair(RUN.replace(style_weights=(0.2, 0.8)), second=OTHER), 4),
        (pair(RUN.replace(colours="luminance", style_scale=0.7)), 0),
        (pair(RUN, second=OTHER, where="left"), 0),
    ],
    ids=["run", "stopped", "two styles", "one pass", "regions"],
)
def test_the_calls_shown_make_the_picture_again(tmp_path, monkeypatch, job, step):
    result = made(job, step)
    for kind in ("contents", "styles"):
        (tmp_path / "examples" / kind).mkdir(parents=True)
    for path in (CONTENT, STYLE, Path(OTHER)):
        (tmp_path / "examples" / path.parent.name / path.name).write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)
    for name, mask in zip(reproduce.MASKS, masks.masks(job.where) or (), strict=False):
        nstlib.save_image(mask.expand(3, -1, -1), name)
    exec(reproduce.python(result.recipe), {})
    name = reproduce.result_name(result.recipe)
    shown = files.to_tensor(result.pixels)
    assert (nstlib.load_image(name) - shown).abs().mean() < 0.02
    Path(name).unlink()
    result.save(Path(name))  # the file that a user downloads, with the step at which it was paused
    words = shlex.split(reproduce.command(result.recipe))
    assert words[0] == "nstlib" and command_line(words[1:]) == 0
    assert (nstlib.load_image("again.png") - shown).abs().mean() < 0.005


def test_strength_after_the_run_is_a_blend_that_the_python_repeats(tmp_path, monkeypatch):
    result = made(pair(RUN.replace(iterations=2)), 2)
    monkeypatch.chdir(CONTENT.parents[2])
    code = reproduce.python(result.at(0.25).recipe).replace('"harbour-', f'"{tmp_path}/harbour-')
    exec(code, {})
    by_python = nstlib.load_image(next(tmp_path.glob("*.png")))
    assert (by_python - files.to_tensor(result.blended(0.25))).abs().mean() < 0.005
    photograph = nstlib.load_image(CONTENT, 64)
    assert (files.to_tensor(result.blended(0.0)) - photograph).abs().max() < 0.01


def test_a_caption_says_what_made_the_picture():
    recipe = pair(nstlib.Settings(size=256)).recipe()
    assert reproduce.caption(recipe) == "harbour × waves · linear · γ 1 · 256 px · one pass"
    run = pair(nstlib.Settings(size=256, colours="luminance", style_weights=(0.7, 0.3)), second=OTHER)
    assert reproduce.caption(run.recipe(80)) == (
        "harbour × 70 % waves + 30 % glass · linear · γ 1 · 256 px · the content's colours · 80 steps"
    )
    stopped = reproduce.caption(dataclasses.replace(pair(nstlib.Settings(size=256)).recipe(32), blend=0.5))
    assert stopped.endswith("32 of 80 steps · strength 50 %")


def test_a_result_comes_back_from_its_png(tmp_path):
    result = made(pair(RUN.replace(style_weights=(0.5, 0.5)), second=OTHER), 2)
    path = result.save(tmp_path / "mine.png", 0.5)
    pixels, recipe, library = open_result(path)
    assert recipe == result.at(0.5).recipe and (pixels == result.blended(0.5)).all()
    again = Result(pixels, recipe, library, "", None).save(tmp_path / "again.png", 1.0)
    assert open_result(again)[1] == recipe, "and goes on to say what it was"
    nstlib.save_image(nstlib.stylize(*(nstlib.load_image(p, 64) for p in (CONTENT, STYLE)), RUN), path)
    assert open_result(path)[1] == Recipe(open_result(path)[1].settings, step=4), "one of the library's, too"


@hypothesis_settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=6,
    ),
    st.sampled_from(
        ["kind", "settings", "step", "pictures", "where", "blend", "method", "lr", "style_layers"]
    ),
    st.booleans(),
)
def test_a_foreign_recipe_is_read_or_refused_in_words(value, key, inside):
    found = {"kind": "transfer"} | pair(RUN).recipe(4).as_dict()
    found |= {"settings": found["settings"] | {key: value}} if inside else {key: value}
    try:
        recipe = Recipe.read(json.loads(json.dumps(found)))
    except ValueError as error:
        assert str(error)
        return
    assert 0 <= recipe.blend <= 1 and len(recipe.styles) <= 2
    assert reproduce.caption(recipe) and reproduce.python(recipe)
    compile(reproduce.python(recipe), "snippet", "exec")


@hypothesis_settings(deadline=None)
@given(
    st.sampled_from(["linear", "bn:0.7+poly:0.3", "gaussian(bandwidth_factor=0.5)", "energy"]),
    st.floats(0.01, 100),
    st.integers(64, 320),
    st.sampled_from(["style", "luminance", "content"]),
    st.sampled_from(["", "top"]),
    st.floats(0, 1),
)
def test_a_link_brings_the_settings_back(method, gamma, size, colours, where, blend):
    chosen = {"method": method, "gamma": gamma, "size": size, "colours": colours, "lr": 0.5}
    settings = controls.DEFAULTS.replace(**chosen, style_layers=("relu1_1", "relu2_1"))
    recipe = dataclasses.replace(pair(settings, second=OTHER, where=where).recipe(), blend=blend)
    assert link.read("?" + link.write(recipe)) == (recipe, [])


def test_links_and_recipes_of_earlier_versions_are_read():
    query = "content=harbour&style=glass&second=waves&method=bn%3A0.7%2Bpoly%3A0.3&gamma=2.0&lr=0.5"
    recipe, unused = link.read(f"?{query}&style_layers=relu1_1%2Crelu2_1&where=left&detail=0.3&strength=0.5")
    assert not unused and (recipe.where, recipe.blend) == ("left", 0.5)
    assert (recipe.content, recipe.styles) == (
        identify(str(CONTENT)),
        (identify(OTHER), identify(str(STYLE))),
    )
    assert str(recipe.settings.discrepancy) == "bn:0.7+poly:0.3" and recipe.settings.lr == 0.5
    assert recipe.settings.style_layers == ("relu1_1", "relu2_1")
    names = {"content": {"name": "picture", "sha256": ""}, "styles": [vars(identify(OTHER))]}
    saved = {"kind": "transfer", "settings": {"method": "gram", "iterations": 9, "memory": "fast"}, "step": 4}
    saved |= {"pictures": names, "where": "", "detail": 0.3, "blend": 0.5}
    read = Recipe.read(saved)
    assert (read.content.name, read.styles, read.step) == ("picture", (identify(OTHER),), 4)
    assert (read.blend, read.settings.palette) == (0.5, 0.0)


def test_a_foreign_link_is_cleaned_and_what_was_left_out_is_named():
    recipe, notes = link.read("?style=glass&size=huge&gamma=-1&who=<b>&content=../etc&__theme=dark&seed=7")
    assert recipe.styles == (identify(OTHER),) and recipe.content == Source()
    assert recipe.settings == controls.DEFAULTS.replace(seed=7)
    assert [note.partition("=")[0] for note in notes] == ["size", "gamma", "who", "content"]
    assert link.read("") == (Recipe(controls.DEFAULTS), [])
    assert link.parts("?__theme=dark&__sign=x&view=projector&lesson=1") == []  # a Space adds such parts


def test_a_large_print_has_the_photo_s_own_size_within_the_limit(tmp_path, monkeypatch):
    photo = tmp_path / "photo.png"
    Image.new("RGB", (1600, 2010)).save(photo)
    for most, size in ((1024, 1024), (4096, 1984)):  # sizes are multiples of 32
        monkeypatch.setattr(inputs, "LIMITS", dataclasses.replace(limits.LIMITS, size=most))
        assert inputs.own_size(str(photo)) == size


@pytest.fixture(scope="module")
def tabs():
    """Stylize and the history of a page."""
    with gr.Blocks():
        tab = stylize.Stylize(inputs.Inputs(), ready.open_result(ready.FIRST), GuardedBlocks())
        saved = history.History(tab)
        tab.add_more()
        return tab, saved


@pytest.mark.parametrize(
    ("photo", "size", "steps", "finer"),
    [
        ((321, 481), 384, 24, (480, 24)),
        ((321, 481), 480, 24, (480, 96)),
        ((90, 60), 384, 24, (384, 96)),  # it is enlarged already
        ((900, 500), 384, 24, (768, 24)),
        ((900, 500), 768, 24, (896, 24)),
    ],
)
def test_finer_grows_to_the_size_of_the_photo_and_then_takes_more_steps(
    tmp_path, monkeypatch, tabs, photo, size, steps, finer
):
    monkeypatch.setattr(inputs, "LIMITS", dataclasses.replace(limits.LIMITS, size=1024))
    Image.new("RGB", photo).save(path := tmp_path / "photo.png")
    tab, job = tabs[0], engine.Job(SMALL.replace(size=size, iterations=steps), str(path), str(STYLE))
    monkeypatch.setattr(tab.inputs, "job", lambda values: job)
    pixels = np.zeros((size * min(photo) // max(photo), size, 3), np.uint8)
    shown = Result(pixels, job.recipe(steps), {}, str(path), job.recipe())
    values = {tab.newest: stylize.Newest(), tab.inputs.asks.count: 1, tab.view.shown: shown}
    settings = tab.jobs(values)[1].settings
    assert (settings.size, settings.iterations) == finer


def test_own_images_are_named_in_one_sentence(tmp_path, tabs):
    tab, saved = tabs
    own = [tmp_path / name for name in ("woman.jpg", "painting.jpg")]
    for number, path in enumerate(own):
        Image.new("RGB", (64, 64), (number, 0, 0)).save(path)
    recipe = engine.Job(SMALL, *map(str, own)).recipe(4)
    values = dict.fromkeys(tab.inputs.images) | {saved.known: {}, tab.view.strength: 1}
    notes = saved.controls_for(recipe, values)[2]
    words = "Upload woman.jpg and painting.jpg again to go on from here: a PNG holds only the result."
    assert notes == [words]
    for content, said in ((own[0], "images (woman.jpg, painting.jpg)"), (CONTENT, "image (painting.jpg)")):
        job = engine.Job(SMALL, str(content), str(own[1]))
        shown = Result(np.zeros((64, 64, 3), np.uint8), job.recipe(4), {}, "", None)
        assert f"It cannot contain your own {said}." in saved.link(values | {tab.view.shown: shown})[1]


@pytest.mark.parametrize(
    ("photo", "second", "lacks"),
    [(CONTENT, OTHER, ""), ("own", OTHER, "photo and style"), (CONTENT, "own", "style and second style")],
)
def test_a_link_says_which_images_its_sender_s_own_were(tmp_path, tabs, photo, second, lacks):
    tab, saved = tabs
    own = str(tmp_path / "own.png")
    Image.new("RGB", (64, 64)).save(own)
    settings = controls.DEFAULTS.replace(method="gaussian", style_weights=(0.5, 0.5))
    paths = [own if path == "own" else str(path) for path in (photo, own if lacks else STYLE, second)]
    query = link.write(engine.Job(settings, *paths[:2], second=paths[2]).recipe())
    assert link.own_images(query) == lacks
    assert link.own_images("style=glass&lesson=1") == ""  # written by hand
    values = dict.fromkeys(tab.inputs.images) | {saved.known: {}}
    values |= {tab.inputs.content: str(CONTENT), tab.inputs.style: str(STYLE)}
    opened = saved.open(query, values)
    assert (opened.get(tab.inputs.note, {"visible": False})["visible"]) == bool(lacks)
    assert opened[tab.inputs.style] == str(STYLE)  # an own style leaves its place to the example
    assert opened[tab.view.image]["value"] == str(CONTENT)  # and not an image of other settings
    assert "linear" not in opened[tab.view.caption]


def test_a_region_is_a_half_or_what_was_brushed():
    first, second = masks.masks("right")
    assert second[:, 32:].all() and not second[:, :32].any() and ((first + second) == 1).all()
    text = "f" * 16 + "0" * (1024 - 16)  # the first row: 64 cells
    assert masks.masks(text)[1].sum(1).tolist() == [64.0] + [0.0] * 63
    assert masks.masks("") == ()
    for foreign in ("middle", "F" * 1024, "0" * 1023, None, 5):
        with pytest.raises(ValueError, match="region"):
            masks.check_region(foreign)
    with pytest.raises(ValueError, match="brush"):
        masks.masks("0" * 1024)


def test_a_second_style_goes_where_it_is_sent():
    settings = nstlib.Settings(method="poly", size=64)
    alone, other = (made(engine.Job(settings, str(CONTENT), path)).pixels for path in (str(STYLE), OTHER))
    both = made(pair(settings, second=OTHER, where="right")).pixels

    def near(a, b):
        return np.abs(a.astype(float) - b).mean()

    left, right = (slice(None), slice(0, 20)), (slice(None), slice(44, 64))
    assert near(both[left], alone[left]) < near(both[left], other[left])
    assert near(both[right], other[right]) < near(both[right], alone[right])


def test_gamma_moves_one_pass_from_the_photograph_to_the_style():
    strengths = [gamma_to_strength(gamma) for gamma in (0.01, 0.1, 1, 10, 100)]
    assert strengths == sorted(strengths) and 0 < strengths[0] < 0.6 and strengths[-1] > 0.99
    photograph = np.asarray(files.load_resized(str(CONTENT), 64, 48)).astype(float)
    away = [
        np.abs(made(pair(nstlib.Settings(method="poly", gamma=gamma, size=64))).pixels - photograph).mean()
        for gamma in (0.01, 0.3, 10)
    ]
    assert away == sorted(away)


def test_the_history_keeps_the_last_results_and_no_more():
    result = made(pair(nstlib.Settings(size=64)))
    with gr.Blocks():
        view = result_view.ResultView(result)
        view.add_tools()
        view.add_more()
    values = {view.history: (), view.strength: 1.0}
    for number in range(result_view.KEPT + 3):
        one = dataclasses.replace(result, pixels=np.roll(result.pixels, number, 1))
        values |= {view.history: view.keep_result(one, values)[view.history]}
    paths = [path for path, _ in values[view.history]]
    assert len(paths) == result_view.KEPT == len(set(paths))
    assert (open_result(paths[0])[0] == one.pixels).all(), "the newest first"
    assert all(str(files.CACHE) in path for path in paths)


def test_the_animation_is_short_and_ends_with_the_result(tmp_path):
    animation = Animation()
    for number in range(100):
        animation.add(np.full((30, 40, 3), number, np.uint8))
    path = animation.save(tmp_path / "run.webp", np.full((30, 40, 3), 200, np.uint8))
    with Image.open(path) as file:
        assert FRAMES / 2 < file.n_frames <= FRAMES + 1 and file.size == (40, 30)
        file.seek(file.n_frames - 1)
        assert abs(np.asarray(file.convert("RGB")).mean() - 200) < 3


def test_a_preset_says_how_and_leaves_what_was_chosen(monkeypatch):
    chosen = controls.DEFAULTS.replace(method="energy", gamma=5.0, size=128, colours="luminance", seed=9)
    draft = presets.apply("draft", chosen)
    assert (str(draft.method), draft.gamma, draft.colours, draft.seed) == ("energy", 5.0, "luminance", 9)
    assert (draft.iterations, draft.start) == (24, "content")
    assert str(presets.apply("gatys", chosen).method) == "gram", "which the preset is about"
    monkeypatch.setattr(presets, "is_present", lambda encoder: encoder == "vgg19-slim")
    assert presets.adapted("paper").encoder == "vgg19-slim"
    assert presets.published("paper").encoder == "vgg19"
    labels = {name: label for label, name in presets.choices()}
    assert set(labels) == set(nstlib.PRESETS) and "with vgg19-slim" in labels["paper"]
    assert "with" not in labels["polish"]


def test_a_run_ends_when_its_time_is_up_and_keeps_its_picture(monkeypatch):
    clock = itertools.count(0, 0.05)
    monkeypatch.setattr(engine, "time", types.SimpleNamespace(perf_counter=lambda: next(clock)))
    job = engine.Job(SMALL.replace(iterations=100_000), str(CONTENT), str(STYLE), seconds=4)
    last = list(engine.frames(job))[-1]
    assert last.done and "time is up" in last.note and last.pixels is not None and last.recipe


def test_a_run_that_diverges_says_so_in_words(monkeypatch):
    steps = list(nstlib.transfer(nstlib.load_image(CONTENT, 64), nstlib.load_image(STYLE, 64), SMALL))
    bad = dataclasses.replace(
        steps[1], stopped="the loss ran away at step 2; this is the last good image", failed=True
    )
    monkeypatch.setattr(nstlib, "transfer", lambda *_, **__: iter([steps[0], bad]))
    last = list(engine.frames(engine.Job(SMALL, str(CONTENT), str(STYLE))))[-1]
    assert last.failed and last.pixels is not None
    words = messages.finished(last, paused=False)
    assert "ran away" in words and "alert" in words


def test_memory_and_unknown_errors_are_explained_without_details(caplog):
    assert "smaller size" in messages.explain(RuntimeError("CUDA out of memory. Tried to allocate"))
    words = messages.explain(KeyError("/srv/secret"))
    assert "went wrong" in words and "secret" not in words and "secret" in caplog.text
    heic = nstlib.ImageError("a.heic: HEIC is not supported; save it as JPEG or PNG, or install pillow-heif")
    assert messages.explain(heic) == "A.heic: HEIC is not supported; save it as JPEG or PNG"
    assert "/tmp" not in messages.explain(nstlib.ImageError("cannot read /tmp/x/a.png"), "/tmp/x/a.png")


def test_progress_only_grows_and_ends_at_one(monkeypatch):
    monkeypatch.setattr(engine, "FRAME_EVERY", 0)
    settings = SMALL.replace(size=176, iterations=10, levels=2)
    shares = [frame.share for frame in engine.frames(engine.Job(settings, str(CONTENT), str(STYLE)))]
    assert shares == sorted(shares) and len(shares) == 10 and shares[-1] == 1
    assert shares[2] < 0.15, "the small sizes are the quick ones"


def test_a_long_run_stays_cheap_to_draw():
    terms = [(i, {"content/relu4_2": 1 / i, "style/relu1_1": 2.0, "tv": 0.0}) for i in range(1, 3001)]
    drawn = curves.draw(terms, 3000)
    assert max(line.count(",") for line in drawn.split("points=")) <= curves.POINTS + 1
    assert len(drawn) < 12_000 and "relu1_1" in drawn and "nan" not in drawn


def test_stop_reaches_only_the_user_s_own_run():
    flags = StopFlags()
    with flags.run("ann", "stylize") as ann, flags.run("bob", "stylize") as bob:
        flags.stop("ann", "compare")
        assert not ann.stop.is_set()
        flags.stop("ann", "stylize")
        assert ann.stop.is_set() and not bob.stop.is_set() and not ann.replaced
        flags.stop("bob", "stylize", replaced=True)
        assert bob.replaced and not bob.ended.is_set()
    assert ann.ended.is_set() and bob.ended.is_set()
    flags.stop("ann", "stylize")  # nothing is running: nothing happens


@pytest.mark.parametrize(("kind", "pictures"), [("methods", 4), ("gamma", 5), ("fusion", 5)])
def test_comparisons_use_the_visitor_s_own_choices(kind, pictures):
    made = plan_comparison(
        kind, SMALL.replace(method="linear:0.5+gaussian:0.5", gamma=3.0), str(CONTENT), str(STYLE)
    )
    settings = [cell.job.settings for cell in made.jobs()]
    assert len(settings) == pictures and len({str(s) for s in settings}) == pictures
    assert [cell.label for cell in made.beside] == ["Content", "Style"], "the originals are always there"
    if kind == "fusion":
        assert {"linear", "gaussian"} == {str(p) for s in settings for p, _ in s.discrepancy.components()}


@pytest.mark.parametrize(("kind", "pictures"), [("style", 5), ("methods", 20), ("content", 5)])
def test_look_inside_fills_every_cell(kind, pictures, monkeypatch):
    monkeypatch.setattr(inside, "STEPS", 1)
    made = plan_inside(kind, SMALL.replace(iterations=1), str(CONTENT), str(STYLE))
    assert len(made.jobs()) == pictures
    for cell in grid.fill(dataclasses.replace(made, cells=made.cells[:2]), float("inf")):
        assert cell.job is not None
    assert made.cells[1].pixels is not None and made.cells[1].url().startswith("data:image/webp")


def test_a_comparison_has_one_clock_for_all_its_images(monkeypatch):
    made = plan_comparison("methods", SMALL, str(CONTENT), str(STYLE))
    now, given = [100.0], []

    def slow(job):
        """Frames of a run that takes four seconds, or all that it may take."""
        given.append(job.seconds)
        now[0] += min(4.0, job.seconds)
        if job.seconds < 4:
            raise ValueError("time is up: the first step was not reached")
        yield engine.Frame(1, 1, 4.0, [], done=True)

    monkeypatch.setattr(grid, "frames", slow)
    monkeypatch.setattr(grid.time, "perf_counter", lambda: now[0])
    assert [cell.label for cell in grid.fill(made, 110.0)] == [cell.label for cell in made.jobs()[:2]]
    assert given == [10.0, 6.0, 2.0] and now[0] == 110.0, (
        "each run has what the others left, the fourth nothing"
    )


def test_the_idea_counts_what_each_method_stores():
    encoder = nstlib.load_encoder("vgg19-slim")
    widths = [encoder.channels[layer] for layer in encoder.style_layers]
    counts = {
        "linear": lambda n: n,
        "bn": lambda n: 2 * n,
        "poly": lambda n: n * (n + 1) // 2,
        "poly(c=1)": lambda n: n * (n + 1) // 2 + n,
        "gaussian": lambda n: min(512, max(64, 2 * n)),
        "laplace": lambda n: min(512, max(64, 2 * n)),
        "cubic": lambda n: min(128, max(64, n)),
        "wasserstein": lambda n: n * (n + 1) // 2 + n,
        "coral": lambda n: n * (n + 1) // 2,
        "cmd": lambda n: 5 * n,
        "sliced": lambda n: 128 * min(64, max(16, n)),
        "energy": lambda n: 128 * min(64, max(16, n)),
    }
    assert {name.partition("(")[0] for name in counts} == set(method_controls.ALL)
    for name, count in counts.items():
        assert idea.numbers(name) == sum(map(count, widths)), name
    assert idea.describe("bn:0.7+poly:0.3").count("It does not see") == 2


@pytest.mark.parametrize("name", method_controls.METHODS)
def test_the_idea_links_to_a_section_that_exists(name):
    notebook, _, section = method_controls.METHODS[name]["notebook"].partition("#")
    cells = json.loads((Path("notebooks") / f"{notebook}.ipynb").read_text(encoding="utf-8"))["cells"]
    lines = [
        line.strip("# \n") for cell in cells if cell["cell_type"] == "markdown" for line in cell["source"]
    ]
    assert section in lines
    assert f"{notebook}.ipynb#{section.replace(' ', '-')}" in idea.describe(name)


def test_what_comes_back_stays_within_the_limits(monkeypatch):
    monkeypatch.setattr(controls, "is_present", lambda encoder: encoder == "vgg19-slim")
    large = nstlib.Settings(size=4096, iterations=100_000, style_scale=8, encoder="vgg19")
    settings, notes = controls.fit_limits(large)
    assert controls.check_limits(settings) == settings and settings.encoder == "vgg19-slim"
    assert len(notes) == 4 and controls.fit_limits(SMALL) == (SMALL, [])
    with pytest.raises(ValueError, match="size of strokes may be at most 2"):
        controls.check_limits(SMALL.replace(style_scale=3))


@pytest.mark.parametrize("name", ["vgg19-slim", "vgg19-random"])
def test_the_layers_on_offer_are_the_encoders(name: str) -> None:
    assert presets.layer_names(name) == list(nstlib.load_encoder(name).layers)


def test_a_ready_result_is_what_its_recipe_makes():
    """The files are JPEGs of 768 px; a run at a quarter of the size has the same colours there."""
    for name, (content, style) in ready.PAIRS.items():
        result = ready.open_result(name)
        assert max(result.pixels.shape) >= 768 and result.recipe.step == result.recipe.settings.iterations
        assert (content, style) == (result.recipe.content.stem, result.recipe.styles[0].stem)
    shown = nstlib.to_pil(files.to_tensor(ready.open_result(ready.FIRST).pixels))
    settings = ready.SETTINGS.replace(size=192)
    images = [nstlib.load_image(path, 192) for path in (CONTENT, STYLE.with_name("strokes.jpg"))]
    small = nstlib.to_pil(nstlib.stylize(*images, settings))
    there, here, photo = (
        np.asarray(image.resize((16, 12), Image.Resampling.BOX)).astype(float)
        for image in (shown, small, nstlib.to_pil(images[0]))
    )
    away = np.abs(there - here).mean()
    assert away < 0.5 * np.abs(there - photo).mean() and away < 20


def test_a_slider_takes_the_nearest_value_that_it_allows():
    with gr.Blocks():
        size = common.slider("Size", 64, 320, 96, 32, "size")
    assert [size.preprocess(value) for value in (5000, -2, 100.5, float("nan"))] == [320, 64, 100.5, 64]


def test_a_paused_run_goes_on_where_it_was_and_only_with_its_own_job():
    runs, job = paused.PausedRuns(), pair(SMALL.replace(iterations=6, levels=1))
    whole = list(engine.frames(job))[-1]
    work = runs.take("ann", job)
    first = next(frame for frame in work.run if frame.pixels is not None or frame.index)
    assert runs.keep("ann", work) and runs.take("bob", job) is not work
    again = runs.take("ann", dataclasses.replace(job))
    assert again is work
    rest = list(again.run)
    assert rest[0].index > first.index and (rest[-1].pixels == whole.pixels).all()
    runs.keep("ann", runs.take("ann", job))
    assert runs.take("ann", dataclasses.replace(job, seconds=9)).job.seconds == 9
    for number in range(paused.KEPT + 2):
        runs.keep(str(number), paused.Work(job, (frame for frame in ())))
    assert len(runs._runs) == paused.KEPT


def test_the_label_of_the_optimisation_is_true():
    for name in presets.HELP:
        assert controls.preset_of(presets.apply(name, controls.DEFAULTS)) == name
    assert controls.preset_of(controls.DEFAULTS.replace(iterations=81)) is None


def test_a_link_has_a_preview_card_with_an_image_of_this_app():
    with urllib.request.urlopen(address()) as answer:
        page = answer.read().decode()
    cards = re.findall(r'<meta (?:property|name)="((?:og|twitter):\w+)" content="([^"]*)"', page)
    assert dict(cards)["og:title"] == "Style transfer is distribution alignment"
    assert len(cards) == len(dict(cards)) and "radio" not in str(cards)
    with urllib.request.urlopen(dict(cards)["og:image"]) as answer:
        assert Image.open(io.BytesIO(answer.read())).width == 768


def filled_tab(monkeypatch):
    """(the tab Stylize of a page, values of its controls)."""
    tabs: list[stylize.Stylize] = []
    monkeypatch.setattr(page, "Stylize", lambda *args: tabs.append(stylize.Stylize(*args)) or tabs[-1])
    page.build()
    (tab,) = tabs
    inputs, size, count = tab.inputs, tab.inputs.controls.by_name["size"], tab.inputs.asks.count
    values = {part: part.value for part in inputs.all | tab.view.inputs | {tab.newest, count}}
    values |= {inputs.content: str(CONTENT), inputs.style: str(STYLE), size: 64, count: 1.0}
    values[tab.view.shown] = None
    return tab, values


def test_a_change_that_is_refused_ends_the_run_whose_status_would_replace_the_reason(monkeypatch):
    tab, values = filled_tab(monkeypatch)
    values[tab.inputs.controls.by_name["size"]] = 5
    with stylize.STOP_FLAGS.run("b", stylize.TAB) as flag:
        flag.ended.set()
        update = tab.follow(values, types.SimpleNamespace(session_hash="b"))
    assert "Size must" in str(update[tab.bar.status])
    assert flag.stop.is_set() and flag.replaced


def test_a_run_that_begins_while_a_change_is_previewed_makes_what_is_wanted_now(monkeypatch):
    tab, before = filled_tab(monkeypatch)
    inputs, count = tab.inputs, tab.inputs.asks.count
    after, updates = before | {inputs.style: str(STYLE.with_name("waves.jpg")), count: 2.0}, []

    def begin(job):
        with stylize.STOP_FLAGS.run("a", stylize.TAB) as flag:
            updates.extend(tab.run(before, flag))
        return one_pass(job)

    one_pass = monkeypatch.setattr(stylize, "one_pass", begin) or preview.one_pass
    tab.follow(after, types.SimpleNamespace(session_hash="a"))
    made = [update[tab.view.shown] for update in updates if tab.view.shown in update]
    finished = f"· {controls.DEFAULTS.iterations} steps"
    last = [update for update in updates if finished in update.get(tab.view.caption, "")]
    assert last == updates[-1:] and tab.curve in last[0], "the last image is sent once, with all that it has"
    assert {result.recipe.styles[0].name for result in made} == {"examples/styles/waves.jpg"}


def test_the_size_that_a_page_opens_with_fits_the_machine(monkeypatch):
    monkeypatch.setattr(engine, "LIMITS", limits.read({}))
    measure = engine.first_size.__wrapped__
    for seconds, size in ((0.001, 512), (1.0, 384)):
        clock = itertools.count(0, seconds)
        monkeypatch.setattr(engine.time, "perf_counter", lambda clock=clock: next(clock))
        monkeypatch.setattr(nstlib, "transfer", lambda *_, **__: iter(range(6)))
        assert measure() == size
    monkeypatch.setattr(engine, "LIMITS", limits.read({"NSTLIB_SIZE": "128"}))
    assert measure() == 128
