"""`Settings`: every choice of a run, with its unit, range and default. And the named presets.

The command line and the app build their controls from these fields: this is the only place with
defaults. A preset is a Settings; `replace` makes a variant.
"""

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any, Literal

from nstlib.alignment.discrepancy import Discrepancy
from nstlib.alignment.methods import BUILT_IN
from nstlib.alignment.methods import method as parse_method
from nstlib.encoders.encoder import ENCODERS, Pooling
from nstlib.encoders.precision import DTYPES, DType
from nstlib.inputs import is_number
from nstlib.synthesis.colours import Colours
from nstlib.synthesis.loop import OptimizerName

Start = Literal["content", "random", "onepass"]
Memory = Literal["auto", "fast", "small"]


def knob(
    default: Any, help: str, low: float | None = None, high: float | None = None, choices: Any = None
) -> Any:
    """A field with what a front end needs to draw its control: help text, bounds or choices."""
    return field(default=default, metadata={"help": help, "low": low, "high": high, "choices": choices})


@dataclass(frozen=True)
class Settings:
    """The choices of a run. Raises ValueError, naming the field, for a value out of range."""

    method: str | Discrepancy = knob(
        "linear", "what style is: linear, poly, gaussian, bn, wasserstein, or a sum like bn:0.7+poly:0.3"
    )
    gamma: float = knob(1.0, "balance γ: 0.1 keeps the content, 20 is nearly all style", 1e-3, 1e4)
    size: int = knob(512, "longest side of the pictures, in pixels", 32, 4096)
    iterations: int = knob(80, "optimisation steps at most, over all sizes", 1, 100_000)
    levels: int = knob(3, "sizes worked through, each twice the one before (1: full size only)", 1, 6)
    encoder: str = knob("vgg19-slim", "network that sees the pictures", choices=ENCODERS)
    style_layers: tuple[str, ...] = knob((), "layers whose features are the style (none: the encoder's own)")
    layer_weights: tuple[float, ...] = knob((), "w_l of each style layer (none: all equal)")
    content_layers: tuple[str, ...] = knob(
        (), "layers whose features are the content (none: the encoder's own)"
    )
    alpha: float = knob(1.0, "content weight α (0: texture only)", 0, 1e4)
    palette: float = knob(1.0, "pull to the style's own colours and grain (0: the bare method)", 0, 100)
    colours: Colours = knob(
        "style",
        "whose colours: the style's; or the content's, by luminance only or by mean and covariance",
        choices=("style", "luminance", "content"),
    )
    style_scale: float = knob(1.0, "size of the style picture against its own: larger strokes", 0.1, 8)
    style_weights: tuple[float, ...] = knob((), "how much each of several styles counts (none: all alike)")
    tv: float = knob(0.0, "total variation weight, against fine grain", 0, 1e4)
    start: Start = knob(
        "content",
        "first image: the content, noise, or the picture of one pass",
        choices=("content", "random", "onepass"),
    )
    optimizer: OptimizerName = knob("lbfgs", "optimiser", choices=("lbfgs", "adam"))
    lr: float | None = knob(
        None, "step size: pixel values for Adam (0.02), a factor for L-BFGS (1)", 1e-6, 10
    )
    tolerance: float = knob(
        0.0, "stop when the loss changes by less than this fraction a step (0: never)", 0, 1
    )
    dtype: DType = knob(
        "auto",
        "arithmetic inside the encoder (auto: bfloat16 where the hardware has it)",
        choices=DTYPES,
    )
    memory: Memory = knob(
        "auto",
        "fast, or small: less than half the memory in a third more time (auto: fast where it fits)",
        choices=("auto", "fast", "small"),
    )
    pooling: Pooling = knob("max", "pooling inside the encoder", choices=("max", "avg"))
    seed: int = knob(0, "seed of every random draw", 0, 2**31 - 1)

    def __post_init__(self) -> None:
        parse_method(str(self.method))
        for f in dataclasses.fields(self):
            value, meta = getattr(self, f.name), f.metadata
            if meta["choices"] and value not in meta["choices"]:
                raise ValueError(f"{f.name} must be one of {', '.join(meta['choices'])}, got {value!r}")
            if meta["low"] is not None and value is not None:
                if not is_number(value):
                    raise ValueError(f"{f.name} must be a number, got {value!r}")
                if not meta["low"] <= value <= meta["high"]:
                    raise ValueError(f"{f.name} must lie in {meta['low']:g} … {meta['high']:g}, got {value}")
                if f.type is int and int(value) != value:
                    raise ValueError(f"{f.name} must be a whole number, got {value!r}")
                plain = (
                    int(value) if f.type is int else value if isinstance(value, int | float) else float(value)
                )
                object.__setattr__(self, f.name, plain)
            if isinstance(f.default, tuple):
                object.__setattr__(self, f.name, _listed(f.name, value))
        if self.layer_weights and self.style_layers and len(self.layer_weights) != len(self.style_layers):
            raise ValueError(
                f"layer_weights must hold one weight for each of the style_layers: "
                f"{len(self.layer_weights)} for {len(self.style_layers)}"
            )

    @property
    def discrepancy(self) -> Discrepancy:
        """The method as an object."""
        return parse_method(self.method) if isinstance(self.method, str) else self.method

    @property
    def unrecorded(self) -> list[str]:
        """What `as_dict` does not hold, in words: parts of the method that their name does not give back."""
        return [
            f"the method {part} is code of your own: give or register it again for a repeat"
            for part, _ in self.discrepancy.parts()
            if type(part) is not BUILT_IN.get(str(part).partition("(")[0])
            or parse_method(str(part)).seeded(0) != part.seeded(0)
        ]

    def replace(self, **changes: Any) -> "Settings":
        """A copy with some fields changed. Raises TypeError naming the fields for an unknown one."""
        names = [f.name for f in dataclasses.fields(self)]
        if unknown := [name for name in changes if name not in names]:
            raise TypeError(f"no such setting: {', '.join(unknown)}; settings are {', '.join(names)}")
        return dataclasses.replace(self, **changes)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; `Settings(**d)` reads them back (lists become tuples)."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return values | {"method": str(self.method)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Settings":
        """The inverse of `as_dict`, also after a trip through JSON. Recipes from before the palette term
        were bare methods."""
        values = {"palette": 0.0} | values
        return cls().replace(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def _listed(name: str, values: Any) -> tuple[Any, ...]:
    """A field of several layers or weights as a tuple. Raises ValueError for other values."""
    layers = name.endswith("layers")
    if not isinstance(values, tuple | list):
        raise ValueError(f"{name} must be a tuple of {'names' if layers else 'numbers'}, got {values!r}")
    if layers:
        if not all(isinstance(value, str) for value in values):
            raise ValueError(f"{name} must hold the names of layers, got {values!r}")
        return tuple(values)
    numbers = all(is_number(v) and 0 <= v < math.inf for v in values)
    if values and not (numbers and 0 < sum(values) < math.inf):
        raise ValueError(f"{name} must be finite numbers >= 0 and not all zero, got {values!r}")
    return tuple(v if isinstance(v, int | float) else float(v) for v in values)


PRESETS: dict[str, Settings] = {
    # Ours: coarse to fine from the photograph, so that strokes form at every scale in few steps.
    "balanced": Settings(),
    # A first recognisable picture, soon.
    "draft": Settings(iterations=32, size=256),
    # The loss has nearly settled: four times the time.
    "fine": Settings(iterations=320),
    # One pass for the strokes and colours, a few steps for the rest.
    "polish": Settings(start="onepass", iterations=12, levels=1),
    # Li et al. 2017, §4: VGG-19, relu4_2 and reluL_1 with w_l = 1, random start, at most 1000 iterations,
    # until the relative change is under 0.5 %. Their four methods are one `method=` away.
    "paper": Settings(
        method="linear",
        palette=0.0,
        encoder="vgg19",
        start="random",
        levels=1,
        iterations=1000,
        tolerance=0.005,
    ),
    # Gatys et al. 2016: Gram matrices, average pooling, random start.
    "gatys": Settings(
        method="gram",
        palette=0.0,
        encoder="vgg19",
        pooling="avg",
        start="random",
        levels=1,
        iterations=1000,
    ),
    # The widely used PyTorch tutorial: Gram matrices before the ReLU at the first five convolutions,
    # content at the fourth, from the photograph, 300 steps of L-BFGS.
    "tutorial": Settings(
        method="gram",
        palette=0.0,
        encoder="vgg19",
        style_layers=("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1"),
        content_layers=("conv2_2",),
        levels=1,
        iterations=300,
    ),
}
