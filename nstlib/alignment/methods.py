"""Methods by name: the grammar that `nstlib.method` reads, and `register`, which adds methods.

method  = part ("+" part)*          an omitted weight is 1; weights of equal parts are added
part    = name ["(" key "=" value ("," key "=" value)* ")"] [":" weight]
name    = linear | poly | gram (= poly, c = 0) | gaussian | bn                    the paper's
        | wasserstein | sliced | energy | laplace | cubic | coral | cmd           others
        | any registered name

"gram"    "poly(c=100)"    "gaussian(bandwidth_factor=2)"    "bn:0.7+poly:0.3"

A text may come from an untrusted client. So it is read once from left to right, and `LONGEST`, `MOST_PARTS`,
`MOST_FEATURES` and `MOST_SLICES` limit the cost of a run.

A registered method can be used in sums, and γ means the same for it. An installed package can register
methods, too: each entry point of the group `nstlib.methods` names a function that calls `register`. These
functions are called once, when an unknown name is read.
"""

import re
import warnings
from collections.abc import Callable
from functools import cache, partial
from importlib.metadata import entry_points
from typing import Any

import torch
from torch import Tensor

from nstlib.alignment.discrepancy import BNStatistics, Discrepancy, Fusion, LinearMMD, PolynomialMMD
from nstlib.alignment.gaussian import GaussianMMD
from nstlib.alignment.kernels import Kernel
from nstlib.alignment.options import OLD_OPTIONS, options
from nstlib.alignment.sketches import CubicMMD, KernelMMD, LaplaceMMD
from nstlib.alignment.sliced import EnergyDistance, SlicedWasserstein
from nstlib.alignment.wasserstein import CentralMoments, Coral, Wasserstein
from nstlib.version import did_you_mean, rename_arguments, use_torch_defaults

CLASSES: tuple[type[Discrepancy], ...] = (
    *(LinearMMD, PolynomialMMD, GaussianMMD, BNStatistics),  # the paper's
    *(Wasserstein, SlicedWasserstein, EnergyDistance, LaplaceMMD, CubicMMD, Coral, CentralMoments),
)
for _class in CLASSES:
    rename_arguments(**{old: new for old, new in OLD_OPTIONS.items() if new in options(_class)})(_class)
BUILT_IN = {d.name: d for d in CLASSES}
METHODS: dict[str, tuple[Callable[..., Discrepancy], dict[str, type]]] = {
    **{name: (d, options(d)) for name, d in BUILT_IN.items()},
    "gram": (PolynomialMMD, {}),  # Gatys' Gram matrices: c = 0
}
TAKEN = frozenset(METHODS)
RETIRED = ("sampling",)  # options of the Gaussian and Laplace kernels that texts of earlier versions may name
LONGEST = 1000  # characters
MOST_PARTS = 16  # different parts; each needs one gradient per layer in the calibration
MOST_FEATURES = 4096  # D of the Gaussian kernel: eight times the largest default
MOST_SLICES = 256  # directions and landmarks of all parts; each needs one number per position
_NUMBER = r"\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?"
_PART = re.compile(
    rf"\s*(?P<name>[^\W\d]\w*)\s*(?:\((?P<options>[^()]*)\)\s*)?(?::\s*(?P<weight>{_NUMBER})\s*)?(?P<more>\+|\Z)"
)

_NO_COLON = re.compile(  # a weight without a colon: bn 0.7, bn*0.7, 0.7 bn, 0.7*bn
    rf"(?P<name>[^\W\d]\w*)[\s*=]+(?P<weight>{_NUMBER})|(?P<before>{_NUMBER})[\s*]*(?P<after>[^\W\d]\w*)"
)


