"""Methods from outside: `register` gives a discrepancy or a kernel of your own a name in the grammar.

    nstlib.register("rational", kernel=lambda x, y: 1 / (1 + squared_distances(x, y)))
    nstlib.register("median", MedianGap)                       # a Discrepancy

From then on "rational" is a method as any other: in `transfer`, in sums, calibrated by the same γ. A
package that is installed can bring its own: the entry points of the group `nstlib.methods` name functions
that are called, once, when a name is read that is not there yet; each calls `register`.
"""

import dataclasses
import re
import typing
from collections.abc import Callable
from functools import cache, partial
from importlib.metadata import entry_points
from typing import Any

from nstlib.alignment.discrepancy import Discrepancy
from nstlib.alignment.kernels import Kernel
from nstlib.alignment.landmarks import KernelMMD

Maker = Callable[..., Discrepancy]
METHODS: dict[str, tuple[Maker, dict[str, Callable[[str], Any]]]] = {}
GROUP = "nstlib.methods"
NO_OPTIONS = ("seed", "epsilon")  # the run's, and arithmetic's


def register(name: str, method: type[Discrepancy] | None = None, *, kernel: Kernel | None = None) -> None:
    """Makes `name` a method: a frozen dataclass derived from `Discrepancy`, or a kernel (see landmarks.py).

    Fields of the dataclass that are numbers or strings, `seed` left out, become options: name(field=value);
    `str` of an object must give that text back. Raises ValueError for a name that is taken or no name, or
    for both or neither of method and kernel.
    """
    if not re.fullmatch(r"[A-Za-z_]\w*", name):
        raise ValueError(f"a method's name is letters, digits and underscores, got {name!r}")
    if name in METHODS:
        raise ValueError(f"method {name!r} is there already")
    if (method is None) == (kernel is None):
        raise ValueError(f"register {name!r} with either a Discrepancy or a kernel")
    if kernel is not None:
        METHODS[name] = partial(KernelMMD, kernel, name), {"landmarks": int}
    else:
        assert method is not None
        METHODS[name] = method, options(method)


def options(method: type[Discrepancy]) -> dict[str, Callable[[str], Any]]:
    """What may stand in brackets: each field of the dataclass that a number or a word can fill."""
    hints = typing.get_type_hints(method)
    found: dict[str, Callable[[str], Any]] = {}
    for field in dataclasses.fields(method):  # type: ignore[arg-type]
        hint = hints[field.name]
        kinds = {
            hint,
            *typing.get_args(hint),
            *map(type, typing.get_args(hint)),
        }
        kind = next((k for k in (float, int, str) if k in kinds), None)
        if kind and field.init and field.name not in NO_OPTIONS:
            found[field.name] = kind
    return found


@cache
def load_installed() -> None:
    """Calls the entry points of installed packages, once."""
    for point in entry_points(group=GROUP):
        point.load()()
