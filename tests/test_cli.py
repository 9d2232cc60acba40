"""The command line as a user meets it: exit codes, files, one line for a mistake."""

import importlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import nstlib
from nstlib.__main__ import main

ROOT = Path(__file__).parent.parent
HARBOUR, MOSAIC = "examples/contents/harbour.jpg", "examples/styles/mosaic.jpg"
QUICK = ["--size", "96", "--iterations", "6", "--quiet"]


def test_transfer_writes_a_picture_with_its_recipe(tmp_path: Path, capsys) -> None:
    out = tmp_path / "out.png"
    command = ["transfer", HARBOUR, MOSAIC, "-o", str(out), "--method", "bn:0.7+poly:0.3"]
    assert main([*command, "--gamma", "3", "--seed", "5", *QUICK]) == 0
    said = capsys.readouterr()
    assert said.out.startswith(f"{out}: 6 steps") and not said.err
    settings = nstlib.read_recipe(out)["settings"]
    assert (settings["method"], settings["gamma"], settings["seed"]) == ("bn:0.7+poly:0.3", 3.0, 5)
    assert nstlib.load_image(out).shape == (1, 3, 72, 96)


def test_the_same_command_gives_the_same_pixels_and_a_recipe_repeats_it(tmp_path: Path) -> None:
    a, b, c = (tmp_path / f"{name}.png" for name in "abc")
    options = [*QUICK, "--method", "gaussian", "--start", "random", "--seed", "3"]
    assert main(["transfer", HARBOUR, MOSAIC, "-o", str(a), *options]) == 0
    assert main(["transfer", HARBOUR, MOSAIC, "-o", str(b), *options]) == 0
    assert main(["transfer", HARBOUR, MOSAIC, "-o", str(c), "--recipe", str(a), "--quiet"]) == 0
    pictures = [nstlib.load_image(path) for path in (a, b, c)]
    assert pictures[0].equal(pictures[1]) and pictures[0].equal(pictures[2])


def test_reconstruct(tmp_path: Path) -> None:
    out = tmp_path / "texture.png"
    assert main(["reconstruct", MOSAIC, "-o", str(out), "--layer", "2", "--method", "bn", *QUICK]) == 0
    recipe = nstlib.read_recipe(out)
    assert recipe["kind"] == "reconstruct_style"
    assert recipe["settings"]["style_layers"] == ["relu1_1", "relu2_1"]


@pytest.mark.parametrize("layer", ["2", "relu2_1"])
def test_a_reconstruction_is_of_a_style_or_a_layer_and_its_recipe_repeats_it(
    tmp_path: Path, layer: str
) -> None:
    first, again = tmp_path / "first.png", tmp_path / "again.png"
    options = ["--size", "64", "--iterations", "24", "--levels", "2", "--quiet"]
    assert main(["reconstruct", MOSAIC, "-o", str(first), "--layer", layer, *options]) == 0
    assert main(["reconstruct", MOSAIC, "-o", str(again), "--recipe", str(first), "--quiet"]) == 0
    assert nstlib.load_image(first).equal(nstlib.load_image(again))
    if layer == "relu2_1":  # the content of one layer is the picture; the style of it is not
        recipe, mosaic = nstlib.read_recipe(first), nstlib.load_image(MOSAIC, size=64)
        assert recipe["kind"] == "reconstruct_content"
        assert recipe["settings"]["content_layers"] == ["relu2_1"]
        noise = torch.rand(mosaic.shape, generator=torch.Generator().manual_seed(0))
        encoder = nstlib.load_encoder(device="cpu")
        P, F, N = (encoder(x, ["relu2_1"])["relu2_1"] for x in (mosaic, nstlib.load_image(first), noise))
        assert (F - P).square().sum() < 0.1 * (N - P).square().sum()


def test_options_of_every_kind(tmp_path: Path) -> None:
    out = tmp_path / "o.png"
    options = [
        "--style-layers",
        "relu1_1",
        "relu2_1",
        "--layer-weights",
        "1",
        "0.5",
        "--lr",
        "0.02",
        "--tv",
        "1",
    ]
    arguments = ["transfer", HARBOUR, MOSAIC, "-o", str(out), "--preset", "draft", "--optimizer", "adam"]
    assert main([*arguments, *options, *QUICK]) == 0
    settings = nstlib.read_recipe(out)["settings"]
    assert (
        settings["layer_weights"] == [1.0, 0.5] and settings["optimizer"] == "adam" and settings["lr"] == 0.02
    )


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    for text in (
        "nstlib",
        "torch",
        "torchvision",
        "device",
        "threads",
        "vgg19-slim",
        "embedded): present",
        "vgg19 ",
    ):
        assert text in said


