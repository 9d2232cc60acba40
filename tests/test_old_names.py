"""Old names: keywords warn until the next release; texts that earlier versions wrote are read for ever."""

import contextlib
import dataclasses
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import nstlib
from demo.components import address
from nstlib.__main__ import make_parser
from nstlib.alignment.palette import Palette
from nstlib.alignment.sketches import CubicMMD
from nstlib.encoders.networks import Network
from nstlib.feedforward.checkpoint import load_checkpoint, save_checkpoint
from nstlib.feedforward.networks import FOLDER, METADATA, FeedForward, load_feedforward
from nstlib.synthesis.objective import Objective
from nstlib.synthesis.regions import Region

IMAGE = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))


class Cancelled(Exception):
    pass


def cancel() -> None:
    raise Cancelled


@pytest.mark.parametrize(
    ("call", "old", "new"),
    [
        (lambda: nstlib.GaussianMMD(factor=2.0), "factor", nstlib.GaussianMMD(bandwidth_factor=2.0)),
        (lambda: nstlib.alignment.LaplaceMMD(features=8), "features", nstlib.method("laplace(n_features=8)")),
        (lambda: CubicMMD(features=8), "features", CubicMMD(n_features=8)),
        (
            lambda: nstlib.alignment.SlicedWasserstein(directions=4),
            "directions",
            nstlib.method("sliced(n_projections=4)"),
        ),
        (
            lambda: nstlib.alignment.EnergyDistance(levels=4),
            "levels",
            nstlib.method("energy(n_quantiles=4)"),
        ),
        (lambda: Palette(free=0.1), "free", Palette(tolerance=0.1)),
        (lambda: Palette(tolerance=0.1).free, "free", 0.1),
        (lambda: nstlib.method("gaussian(n_features=7)").features, "features", 7),
        (
            lambda: Region(which=(1,), weights=(1,), mask=None, palette={}, covariances=[]).which,
            "which",
            (1,),
        ),
        (lambda: Network(("a",), "a", margin=8).padding, "margin", 8),
        (lambda: FeedForward(card={"style": "a"}).metadata["style"], "card", "a"),
        (lambda: FeedForward(metadata={"style": "a"}).card["style"], "card", "a"),
    ],
)
def test_an_old_keyword_or_attribute_works_and_warns_its_caller(
    call: Callable[[], Any], old: str, new: Any
) -> None:
    with pytest.warns(DeprecationWarning, match=f"^'{old}' of nstlib's .* use '") as caught:
        assert call() == new
    assert {warning.filename for warning in caught} == {__file__}


@pytest.mark.parametrize(
    "run",
    [
        lambda **how: next(nstlib.transfer(IMAGE, IMAGE, **how)),
        lambda **how: nstlib.stylize(IMAGE, IMAGE, **how),
        lambda **how: next(nstlib.reconstruct_style(IMAGE, **how)),
        lambda **how: nstlib.synthesis.calibrate(
            Objective({"x": IMAGE}, ()), lambda x: {"x": x}, IMAGE, **how
        ),
    ],
)
def test_between_is_check_cancel(run: Callable[..., Any]) -> None:
    words = "use 'check_cancel'"
    with pytest.warns(DeprecationWarning, match=words) as caught, contextlib.suppress(Cancelled):
        run(between=cancel)
    assert len(caught) == 1 and caught[0].filename == __file__
    with pytest.raises(TypeError, match="got 'check_cancel' twice"), pytest.warns(DeprecationWarning):
        run(between=cancel, check_cancel=cancel)


def test_replace_with_an_old_keyword_names_the_new_one() -> None:
    words = "GaussianMMD got 'n_features' twice: 'features' is its old name; give 'n_features' alone"
    with pytest.raises(TypeError, match=words), pytest.warns(DeprecationWarning):
        dataclasses.replace(nstlib.GaussianMMD(), features=8)


def test_a_checkpoint_under_an_old_spelling_of_its_method_resumes(tmp_path: Path) -> None:
    network, path = torch.nn.Linear(2, 2), tmp_path / "checkpoint.pt"
    adam = torch.optim.Adam(network.parameters())
    saved = {"iterations": 9, "method": "gaussian(factor=2,features=64)"}
    save_checkpoint(path, network, adam, {"done": 3, "seconds": 1.0, "training": saved})
    same = saved | {"method": "gaussian(n_features=64, bandwidth_factor=2.0)"}
    assert load_checkpoint(path, network, adam, same) == (3, 1.0, 9)
    with pytest.raises(ValueError, match=r"method 'gaussian\(factor=2,features=64\)' there, 'bn' here"):
        load_checkpoint(path, network, adam, same | {"method": "bn"})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("gaussian(factor=2,features=64)", "gaussian(bandwidth_factor=2,n_features=64)"),
        ("laplace(factor=0.5)", "laplace(bandwidth_factor=0.5)"),
        ("cubic(c=1,features=64):0.5+bn", "cubic(c=1,n_features=64):0.5+bn:1"),
        ("sliced(directions=4,levels=8)", "sliced(n_projections=4,n_quantiles=8)"),
        ("energy(levels=8)", "energy(n_quantiles=8)"),
    ],
)
def test_old_spellings_of_methods_are_read_for_ever(old: str, new: str, tmp_path: Path) -> None:
    """In the grammar, in the recipe of a PNG, and in a link of the app, without a warning."""
    recipe = {"kind": "transfer", "settings": nstlib.Settings().as_dict() | {"method": old}}
    path = nstlib.save_image(IMAGE, tmp_path / "old.png", recipe)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert str(nstlib.method(old)) == new
        assert str(nstlib.Settings.from_dict(nstlib.read_recipe(path)["settings"]).discrepancy) == new
        found, unused = address.read(f"method={old}".replace("+", "%2B"))
    assert (str(found.settings.discrepancy), unused) == (new, [])


def test_an_old_spelling_is_not_an_option_of_other_methods() -> None:
    with pytest.raises(ValueError, match="method 'bn' has no option 'features'"):
        nstlib.method("bn(features=3)")
    with pytest.raises(ValueError, match="has its option 'n_features' twice"):
        nstlib.method("gaussian(features=3,n_features=4)")


def test_the_old_option_of_the_command_line_is_read() -> None:
    command = ["train", "a.jpg", "--images", "photos", "-o", "a.safetensors"]
    assert make_parser(["train"]).parse_args([*command, "--begin", "waves-bn"]).init_from == "waves-bn"
    assert make_parser(["train"]).parse_args([*command, "--init-from", "b"]).init_from == "b"


def test_the_old_metadata_of_a_network_is_read(tmp_path: Path) -> None:
    path = tmp_path / "old.safetensors"
    metadata = {"plan": "light", "begin": "waves-bn"}
    save_file(load_file(FOLDER / "waves-bn.safetensors"), path, {METADATA: json.dumps(metadata)})
    assert load_feedforward(path).metadata == {"plan": "light", "init_from": "waves-bn"}
