"""Methods by name: the small grammar of `nstlib.method`.

method  = part ("+" part)*          weights are 1 where left out; equal parts are one, their weights added
part    = name ["(" key "=" value ("," key "=" value)* ")"] [":" weight]
name    = linear | poly | gram (= poly, c = 0) | gaussian | bn                    the paper's
        | wasserstein | sliced | energy | laplace | cubic | coral | cmd           others
        | what `register` made known

"gram"    "poly(c=100)"    "gaussian(factor=2)"    "bn:0.7+poly:0.3"

A text may come from a stranger: it is read once from left to right, and `LONGEST`, `MOST_PARTS`,
`MOST_FEATURES` and `MOST_SLICES` bound what it can cost to run.
"""

import re
from typing import Any

from nstlib.alignment.central import CentralMoments, Coral
from nstlib.alignment.cubic import CubicMMD
from nstlib.alignment.discrepancy import BNStatistics, Discrepancy, Fusion, LinearMMD, PolynomialMMD
from nstlib.alignment.gaussian import GaussianMMD
from nstlib.alignment.laplace import LaplaceMMD
from nstlib.alignment.registry import METHODS, load_installed, register
from nstlib.alignment.sliced import EnergyDistance, SlicedWasserstein
from nstlib.alignment.wasserstein import Wasserstein

BUILT_IN: dict[str, type[Discrepancy]] = {
    "linear": LinearMMD,
    "poly": PolynomialMMD,
    "gram": PolynomialMMD,
    "gaussian": GaussianMMD,
    "bn": BNStatistics,
    "wasserstein": Wasserstein,
    "coral": Coral,
    "cmd": CentralMoments,
    "sliced": SlicedWasserstein,
    "energy": EnergyDistance,
    "laplace": LaplaceMMD,
    "cubic": CubicMMD,
}
for _name, _method in BUILT_IN.items():
    register(_name, _method)
METHODS["gram"] = PolynomialMMD, {}  # c = 0 is what the word means
LONGEST = 1000  # characters
MOST_PARTS = 16  # different ones: each is a gradient a layer to calibrate, and a term a step
MOST_FEATURES = 4096  # D of the Gaussian: eight times the default at the widest layer
MOST_SLICES = 256  # directions and landmarks of all parts together: each keeps a number for every position
_NUMBER = r"\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?"
_PART = re.compile(
    rf"\s*(?P<name>[^\W\d]\w*)\s*(?:\((?P<options>[^()]*)\)\s*)?(?::\s*(?P<weight>{_NUMBER})\s*)?"
)


__all__ = ["METHODS", "method", "register"]


def method(text: str) -> Discrepancy:
    """The discrepancy that `text` spells, e.g. method("bn:0.7+poly:0.3"). `str` is its inverse.

    Raises ValueError naming the known methods for an unknown name, the known options for an unknown
    option, and the bound for a text, a number of parts or of features beyond it; option values are
    checked by the method itself.
    """
    if len(text) > LONGEST:
        raise ValueError(f"a method has at most {LONGEST} characters, got {len(text)}")
    weights: dict[Discrepancy, float] = {}
    position = 0
    while True:
        match = _PART.match(text, position)
        if match is None:
            raise ValueError(f"cannot read method {_shown(text[position:])}; {_known()}")
        part = _part(match["name"], match["options"] or "")
        weights[part] = weights.get(part, 0.0) + float(match["weight"] or 1)
        if len(weights) > MOST_PARTS:
            raise ValueError(f"a method has at most {MOST_PARTS} different parts")
        if sum(map(_slices, weights)) > MOST_SLICES:
            raise ValueError(f"a method has at most {MOST_SLICES} directions and landmarks in all")
        position = match.end()
        if position == len(text):
            break
        if text[position] != "+":
            raise ValueError(f"cannot read method {_shown(text)} from {_shown(text[position:])}; {_known()}")
        position += 1
    alone = match.start() == 0 and match["weight"] is None
    return part if alone else Fusion(weights)


def _slices(part: Discrepancy) -> int:
    """Directions or landmarks of a part; 64 is the most that it takes by itself."""
    count = getattr(part, "directions", getattr(part, "landmarks", 0))
    return 64 if count is None else int(count)


def _shown(text: str) -> str:
    """A text for a message: its start, where it is long."""
    return repr(text if len(text) <= 60 else text[:60] + "…")


def _known() -> str:
    load_installed()
    return f"methods are {', '.join(METHODS)} and weighted sums of them, e.g. 'bn:0.7+poly:0.3'"


def _part(name: str, options: str) -> Discrepancy:
    if name not in METHODS:
        load_installed()  # only now: the search through all installed packages takes 70 ms
    if name not in METHODS:
        raise ValueError(f"unknown method {_shown(name)}; {_known()}")
    make, known = METHODS[name]
    arguments: dict[str, Any] = {}
    for option in filter(None, (part.strip() for part in options.split(","))):
        key, _, value = (side.strip() for side in option.partition("="))
        if key not in known:
            has = ", ".join(known) or "none"
            raise ValueError(f"method {name!r} has no option {_shown(key)}; it has: {has}")
        if key in arguments:
            raise ValueError(f"method {name!r} has its option {key!r} twice")
        try:
            arguments[key] = known[key](value)
        except ValueError:
            kind = known[key].__name__
            raise ValueError(f"{name}({key}=…) must be a {kind}, got {_shown(value)}") from None
    if arguments.get("features", 0) > MOST_FEATURES:
        raise ValueError(f"{name}(features=…) may be at most {MOST_FEATURES}, got {arguments['features']}")
    return make(**arguments)