@pytest.mark.parametrize(
    ("device", "dtype", "words"),
    [
        ("tpu", "", ["NSTLIB_DEVICE: device 'tpu' does not work here", "vgg19-slim"]),
        ("cpu", "float16", ["device cpu", "NSTLIB_DTYPE must be one of", "vgg19-slim"]),
        ("cpu", "auto", ["bfloat16 in hardware)"]),
        ("cpu", "float32", ["dtype float32 (NSTLIB_DTYPE=float32)"]),
    ],
)
def test_doctor_shows_what_the_environment_chooses(
    device: str, dtype: str, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setenv("NSTLIB_DEVICE", device)
    monkeypatch.setenv("NSTLIB_DTYPE", dtype)
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert all(text in said for text in words), said


def test_train_help_names_the_plans_and_describes_every_setting(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "--plan {full,light,sharp}" in said and "(default sharp)" in said
    assert "number of training steps (default 2000)" in said


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--method", "magic"], "unknown method 'magic'"),
        (["--gamma", "-1"], "gamma must lie in"),
        (["--gamma", "much"], "gamma must be a number, got 'much'"),
        (["--size", "96.5"], "size must be a whole number"),
        (["--layer-weights", "1"], "layer_weights must hold one weight"),
        (["--style-layers", "relu8_8"], "has no layer relu8_8"),
        (["--size", "5"], "size must lie in 32 … 16384, got 5\n"),
        (["--style-weights", "0", "0.5", "-1"], "not all zero, got 0, 0.5, -1\n"),
        (["--encoder", "vgg"], "invalid choice: 'vgg'"),
        (["--preset", "drft"], "(did you mean draft?); nstlib transfer --help"),
        (["--color", "x"], "unrecognized arguments: --color x (did you mean --colours?)"),
        (["--steps=3"], "unrecognized arguments: --steps=3 (did you mean --iterations?)"),
        (["--memory", "1MB"], "and the budget is 1 MB; raise memory to at least"),
        (["--device", "tpu"], "(torch has no such device): choose one of auto, "),
        (["--initial", "https://a.org/b/c.jpg"], "https://a.org/b/c.jpg is an address: download it first"),
        (["--weights", "https://a.org/w.pth"], "nstlib: https://a.org/w.pth is an address: download"),
        (["--recipe", MOSAIC], "holds no nstlib recipe"),
        (["--weights", "nowhere.pth"], "no such weight file: "),
        (["-o", "no/such/folder/o.png"], "does not exist"),
        (["-o", "out.xyz"], "unknown image type '.xyz'; use .png"),
        (["-o", "examples"], "it is a folder: name a file in it; use .png"),
        (["-o", "out"], "its name has no suffix; use .png"),
        (["-o", "out.gif"], "GIF has only 256 colours; use .png"),
    ],
)
def test_mistakes_take_one_line_and_exit_2(change: list[str], message: str, tmp_path: Path, capsys) -> None:
    assert main(["transfer", HARBOUR, MOSAIC, "-o", str(tmp_path / "o.png"), *QUICK, *change]) == 2
    error = capsys.readouterr().err
    assert message in error and error.startswith("nstlib: ") and len(error.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND; nstlib --help"),
        (["transfr"], "(did you mean transfer?); nstlib --help"),
        (["transfer", HARBOUR, MOSAIC], "are required: -o/--output; nstlib transfer --help"),
        (["onepass", HARBOUR, MOSAIC, "--gamma", "2", "-o", "o.png"], "--gamma 2 (did you mean --strength?)"),
        (["onepass", HARBOUR, MOSAIC, "--strength", "2", "-o", "o.png"], "must lie in 0 … 1, got 2\n"),
        (["apply", "ink-liner", HARBOUR, "-o", "o.png"], "ink-liner (did you mean ink-linear?); give a file"),
        (["apply", "ink-linear", "http://a.org/b.jpg", "-o", "o.png"], "http://a.org/b.jpg is an address"),
        (["apply", "http://a.org/b.pth", HARBOUR, "-o", "o.png"], "http://a.org/b.pth is an address"),
        (["apply", "ink-linear", "examples/contents", "-o", "four.png"], "four.png is the name of a file"),
        (
            ["export", "onepass", "-o", "nstlib.onnx"],
            "nstlib.onnx is the name of a file, and results go into",
        ),
        (["apply", "nobody", HARBOUR, "-o", "results/"], "cannot save results: its name has no suffix"),
        (["apply", "nobody", "examples/contents", "-o", f"{MOSAIC}/x"], f"{MOSAIC} is no folder"),
        (["train", MOSAIC, "--images", "s3://a/b", "-o", "n.safetensors"], "s3://a/b is an address"),
        (
            ["train", MOSAIC, "--images", "examples/contents", "-o", "."],
            "output .: it is a folder",
        ),
    ],
)
def test_mistakes_in_other_commands(arguments: list[str], message: str, capsys) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.startswith("nstlib: ") and len(error.splitlines()) == 1


