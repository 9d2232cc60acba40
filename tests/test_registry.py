"""Methods from outside the package: registered in ten lines, or brought by another distribution."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

import nstlib
from nstlib import kernels
from nstlib.alignment.methods import METHODS

ROOT = Path(__file__).parent.parent


@pytest.fixture
def names():
    """Forgets what a test registered."""
    before = dict(METHODS)
    yield
    METHODS.clear()
    METHODS.update(before)


def rational(x: Tensor, y: Tensor) -> Tensor:
    return 1 / (1 + kernels.squared_distance(x, y))


def test_a_kernel_of_ones_own(names: None, content: Tensor, style: Tensor) -> None:
    nstlib.register("rational", kernel=rational)
    d = nstlib.method("rational:0.5+bn:0.5")
    assert str(d) == "rational:0.5+bn:0.5"
    assert nstlib.method("rational(landmarks=32)").landmarks == 32
    options = {"levels": 1, "iterations": 12, "size": 96, "dtype": "float32"}
    first, *_, last = nstlib.transfer(content, style, method="rational", **options)
    assert last.loss < 0.5 * first.loss
    assert last.image.recipe["settings"]["method"] == "rational"


def test_names_are_checked(names: None) -> None:
    with pytest.raises(ValueError, match="'bn' exists already"):
        nstlib.register("bn", kernel=rational)
    with pytest.raises(ValueError, match="letters, digits"):
        nstlib.register("no name", kernel=rational)
    with pytest.raises(ValueError, match="either a Discrepancy or a kernel"):
        nstlib.register("neither")


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        ({"kernel": lambda x, y: 1.0}, r"kernel of 'bad' must give a tensor \(2, 8, 3\).*got float"),
        ({"kernel": lambda x, y: (x * x).sum(-1)}, r"a value for each pair of positions, got \(2, 4\)"),
        ({"kernel": lambda x, y: (x * y).sum(-1)}, r"kernel of 'bad' fails for samples x \(2, 4, 8\) and y"),
        ({"kernel": 3}, "kernel of 'bad' fails .* not callable"),
        ({"kernel": lambda x, y: (x.mT @ y).log()}, "must give finite values"),
        ({"kernel": lambda x, y: x.mT @ y + x.sum(-2).unsqueeze(-1)}, "values are not symmetric"),
        ({"kernel": lambda x, y: -kernels.squared_distance(x, y)}, "a positive definite matrix"),
        ({"method": 3}, "'bad' must be a class derived from nstlib.Discrepancy, got 3"),
        ({"method": nstlib.LinearMMD()}, "must be a class derived from nstlib.Discrepancy, got LinearMMD"),
        ({"method": type("Empty", (nstlib.Discrepancy,), {})}, "Empty with a definition of embed, or of"),
        (
            {"method": type("Half", (nstlib.Discrepancy,), {"summary": lambda self, S, weights: {}})},
            "Half with a definition of embed, or of summary and distance",
        ),
        (
            {"method": dataclass(type("Thawed", (nstlib.Discrepancy,), {"embed": lambda *_: {}}))},
            "Thawed as a frozen dataclass",
        ),
    ],
)
def test_a_definition_that_cannot_work_is_refused(names: None, definition, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        nstlib.register("bad", **definition)
    assert "bad" not in METHODS


@pytest.mark.parametrize(
    "kernel",
    [rational, kernels.linear, kernels.polynomial(1.0), kernels.gaussian(0.5), kernels.laplace(2.0)],
)
def test_kernels_are_accepted(names: None, kernel) -> None:
    nstlib.register("fine", kernel=kernel)


CELL = """
@dataclass(frozen=True)
class Mine(nstlib.LinearMMD):
    pass

nstlib.register("mine", Mine)
nstlib.register("own", kernel=lambda x, y: x.mT @ y)
"""


def test_the_same_definition_may_be_registered_again(names: None) -> None:
    scopes = [{"nstlib": nstlib, "dataclass": dataclass, "__name__": "notebook"} for _ in range(2)]
    for scope in scopes:
        exec(CELL, scope)
    assert type(nstlib.method("mine")) is scopes[1]["Mine"]
    with pytest.raises(ValueError, match="'mine' exists already"):
        nstlib.register("mine", kernel=rational)
    with pytest.raises(ValueError, match="'own' exists already"):
        nstlib.register("own", kernel=rational)
    for name, built_in in (("gram", nstlib.PolynomialMMD), ("bn", nstlib.BNStatistics)):
        with pytest.raises(ValueError, match=f"'{name}' exists already"):
            nstlib.register(name, built_in)


def test_one_pass_without_a_transport_says_what_to_do(names: None, content: Tensor, style: Tensor) -> None:
    exec(CELL.replace("LinearMMD", "Discrepancy").replace("pass", "embed = lambda *a: {}"), globals())
    with pytest.raises(
        TypeError, match="no transport is known for mine: use transfer or register one, as add-a-method.md"
    ):
        nstlib.onepass(content, style, "mine")


PLUGIN = '''
from dataclasses import dataclass
import nstlib

@dataclass(frozen=True)
class Brightest(nstlib.Discrepancy):
    """The gap of each channel's mean above a threshold."""
    threshold: float = 0.5

    def summary(self, S, weights=None):
        return {"mean": (S - self.threshold).clamp(min=0).mean(-1)}

    def distance(self, F, summary, weights=None):
        return ((F - self.threshold).clamp(min=0).mean(-1) - summary["mean"]).square().sum(-1)

def add():
    nstlib.register("brightest", Brightest)
'''


def test_another_distribution_brings_a_method_to_the_command_line(tmp_path: Path) -> None:
    site, out = tmp_path / "site", tmp_path / "out.png"
    info = site / "brightest-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "brightest_plugin.py").write_text(PLUGIN, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: brightest\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[nstlib.methods]\nbrightest = brightest_plugin:add\n")
    paths = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "nstlib", "transfer", "examples/contents/harbour.jpg"]
    command += ["examples/styles/mosaic.jpg", "-o", str(out), "--method", "brightest(threshold=0.25)"]
    command += ["--size", "64", "--iterations", "4", "--quiet"]
    result = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": paths}, check=False
    )
    assert result.returncode == 0, result.stderr
    assert nstlib.read_recipe(out)["settings"]["method"] == "brightest(threshold=0.25)"


def test_options_come_from_the_fields() -> None:
    assert METHODS["gaussian"][1] == {
        "sigma": float,
        "estimator": str,
        "bandwidth_factor": float,
        "n_features": int,
        "scales": int,
    }
    assert METHODS["linear"][1] == {}
    assert torch.is_tensor(nstlib.method("linear")(torch.ones(1, 2, 3), torch.zeros(1, 2, 3)))
