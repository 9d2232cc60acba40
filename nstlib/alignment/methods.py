"""Methods by name: the small grammar of `nstlib.method`.

method  = part ("+" part)*          weights are 1 where left out
part    = name ["(" key "=" value ("," key "=" value)* ")"] [":" weight]
name    = linear | poly | gram (= poly, c = 0) | gaussian | bn | wasserstein

"gram"    "poly(c=100)"    "gaussian(factor=2)"    "bn:0.7+poly:0.3"
"""

import re
from collections.abc import Callable
from typing import Any

from nstlib.alignment.discrepancy import BNStatistics, Discrepancy, Fusion, LinearMMD, PolynomialMMD
from nstlib.alignment.gaussian import GaussianMMD
from nstlib.alignment.wasserstein import Wasserstein

METHODS: dict[str, tuple[Callable[..., Discrepancy], dict[str, Callable[[str], Any]]]] = {
    "linear": (LinearMMD, {}),
    "poly": (PolynomialMMD, {"c": float}),
    "gram": (PolynomialMMD, {}),
    "gaussian": (GaussianMMD, {"sigma": float, "factor": float, "features": int, "estimator": str}),
    "bn": (BNStatistics, {}),
    "wasserstein": (Wasserstein, {"ridge": float}),
}
_NUMBER = r"\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?"
_PART = re.compile(rf"(?P<name>\w+)\s*(?:\((?P<options>[^()]*)\))?\s*(?::\s*(?P<weight>{_NUMBER}))?")


def method(text: str) -> Discrepancy:
    """The discrepancy that `text` spells, e.g. method("bn:0.7+poly:0.3"). `str` is its inverse.

    Raises ValueError naming the known methods for an unknown name, and the known options for an
    unknown option; option values are checked by the method itself.
    """
    parts, position = [], 0
    while True:
        match = _PART.match(text, position := _skip(text, position))
        if match is None:
            raise ValueError(f"cannot read method {text!r}; {_known()}, e.g. 'bn:0.7+poly:0.3'")
        weight = match["weight"]
        parts.append((_part(match["name"], match["options"] or ""), float(weight or 1)))
        position = _skip(text, match.end())
        if position == len(text):
            break
        if text[position] != "+":
            raise ValueError(f"cannot read method {text!r} from {text[position:]!r}; {_known()}")
        position += 1
    if len(parts) == 1 and weight is None:
        return parts[0][0]
    return Fusion(tuple(parts))


def _skip(text: str, position: int) -> int:
    return len(text) - len(text[position:].lstrip())


def _known() -> str:
    return f"methods are {', '.join(METHODS)} and weighted sums of them"


def _part(name: str, options: str) -> Discrepancy:
    if name not in METHODS:
        raise ValueError(f"unknown method {name!r}; {_known()}, e.g. 'bn:0.7+poly:0.3'")
    make, known = METHODS[name]
    arguments: dict[str, Any] = {}
    for option in filter(None, (part.strip() for part in options.split(","))):
        key, _, value = (side.strip() for side in option.partition("="))
        if key not in known:
            raise ValueError(f"method {name!r} has no option {key!r}; it has: {', '.join(known) or 'none'}")
        try:
            arguments[key] = known[key](value)
        except ValueError:
            raise ValueError(f"{name}({key}=…) must be a {known[key].__name__}, got {value!r}") from None
    return make(**arguments)
