"""The app's public API, as a client in another process sees it, and the parts that need no browser."""

import dataclasses
import json
import shlex
import threading
from pathlib import Path

import pytest

pytest.importorskip("gradio")
from app_server import CONTENT, STYLE, address
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

import nstlib
from demo.parts import controls, curves, grid, ideas, messages, method_controls, reproduce
from demo.parts.method_controls import spell, unspell
from demo.rooms import idea
from demo.rooms.compare import plan as plan_comparison
from demo.rooms.inside import plan as plan_inside
from demo.runs import engine, files, limits
from demo.runs.desk import Desk
from nstlib.__main__ import main as command_line

SMALL = nstlib.Settings(size=64, iterations=4)


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
    assert "float" in parameters["gamma"]["python_type"]["type"]
    left_out = [p for p in parameters if parameters[p]["parameter_has_default"]]
    assert left_out == ["method", "gamma", "size", "iterations", "seed", "encoder", "preset"]
    assert parameters["gamma"]["parameter_default"] is None, "as the preset has it"


def test_a_preset_is_run_as_it_is_and_what_is_asked_for_wins(tmp_path):
    pair = handle_file(str(CONTENT)), handle_file(str(STYLE))
    _, info = list(client(tmp_path).submit(*pair, api_name="/stylize", preset="draft", size=64))[-1]
    assert info["total"] == nstlib.PRESETS["draft"].iterations
    usual = nstlib.Settings().iterations
    job = client(tmp_path).submit(*pair, api_name="/stylize", preset="draft", size=64, iterations=usual)
    assert list(job)[-1][1]["total"] == usual


def test_a_panorama_is_taken(tmp_path):
    Image.new("RGB", (1600, 300), "teal").save(tmp_path / "wide.png")
    job = client(tmp_path).submit(
        handle_file(str(tmp_path / "wide.png")),
        handle_file(str(STYLE)),
        api_name="/stylize",
        size=256,
        iterations=2,
    )
    with Image.open(list(job)[-1][0]) as file:
        assert file.size == (256, 48)


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
        ({"preset": "none"}, "list of choices"),
        ({"size": 96.5}, "size must be a whole number"),
        ({"seed": 1.5}, "seed must be a whole number"),
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


def test_compare_streams_a_growing_sheet(tmp_path):
    pair = handle_file(str(CONTENT)), handle_file(str(STYLE))
    options = {"kind": "fusion", "size": 64, "iterations": 5, "api_name": "/compare"}
    answers = list(client(tmp_path).submit(*pair, **options))
    assert [info["finished"] for _, info in answers] == [1, 2, 3, 4, 5] and answers[-1][1]["done"]
    assert answers[-1][1]["labels"][0] == "0.9 BN + 0.1 Gram"
    cells = nstlib.read_recipe(answers[-1][0])["cells"]
    assert [c["recipe"]["settings"]["method"] for c in cells][::4] == ["bn:0.9+poly:0.1", "bn:0.1+poly:0.9"]
    with Image.open(answers[-1][0]) as sheet:
        assert sheet.width > 3 * 64


# --- parts, without a server ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "linear",
        "poly",
        "poly(c=2)",
        "gaussian(factor=0.5)",
        "bn",
        "bn:0.7+poly(c=1):0.3",
        "linear:0.5+gaussian:0.5",
        "energy",
        "wasserstein:0.25+bn:0.75",
    ],
)
def test_the_method_controls_say_what_they_show(text):
    assert str(nstlib.method(spell(*unspell(text)))) == str(nstlib.method(text))


def test_every_method_has_an_idea_and_a_control():
    assert set(method_controls.ALL) == set(nstlib.METHODS) - {"gram"} == set(ideas.IDEAS)
    for name in method_controls.ALL:
        values = unspell(name)
        words = idea.describe(*values[:3], *values[4:])
        assert method_controls.ALL[name] in words and idea.memory(*values[:3], *values[4:6]).count("<li") >= 5


def test_every_setting_has_a_control_and_every_preset_on_offer_can_be_shown():
    import app

    assert app.demo is not None
    assert set(controls.FEATURED) <= set(controls.FIELDS)
    assert {f.name for f in dataclasses.fields(nstlib.Settings)} == set(controls.FIELDS)
    for preset in nstlib.PRESETS.values():
        unspell(str(preset.method))
        assert set(preset.style_layers) <= set(controls.layer_names(preset.encoder))


def test_limits_are_safe_on_a_public_host_and_follow_the_environment():
    home, host = limits.read({}), limits.read({"SPACE_ID": "someone/app"})
    assert host.size < home.size and host.seconds < home.seconds and host.queue <= 20
    assert all(name in limits.LOCAL_ENCODERS for name in host.encoders), "a public host downloads nothing"
    assert limits.read({"NSTLIB_MAX_SIZE": "200", "NSTLIB_ENCODERS": "vgg19-slim"}).size == 200
    with pytest.raises(ValueError, match="NSTLIB_QUEUE"):
        limits.read({"NSTLIB_QUEUE": "many"})
    with pytest.raises(ValueError, match="vgg99"):
        limits.read({"NSTLIB_ENCODERS": "vgg99"})


