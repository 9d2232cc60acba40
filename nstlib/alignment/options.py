"""The options of a method: the fields of its dataclass, their limits, and how they are written as text."""

import dataclasses
import math
import typing

from nstlib.alignment.samples import widen_inputs
from nstlib.inputs import format_number

POSITIVE, NOT_NEGATIVE = (math.ulp(0.0), math.inf), (0.0, math.inf)  # limits of an option
ON_FEATURES = {"parameters", "embed", "statistics", "summary", "compare", "distance"}
OLD_OPTIONS = {  # old names, which stay valid because recipes and links contain them
    "directions": "n_projections",
    "levels": "n_quantiles",
    "features": "n_features",
    "factor": "bandwidth_factor",
}
# no options: the run sets the seed, epsilon is a numerical constant, and the name begins the text
NO_OPTIONS = ("seed", "epsilon", "name")


def options(method: type) -> dict[str, type]:
    """Returns {field: float, int or str} for the fields of a dataclass that hold a number or a word."""
    found: dict[str, type] = {}
    hints = typing.get_type_hints(method)
    for field in dataclasses.fields(method) if dataclasses.is_dataclass(method) else ():
        inner = typing.get_args(hints[field.name])
        kinds = [hints[field.name], *inner, *map(type, inner)]  # int for `int | None`, str for a Literal
        kind = next((kind for kind in (float, int, str) if kind in kinds), None)
        if kind and field.init and field.name not in NO_OPTIONS:
            found[field.name] = kind
    return found


class WithOptions:
    """Base of methods: `str` returns name(option=value,…), and 16-bit features are converted to float32.

    limits: smallest and largest values of options.
    """

    name: str = ""
    limits: typing.ClassVar[dict[str, tuple[float, float]]] = {}

    def __init_subclass__(cls, **arguments: typing.Any) -> None:
        super().__init_subclass__(**arguments)
        for name in ON_FEATURES & vars(cls).keys():
            setattr(cls, name, widen_inputs(vars(cls)[name]))

    def __post_init__(self) -> None:
        known = options(type(self))
        for key, (low, high) in self.limits.items():
            value, whole = getattr(self, key), known[key] is int
            if value is None or (low <= value <= high and value < math.inf and not (whole and value % 1)):
                continue
            least, most, got = map(format_number, (low, high, value))
            bounds = f"in {least} … {most}" if high < math.inf else "> 0" if 0 < low < 1 else f">= {least}"
            kind = "whole" if whole else "finite"
            raise ValueError(f"{self.name}: {key} must be a {kind} number {bounds}, got {got}")

    def __str__(self) -> str:
        """Returns the text, with only the options that differ from their defaults."""
        known, fields = options(type(self)), getattr(self, "__dataclass_fields__", {})
        values = {key: getattr(self, key) for key in known}
        texts = [f"{k}={format_number(value)}" for k, value in values.items() if value != fields[k].default]
        name = self.name or type(self).__name__
        return f"{name}({','.join(texts)})" if texts else name

    def with_seed(self, seed: int) -> typing.Self:
        """Returns a copy with this seed, or the object itself if it draws no random numbers."""
        return dataclasses.replace(self, seed=seed) if hasattr(self, "seed") else self  # type: ignore[type-var]