def register(name: str, method: type[Discrepancy] | None = None, *, kernel: Kernel | None = None) -> None:
    """Registers a discrepancy or a kernel of your own as the method `name`.

        nstlib.register("rational", kernel=lambda x, y: 1 / (1 + nstlib.kernels.squared_distance(x, y)))
        nstlib.register("median", MedianGap)

    Args:
        name: letters, digits and underscores. A second definition of this name from the same module, such as
            a notebook cell that is run again, replaces the first.
        method: a frozen dataclass derived from `Discrepancy`. Its fields that hold numbers or words become
            options, name(field=value), except `seed` and `epsilon`.
        kernel: k(x, y), positive definite; `KernelMMD` approximates its MMD.

    Raises:
        ValueError: The name is taken or not valid, not exactly one of method and kernel is given, the method
            lacks a definition, or the kernel gives wrong values for two small samples.
    """
    if not re.fullmatch(r"[A-Za-z_]\w*", name):
        raise ValueError(f"a method's name is letters, digits and underscores, got {name!r}")
    if (kernel is None) == (method is None):
        raise ValueError(f"register {name!r} with either a Discrepancy or a kernel")
    old = METHODS.get(name, (None,))[0]
    old = old.args[0] if isinstance(old, partial) else old
    if old is not None and (name in TAKEN or _origin(old) != _origin(method or kernel)):
        raise ValueError(f"method {name!r} exists already: choose another name")
    if kernel is not None:
        _check_kernel(name, kernel)
        METHODS[name] = partial(KernelMMD, kernel, name), options(KernelMMD)
    elif method is not None:
        _check_class(name, method)
        if "name" not in vars(method):
            method.name = name
        METHODS[name] = method, options(method)


def _origin(definition: Any) -> tuple[object, ...]:
    """Returns what tells whether a definition is the same one again: its module and its name there."""
    return tuple(getattr(definition, key, definition) for key in ("__module__", "__qualname__"))


def _check_class(name: str, method: object) -> None:
    """Raises ValueError unless a method is a class that defines how it compares features."""
    fault, base = "", Discrepancy
    if not (isinstance(method, type) and issubclass(method, base)):
        fault = f"a class derived from nstlib.Discrepancy, got {method!r}"
    elif method.embed is base.embed and (method.summary is base.summary or method.distance is base.distance):
        fault = f"{method.__name__} with a definition of embed, or of summary and distance"
    elif method.__hash__ is None:
        fault = f"{method.__name__} as a frozen dataclass: write @dataclass(frozen=True) above it"
    if fault:
        raise ValueError(f"method {name!r} must be {fault}")


@use_torch_defaults(gradients=False)
def _check_kernel(name: str, kernel: Kernel) -> None:
    """Raises ValueError for a kernel whose values for two small samples are not those of a kernel."""
    x = torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    y, samples = x[..., :3], "samples x (2, 4, 8) and y (2, 4, 3)"
    try:
        K, square = kernel(x, y), kernel(x, x)
    except Exception as error:
        raise ValueError(f"the kernel of {name!r} fails for {samples}: {error}") from error
    shapes = [tuple(k.shape) if isinstance(k, Tensor) else type(k).__name__ for k in (K, square)]
    fault = ""
    if shapes != [(2, 8, 3), (2, 8, 8)]:
        fault = f"a tensor (2, 8, 3), a value for each pair of positions, got {shapes[0]}"
    elif not (K.isfinite().all() and square.isfinite().all()):
        fault = "finite values, and some are NaN or infinite"
    elif not torch.allclose(square, square.mT, rtol=1e-3, atol=1e-4 * float(square.abs().max())):
        fault = "k(x, y) = k(y, x), and its values are not symmetric"
    elif torch.linalg.eigvalsh(square.double()).min() < -1e-4 * square.abs().max():
        fault = "a positive definite matrix for x = y, and an eigenvalue is negative"
    if fault:
        raise ValueError(f"the kernel of {name!r} must give {fault}, for {samples}")


@cache
def load_installed() -> None:
    """Calls the entry points of installed packages. Cached, because the search takes 70 ms."""
    for point in entry_points(group="nstlib.methods"):
        point.load()()