def test_the_calls_shown_make_the_picture_again(tmp_path, monkeypatch):
    settings = nstlib.Settings(
        method="bn:0.7+poly(c=1):0.3", gamma=2.5, size=64, iterations=4, seed=3, levels=1
    )
    settings = settings.replace(style_layers=("relu1_1", "relu2_1"), layer_weights=(1.0, 0.5), lr=0.5)
    frames = list(engine.frames(engine.Job(settings, str(CONTENT), str(STYLE))))
    for path in (CONTENT, STYLE):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)
    exec(reproduce.python(settings, str(CONTENT), str(STYLE)), {})
    name = reproduce.file_name(settings, str(CONTENT), str(STYLE))
    by_python = nstlib.load_image(name)
    assert (by_python - files.to_tensor(frames[-1].pixels)).abs().mean() < 0.02
    Path(name).unlink()
    words = shlex.split(reproduce.command(settings, str(CONTENT), str(STYLE)))
    assert words[:3] == ["python", "-m", "nstlib"] and command_line(words[3:]) == 0
    assert (nstlib.load_image(name) - by_python).abs().mean() < 0.02


def test_a_run_ends_when_its_time_is_up_and_keeps_its_picture():
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
    words = messages.finished(last, stopped_by_visitor=False)
    assert "ran away" in words and "alert" in words


def test_memory_and_unknown_errors_are_explained_without_details(caplog):
    assert "smaller size" in messages.explain(RuntimeError("CUDA out of memory. Tried to allocate"))
    words = messages.explain(KeyError("/srv/secret"))
    assert "our side" in words and "secret" not in words and "secret" in caplog.text
    assert "/tmp" not in messages.explain(nstlib.ImageError("cannot read /tmp/x/a.png"), "/tmp/x/a.png")


def test_progress_only_grows_and_ends_at_one():
    settings = nstlib.Settings(size=512, iterations=100)
    shares = [messages.work_done(settings, i) for i in range(101)]
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] == pytest.approx(1)
    assert shares[33] < 0.2, "the small sizes are the quick ones"


def test_a_long_run_stays_cheap_to_draw():
    history = curves.History(3000)
    history.add([(i, {"content/relu4_2": 1 / i, "style/relu1_1": 2.0, "tv": 0.0}) for i in range(1, 3001)])
    assert len(history.points) <= curves.POINTS + 1
    drawn = curves.draw(history)
    assert len(drawn) < 12_000 and "relu1_1" in drawn and "nan" not in drawn


def test_stop_reaches_only_the_visitor_s_own_run():
    desk = Desk()
    with desk.run("ann", "stylize") as ann, desk.run("bob", "stylize") as bob:
        desk.stop("ann", "compare")
        assert not ann.is_set()
        desk.stop("ann", "stylize")
        assert ann.is_set() and not bob.is_set()
    desk.stop("ann")  # nothing is running: nothing happens


@pytest.mark.parametrize(("kind", "pictures"), [("methods", 4), ("gamma", 5), ("fusion", 5)])
def test_comparisons_use_the_visitor_s_own_choices(kind, pictures):
    made = plan_comparison(
        kind, SMALL.replace(method="linear:0.5+gaussian:0.5", gamma=3.0), str(CONTENT), str(STYLE), 9
    )
    settings = [cell.job.settings for cell in made.jobs()]
    assert len(settings) == pictures and len({str(s) for s in settings}) == pictures
    assert [cell.label for cell in made.beside] == ["Content", "Style"], "the originals are always there"
    if kind == "fusion":
        assert {"linear", "gaussian"} == {str(p) for s in settings for p, _ in s.discrepancy.parts()}


@pytest.mark.parametrize(("kind", "pictures"), [("style", 5), ("methods", 20), ("content", 5)])
def test_look_inside_fills_every_cell(kind, pictures):
    made = plan_inside(kind, SMALL.replace(iterations=1), str(CONTENT), str(STYLE), 9)
    assert len(made.jobs()) == pictures
    for cell in grid.fill(dataclasses.replace(made, cells=made.cells[:2])):
        assert cell.job is not None
    assert made.cells[1].pixels is not None and made.cells[1].url().startswith("data:image/webp")


def test_the_idea_counts_what_each_method_keeps():
    encoder = nstlib.load_encoder("vgg19-slim")
    picture = nstlib.load_image(STYLE, size=64)
    for name in idea.IDEAS:
        kept = nstlib.method(name).summary
        features = encoder(picture, encoder.style_layers)
        parts = {
            "linear": ("mean",),
            "bn": ("mean", "deviation"),
            "gaussian": ("embedding",),
            "laplace": ("embedding",),
            "sliced": ("quantiles",),
            "energy": ("quantiles",),
            "cubic": ("products",),
            "cmd": ("moments",),
        }.get(name)
        if parts:
            assert idea.numbers(name) == sum(
                kept(F)[part].numel() for F in features.values() for part in parts
            )
    assert idea.numbers("poly") == sum(
        n * (n + 1) // 2 for n in (encoder.channels[x] for x in encoder.style_layers)
    )
    assert idea.describe("fusion", "energy", 0, "bn", "poly", 0.3).count("It cannot see") == 2


@pytest.mark.parametrize("name", idea.IDEAS)
def test_the_idea_links_to_a_section_that_exists(name):
    notebook, _, section = idea.IDEAS[name].notebook.partition("#")
    cells = json.loads((Path("notebooks") / f"{notebook}.ipynb").read_text(encoding="utf-8"))["cells"]
    lines = [
        line.strip("# \n") for cell in cells if cell["cell_type"] == "markdown" for line in cell["source"]
    ]
    assert section in lines
    assert f"{notebook}.ipynb#{section.replace(' ', '-')}" in idea.describe(name, name, 0, name, name, 0.5)
