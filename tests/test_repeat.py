"""What a recipe records makes the image again, byte by byte; what it does not record is said."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

import nstlib
from nstlib.__main__ import main
from nstlib.cli.repeat import longest_side
from nstlib.images import save_image
from nstlib.synthesis.settings import Settings

HARBOUR, VALLEY = "examples/contents/harbour.jpg", "examples/contents/valley.jpg"
MOSAIC, WAVES = "examples/styles/mosaic.jpg", "examples/styles/waves.jpg"


@pytest.fixture(scope="module")
def harbour() -> Tensor:
    return nstlib.load_image(HARBOUR, 96)


@pytest.fixture(scope="module")
def mosaic() -> Tensor:
    return nstlib.load_image(MOSAIC, 64)


@pytest.fixture
def masks(tmp_path: Path) -> list[str]:
    left = torch.zeros(3, 30, 40)
    left[..., :15] = 1
    return [str(save_image(mask, tmp_path / f"{k}.png")) for k, mask in enumerate((left, 1 - left))]


def stopped(content: Tensor, style: Tensor) -> Tensor:
    steps = nstlib.transfer(content, style, "draft", levels=2, iterations=9, seed=3, start="random")
    return next(step for step in steps if step.index == 5).image


MADE: dict[str, tuple[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "run": ("transfer", lambda c, s: nstlib.stylize(c, s, iterations=3, method="gaussian", seed=2)),
    "stopped": ("transfer", stopped),
    "from one pass": ("transfer", lambda c, s: nstlib.stylize(c, s, "polish", iterations=2)),
    "average pooling": (
        "transfer",
        lambda c, s: nstlib.stylize(c, s, iterations=2, encoder=nstlib.load_encoder(pooling="avg")),
    ),
    "one pass": ("onepass", lambda c, s: nstlib.onepass(c, s, "gaussian", 0.7, seed=4, rounds=2, levels=1)),
    "one pass in float32": (
        "onepass",
        lambda c, s: nstlib.onepass(c, s, encoder=nstlib.load_encoder(dtype="float32"), colours="luminance"),
    ),
}


@pytest.mark.parametrize("how", MADE)
def test_an_image_that_python_made_is_repeated_by_the_command_line(
    how: str, harbour: Tensor, mosaic: Tensor, tmp_path: Path, capsys
) -> None:
    """At its own sizes, 96 and 64 px: neither is an option of the command."""
    command, make = MADE[how]
    first, again = save_image(make(harbour, mosaic), tmp_path / "a.png"), tmp_path / "b.png"
    quiet = ["--quiet"] if command == "transfer" else []
    assert main([command, HARBOUR, MOSAIC, "-o", str(again), "--recipe", str(first), *quiet]) == 0
    assert nstlib.load_image(first).equal(nstlib.load_image(again))
    assert capsys.readouterr().err == ""
    there, here = nstlib.read_recipe(first), nstlib.read_recipe(again)
    assert there | {"settings": 0} == here | {"settings": 0}
    assert there["inputs"]["content"] | {"sha256": ""} == {
        "name": "harbour.jpg",
        "size": [72, 96],
        "sha256": "",
    }
    assert there.get("step") == (5 if how == "stopped" else there.get("settings", {}).get("iterations"))


@pytest.mark.parametrize("command", ["transfer", "onepass"])
def test_masks_and_an_initial_image_are_recorded_and_missed(
    command: str, masks: list[str], tmp_path: Path, capsys
) -> None:
    first, again, other = (str(tmp_path / f"{name}.png") for name in ("first", "again", "other"))
    given = ["--mask", *masks] + (["--initial", VALLEY] if command == "transfer" else [])
    options = ["--iterations", "3", "--quiet"] if command == "transfer" else []
    call = [command, HARBOUR, MOSAIC, WAVES, "-o"]
    assert main([*call, first, "--size", "80", *given, *options]) == 0
    assert main([*call, again, "--recipe", first, *given, *options[2:]]) == 0
    assert nstlib.load_image(first).equal(nstlib.load_image(again))
    assert capsys.readouterr().err == ""
    assert main([*call, other, "--recipe", first, *options[2:]]) == 0
    said = capsys.readouterr().err
    assert "note: masks: 2 in the recipe (0.png, 1.png), 0 here; give them with --mask" in said
    assert ("initial: 1 in the recipe (valley.jpg)" in said) == (command == "transfer")
    assert main([*call, other, "--recipe", first, *options[2:], "--mask", *reversed(masks)]) == 0
    assert (
        "masks: 1.png at 40 x 30 px is not the image of the recipe, 0.png at 40 x 30 px"
        in capsys.readouterr().err
    )


def test_another_image_is_named_and_an_own_size_is_obeyed(tmp_path: Path, capsys) -> None:
    first, again = (str(tmp_path / f"{name}.png") for name in "ab")
    assert (
        main(["transfer", HARBOUR, MOSAIC, "-o", first, "--size", "64", "--iterations", "2", "--quiet"]) == 0
    )
    call = ["-o", again, "--recipe", first, "--quiet"]
    assert main(["transfer", VALLEY, MOSAIC, *call]) == 0
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "note: content: valley.jpg at 64 x 48 px is not the image of the recipe, harbour.jpg at 64 x 48 px"
    ]
    assert main(["transfer", HARBOUR, MOSAIC, WAVES, *call, "--size", "48"]) == 0
    said = capsys.readouterr().err
    assert "styles: 2" not in said and "styles: 1 in the recipe (mosaic.jpg), 2 here" in said
    assert max(nstlib.load_image(again).shape) == 48
    assert main(["reconstruct", MOSAIC, *call]) == 0
    assert "the recipe is of the kind transfer, this image of reconstruct_style" in capsys.readouterr().err


class Twice(nstlib.LinearMMD):
    def distance(self, F, summary, weights=None):
        return 2 * super().distance(F, summary, weights)


def test_what_a_recipe_cannot_hold_is_said_in_it_and_at_the_repeat(
    harbour: Tensor, tmp_path: Path, capsys
) -> None:
    cropped = harbour[..., :64]
    image = nstlib.stylize(cropped, harbour, method=Twice(), iterations=1, levels=1)
    recipe = image.recipe  # type: ignore[attr-defined]
    assert recipe["unrecorded"] == [
        "the method linear is code of your own: to repeat the image, pass or register it again"
    ]
    assert recipe["inputs"]["content"]["name"] == "(in memory)"
    path = save_image(image, tmp_path / "a.png")
    assert main(["transfer", HARBOUR, HARBOUR, "-o", str(tmp_path / "b.png"), "--recipe", str(path)]) == 0
    said = capsys.readouterr().err
    assert "note: not in the recipe: the method linear is code of your own" in said
    assert (
        "content: harbour.jpg at 72 x 54 px is not the image of the recipe, (in memory) at 64 x 72 px" in said
    )
    for method, own in (
        (nstlib.GaussianMMD(bandwidth_factor=2, seed=5), 0),
        (nstlib.BNStatistics(epsilon=0.1), 1),
        ("bn:0.7+poly(c=2):0.3", 0),
        (nstlib.Fusion({Twice(): 1, nstlib.PolynomialMMD(): 1}), 1),
    ):
        assert len(Settings(method=method).unrecorded) == own


def test_a_network_or_the_other_command_is_named(
    harbour: Tensor, mosaic: Tensor, tmp_path: Path, capsys
) -> None:
    out = str(tmp_path / "out.png")
    network, pass_, run = (str(tmp_path / f"{name}.png") for name in ("network", "pass", "run"))
    assert main(["apply", "strokes-gram", HARBOUR, "-o", network, "--size", "64", "--strength", "0.5"]) == 0
    save_image(nstlib.onepass(harbour, mosaic), pass_)
    save_image(nstlib.stylize(harbour, mosaic, iterations=1, levels=1), run)
    for command, recipe, words in (
        ("transfer", network, "nstlib apply strokes-gram IMAGE -o OUTPUT --strength 0.5 --size 64"),
        ("onepass", network, "nstlib apply strokes-gram"),
        ("transfer", pass_, f"nstlib onepass … --recipe {pass_}"),
        ("onepass", run, f"nstlib transfer … --recipe {run}"),
    ):
        assert main([command, HARBOUR, MOSAIC, "-o", out, "--recipe", recipe]) == 2
        assert words in capsys.readouterr().err
    assert not Path(out).exists()


OLD = {  # as versions before wrote them: kept to be read for ever
    "run": {
        "kind": "transfer",
        "settings": {"method": "linear", "gamma": 1.0, "size": 512, "iterations": 3, "levels": 1, "lr": None},
        "weights_sha256": "0",
        "device": "cpu",
        "versions": {"nstlib": "0.0.9", "torch": "2.1", "python": "3.11"},
    },
    "no kind": {"settings": {"method": "bn", "iterations": 2, "levels": 1, "style_layers": ["relu1_1"]}},
    "one pass": {
        "kind": "onepass",
        "method": "bn",
        "levels": 2,
        "colours": "style",
        "style_scale": 1.0,
        "style_weights": [],
        "strength": 0.8,
        "detail": 1.0,
        "palette": 1.0,
        "rounds": 1,
    },
}


@pytest.mark.parametrize("name", OLD)
def test_recipes_of_older_versions_are_repeated(name: str, tmp_path: Path, capsys) -> None:
    """At the size of their image: they recorded no other."""
    old = save_image(torch.zeros(1, 3, 48, 64), tmp_path / "old.png", OLD[name])
    out = tmp_path / "out.png"
    command = "onepass" if name == "one pass" else "transfer"
    assert main([command, HARBOUR, MOSAIC, "-o", str(out), "--recipe", str(old)]) == 0
    assert "older version and does not say which images" in capsys.readouterr().err
    recipe, image = nstlib.read_recipe(out), nstlib.load_image(out)
    assert image.shape == (1, 3, 48, 64)
    content, style = (nstlib.load_image(path, 64) for path in (HARBOUR, MOSAIC))
    if name == "one pass":
        expected = nstlib.onepass(content, style, "bn", 0.8)
    else:
        assert recipe["settings"]["palette"] == 0
        expected = nstlib.stylize(content, style, Settings.from_dict(OLD[name]["settings"] | {"size": 64}))
    assert (image - expected).abs().max() < 1 / 255


@pytest.mark.parametrize(
    "recipe",
    [
        {"inputs": 5, "size": [64, "x"]},
        {"inputs": {"content": [None, 3], "styles": "mosaic", "masks": {"size": [1]}}, "step": "all"},
        {"inputs": {"content": {"size": [0, -5], "name": "\x1b[31m"}}, "unrecorded": {"a": 1}, "blend": [1]},
        {"versions": [1], "threads": 10**9, "device": {"a": 1}, "unrecorded": ["\x07"]},
    ],
)
def test_a_strange_recipe_is_no_trouble(recipe: dict, tmp_path: Path, capsys) -> None:
    recipe = {"kind": "transfer", "settings": {"iterations": 1, "levels": 1}} | recipe
    path = save_image(torch.zeros(1, 3, 48, 64), tmp_path / "old.png", recipe)
    assert (
        main(["transfer", HARBOUR, MOSAIC, "-o", str(tmp_path / "o.png"), "--recipe", str(path), "--quiet"])
        == 0
    )
    said = capsys.readouterr().err
    assert "Traceback" not in said and "\x1b" not in said and "\x07" not in said
    with pytest.raises(ValueError, match="asks for an image of 99999 x 9 px: give a different --size"):
        longest_side({"size": [9, 99999]}, "content", 0, 512)


def test_a_recipe_stays_short_whatever_files_are_called(harbour: Tensor, tmp_path: Path) -> None:
    small = harbour[..., :16, :16]
    styles = [small.clone() for _ in range(64)]
    for style in styles:
        style.source = "𝔘" * 250 + "\udcff"  # type: ignore[attr-defined]
    masks = [torch.ones(2, 2)] * 64
    step = next(
        nstlib.transfer(small, styles, masks=masks, iterations=1, palette=0, style_layers=("relu1_1",))
    )
    path = save_image(step.image, tmp_path / "a.png")
    assert len(json.dumps(nstlib.read_recipe(path), ensure_ascii=False).encode()) < 80_000


def test_an_output_may_not_replace_an_input(masks: list[str], tmp_path: Path, capsys) -> None:
    photo = tmp_path / "photo.png"
    save_image(nstlib.load_image(HARBOUR, 64), photo)
    before, link = photo.read_bytes(), tmp_path / "link.png"
    link.symlink_to(photo)
    mine = str(photo)
    for arguments in (
        ["transfer", mine, MOSAIC],
        ["transfer", HARBOUR, MOSAIC, mine],
        ["transfer", HARBOUR, MOSAIC, "--mask", mine],
        ["transfer", HARBOUR, MOSAIC, "--initial", mine],
        ["reconstruct", mine],
        ["onepass", HARBOUR, mine],
        ["apply", "strokes-gram", mine],
    ):
        for target in (photo, link, tmp_path / "." / "photo.png"):
            assert main([*arguments, "-o", str(target)]) == 2
            assert "would overwrite the input" in capsys.readouterr().err
    assert photo.read_bytes() == before and link.is_symlink()