def test_a_budget_that_is_raised_as_the_message_says_is_enough(tmp_path: Path, capsys) -> None:
    command = ["transfer", HARBOUR, MOSAIC, "-o", str(tmp_path / "o.png"), *QUICK, "--memory"]
    assert main([*command, "5MB"]) == 2
    enough = capsys.readouterr().err.rpartition("at least ")[2].strip()
    assert main([*command, enough]) == 0


def test_a_recipe_is_no_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "a.png"
    assert main(["transfer", HARBOUR, MOSAIC, "-o", str(recipe), *QUICK]) == 0
    before = recipe.read_bytes()
    for command in (["transfer", HARBOUR, MOSAIC], ["reconstruct", HARBOUR], ["onepass", HARBOUR, MOSAIC]):
        assert main([*command, "--recipe", str(recipe), "-o", str(recipe)]) == 2
        assert "would overwrite the input" in capsys.readouterr().err
    assert recipe.read_bytes() == before


def test_unreadable_pictures_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.png"
    broken.write_text("text")
    for content in (broken, tmp_path / "absent.jpg"):
        assert main(["transfer", str(content), MOSAIC, "-o", str(tmp_path / "o.png")]) == 2
        error = capsys.readouterr().err
        assert content.name in error and len(error.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("where", "turn", "code", "words"),
    [
        ("nstlib.cli.commands.load_image", 2, 130, "nstlib: stopped"),  # while a style is loaded
        ("nstlib.synthesis.regions.calibrate", 1, 130, "nstlib: stopped"),
        ("nstlib.synthesis.regions.calibrate", 2, 130, "3 steps, .* s; stopped"),  # at the second size
        ("nstlib.synthesis.run.upsample_change", 1, 130, "3 steps, .* s; stopped"),
        ("nstlib.cli.progress.save_image", 1, 0, "10 steps, .* s$"),  # what is complete is written
        ("nstlib.images.files.to_pil", 1, 0, "10 steps, .* s$"),
    ],
)
def test_ctrl_c_at_any_time_keeps_what_there_is(
    where: str, turn: int, code: int, words: str, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in a calibration, which takes minutes for a large image in tiles, and while it is written."""
    out, calls = tmp_path / "o.png", []
    module, name = where.rsplit(".", 1)
    real = getattr(importlib.import_module(module), name)

    def press(*args, **kwargs):
        calls.append(0)
        if len(calls) == turn:
            signal.raise_signal(signal.SIGINT)
        return real(*args, **kwargs)

    monkeypatch.setattr(where, press)
    options = ["--size", "192", "--memory", "100GB", "--iterations", "10", "--palette", "0", "--levels", "2"]
    assert main(["transfer", HARBOUR, MOSAIC, "-o", str(out), *options]) == code
    said = capsys.readouterr()
    assert re.search(words, said.err + said.out, re.MULTILINE), said
    if "steps" not in words:
        assert not list(tmp_path.iterdir())
    else:
        assert nstlib.load_image(out).shape == (1, 3, 144, 192)


def test_a_terminal_shows_that_images_are_loaded(
    tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    for terminal in (True, False):
        monkeypatch.setattr(sys.stderr, "isatty", lambda terminal=terminal: terminal)
        monkeypatch.setattr("nstlib.cli.commands.load_image", lambda *_: print("loading", file=sys.stderr))
        assert main(["transfer", HARBOUR, MOSAIC, "-o", str(tmp_path / "o.png")]) != 0
        before, loading, _ = capsys.readouterr().err.partition("loading")
        assert loading and ("preparing …" in before) == terminal


@pytest.mark.skipif(os.name == "nt", reason="signals differ on Windows")
def test_ctrl_c_saves_the_last_image(tmp_path: Path) -> None:
    out = tmp_path / "o.png"
    command = [sys.executable, "-m", "nstlib", "transfer", HARBOUR, MOSAIC, "-o", str(out)]
    process = subprocess.Popen(
        [*command, "--size", "128", "--iterations", "100000"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stderr is not None
    seen = b""
    while b"loss" not in seen:  # the progress bar shows a step
        byte = process.stderr.read(1)
        assert byte, seen
        seen += byte
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130  # so a script sees that the run was cut short
    assert b"stopped" in stdout
    assert b"\nstopping, and saving" in stderr
    assert nstlib.load_image(out).shape == (1, 3, 96, 128)


@pytest.mark.skipif(os.name == "nt", reason="signals differ on Windows")
def test_ctrl_c_is_answered_while_torch_computes() -> None:
    """Python handles it after the call, which takes many seconds here."""
    code = """import torch
from nstlib.cli.progress import interrupts
with interrupts(lambda: True):
    x = torch.rand(5000, 5000, dtype=torch.float64)
    print("computing", flush=True)
    torch.linalg.eigh(x)"""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == "computing\n"
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline() == "\n" and "stopping" in process.stderr.readline()
    assert process.poll() is None  # the call is not finished
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 130