def method(text: str) -> Discrepancy:
    """Returns the discrepancy that a text describes, e.g. "bn:0.7+poly:0.3". `str` converts it to text.

    Raises:
        ValueError: A name or an option is unknown (the message lists the known ones), a value is out of
            range, or the text is too long or has too many parts, features, directions or landmarks.
    """
    if len(text) > LONGEST:
        raise ValueError(f"a method has at most {LONGEST} characters, got {len(text)}")
    weights: dict[Discrepancy, float] = {}
    position = 0
    while True:
        match = _PART.match(text, position)
        if match is None:
            raise ValueError(f"cannot read method {_shorten(text)}: {_fault(text[position:])}; {_known()}")
        part = _part(match["name"], match["options"] or "")
        weights[part] = weights.get(part, 0.0) + float(match["weight"] or 1)
        if len(weights) > MOST_PARTS:
            raise ValueError(f"a method has at most {MOST_PARTS} different parts")
        if sum(map(_slices, weights)) > MOST_SLICES:
            raise ValueError(f"a method has at most {MOST_SLICES} directions and landmarks in all")
        position = match.end()
        if not match["more"]:
            break
    alone = match.start() == 0 and match["weight"] is None
    return part if alone else Fusion(weights)


def _part(name: str, text: str) -> Discrepancy:
    """Returns the method `name` with the options of `text`, "key=value,…"."""
    if name not in METHODS:
        load_installed()
    if name not in METHODS:
        raise ValueError(f"unknown method {_shorten(name)}{did_you_mean(name, METHODS)}; {_known()}")
    make, known = METHODS[name]
    values: dict[str, Any] = {}
    for option in filter(None, (part.strip() for part in text.split(","))):
        key, _, value = (side.strip() for side in option.partition("="))
        if key not in known and OLD_OPTIONS.get(key) in known:
            key = OLD_OPTIONS[key]
        if key in RETIRED and name in ("gaussian", "laplace"):
            warnings.warn(f"method {name!r} has no option {key!r} any more: it is ignored", stacklevel=3)
            continue
        if key not in known:
            has = ", ".join(known) or "none"
            raise ValueError(f"method {name!r} has no option {_shorten(key)}; it has: {has}")
        if key in values:
            raise ValueError(f"method {name!r} has its option {key!r} twice")
        try:
            values[key] = known[key](value)
        except ValueError:
            kind = "whole number" if known[key] is int else "number"
            raise ValueError(f"{name}({key}=…) must be a {kind}, got {_shorten(value)}") from None
    if values.get("n_features", 0) > MOST_FEATURES:
        raise ValueError(f"{name}(n_features=…) may be at most {MOST_FEATURES}, got {values['n_features']}")
    return make(**values)


def _slices(part: Discrepancy) -> int:
    """Returns the number of directions or landmarks of a part (None: 64, the largest default)."""
    count = getattr(part, "n_projections", getattr(part, "landmarks", 0))
    return 64 if count is None else int(count)


def _fault(rest: str) -> str:
    """Says why the rest of a text does not begin with a part."""
    part = rest.partition("+")[0]
    if not part.strip():
        return "a name is missing" + (" before +" if part != rest else " at its end")
    if part.count("(") != part.count(")"):
        return "a parenthesis is missing"
    if ":" in part:
        return f"the weight after {_shorten(part.partition(':')[0].strip())} must be a number >= 0"
    if found := _NO_COLON.fullmatch(part.strip()):
        name, weight = found["name"] or found["after"], found["weight"] or found["before"]
        return f"the weight in {_shorten(part.strip())} follows a colon: {_shorten(f'{name}:{weight}')}"
    return f"{_shorten(part.strip())} is no name with options in parentheses"


def _shorten(text: str) -> str:
    """Returns a text for a message, and only its start if it is long."""
    return repr(text if len(text) <= 60 else text[:60] + "…")


def _known() -> str:
    load_installed()
    return f"methods are {', '.join(METHODS)} and weighted sums of them, e.g. 'bn:0.7+poly:0.3'"
