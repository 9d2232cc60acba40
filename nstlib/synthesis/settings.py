"""`Settings`: all options of a run with their units, ranges and defaults, and the named presets.

The command line and the app build their controls from these fields, so defaults are defined only here.
"""

import dataclasses
import math
import re
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from nstlib.alignment.discrepancy import Discrepancy
from nstlib.alignment.methods import BUILT_IN
from nstlib.alignment.methods import method as parse_method
from nstlib.encoders.encoder import ENCODERS, Pooling
from nstlib.encoders.precision import DTYPES, DType
from nstlib.inputs import is_number, show
from nstlib.synthesis.colours import Colours
from nstlib.synthesis.optimize import OptimizerName
from nstlib.version import did_you_mean

Start = Literal["content", "random", "onepass"]
GIGABYTES = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(MB|GB)\s*", re.IGNORECASE)


def parse_bytes(text: str) -> float:
    """Returns the number of bytes in a text such as "2GB" or "800 MB". Raises ValueError."""
    match = GIGABYTES.fullmatch(str(text))
    if match is None or not float(match[1]):
        raise ValueError(f"memory must be 'auto' or a number of bytes, such as 2GB or 800MB, got {text!r}")
    return float(match[1]) * {"mb": 1e6, "gb": 1e9}[match[2].lower()]


def knob(
    default: Any, help: str, low: float | None = None, high: float | None = None, choices: Any = None
) -> Any:
    """Returns a dataclass field with the help text, bounds and choices of its control."""
    return field(default=default, metadata={"help": help, "low": low, "high": high, "choices": choices})


def check_fields(options: Any) -> None:
    """Checks the fields of a dataclass against their `knob`, and converts values to plain numbers and tuples.

    Raises ValueError, naming the field, for a value that does not fit.
    """
    for f in dataclasses.fields(options):
        value = getattr(options, f.name)
        low, high, choices = (f.metadata[key] for key in ("low", "high", "choices"))
        if choices and value not in choices:
            raise ValueError(f"{f.name} must be one of {', '.join(choices)}, got {value!r}")
        if isinstance(f.default, tuple):
            value = _check_tuple(f.name, value)
        elif low is not None and not (value is None and f.default is None):
            if not is_number(value):
                raise ValueError(f"{f.name} must be a number, got {value!r}")
            if f.type is int and value % 1 != 0:  # true for NaN and infinity, too
                raise ValueError(f"{f.name} must be a whole number, got {show(value)}")
            if not low <= value <= high:
                raise ValueError(f"{f.name} must lie in {show(low)} … {show(high)}, got {show(value)}")
            value = int(value) if f.type is int else _plain(value)
        object.__setattr__(options, f.name, value)


def _check_tuple(name: str, values: Any) -> tuple[Any, ...]:
    """Returns the values of a field of layers or weights as a tuple. Raises ValueError for other values."""
    layers = name.endswith("layers")
    if not isinstance(values, tuple | list):
        raise ValueError(f"{name} must be a tuple of {'names' if layers else 'numbers'}, got {values!r}")
    if layers:
        if not all(isinstance(value, str) for value in values):
            raise ValueError(f"{name} must hold the names of layers, got {values!r}")
        return tuple(values)
    numbers = all(is_number(v) and 0 <= v < math.inf for v in values)
    if values and not (numbers and 0 < sum(values) < math.inf):
        got = ", ".join(map(show, values))
        raise ValueError(f"{name} must be finite numbers >= 0 and not all zero, got {got}")
    return tuple(map(_plain, values))


def _plain(value: float) -> float:
    """Returns a number of any type, such as numpy's, as Python's int or float."""
    return value if isinstance(value, int | float) else float(value)


def _parse(f: dataclasses.Field[Any], value: Any) -> Any:
    """Returns the value that a text, or a list of texts, stands for in a field."""
    if isinstance(f.default, tuple):
        items = re.split(r"[\s,;]+", value) if isinstance(value, str) else () if value is None else value
        if not isinstance(items, list | tuple):
            return value  # `check_fields` refuses it
        return [_number(f, item) if "float" in str(f.type) else item for item in items if item != ""]
    if f.default is None and (value is None or str(value).strip() in ("", "None")):
        return None
    return value if f.metadata["low"] is None else _number(f, value)


def _number(f: dataclasses.Field[Any], value: Any) -> Any:
    if value is None or value == "":
        raise ValueError(f"{f.name} is empty: give it a number")
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError(f"{f.name} must be a number, got {value!r}") from None


@dataclass(frozen=True)
class Settings:
    """The options of a run. Raises ValueError, naming the field, for a value out of range."""

    method: str | Discrepancy = knob(
        "linear", "style statistics: linear, poly, gaussian, bn, wasserstein, … or a sum: bn:0.7+poly:0.3"
    )
    gamma: float = knob(1.0, "balance γ: 0.01 is subtle, 20 gives up much of the content's detail", 1e-3, 1e4)
    size: int = knob(512, "longest side of the images, in pixels", 32, 16384)
    iterations: int = knob(80, "maximum number of optimisation steps, over all sizes", 1, 100_000)
    levels: int = knob(
        3,
        "number of sizes, each twice the previous one (1: full size only); more are added beyond 1024 px",
        1,
        6,
    )
    encoder: str = knob("vgg19-slim", "network that extracts the features", choices=ENCODERS)
    style_layers: tuple[str, ...] = knob((), "layers that define the style (empty: the encoder's default)")
    layer_weights: tuple[float, ...] = knob((), "weight w_l of each style layer (empty: equal weights)")
    content_layers: tuple[str, ...] = knob(
        (), "layers that define the content (empty: the encoder's default)"
    )
    alpha: float = knob(1.0, "content weight α (0: texture only)", 0, 1e4)
    palette: float = knob(
        1.0, "weight of the palette term, which limits colours and grain to the style's (0: off)", 0, 100
    )
    colours: Colours = knob(
        "style",
        "colours of the result (luminance: keeps the content's chroma; content: recolours the style first)",
        choices=get_args(Colours),
    )
    style_scale: float = knob(
        1.0, "factor by which the style image is resized; above 1, strokes are larger", 0.1, 8
    )
    style_weights: tuple[float, ...] = knob((), "weight of each of several styles (empty: equal weights)")
    tv: float = knob(0.0, "weight of the total variation, which reduces fine grain", 0, 1e4)
    start: Start = knob(
        "content", "first image: the content, noise, or the result of one pass", choices=get_args(Start)
    )
    optimizer: OptimizerName = knob("lbfgs", "optimisation algorithm", choices=get_args(OptimizerName))
    lr: float | None = knob(
        None, "step size: pixel values for Adam (default 0.02), a factor for L-BFGS (default 1)", 1e-6, 10
    )
    tolerance: float = knob(
        0.0, "stop when the loss changes by less than this fraction per step (0: never)", 0, 1
    )
    dtype: DType = knob(
        "auto", "number format inside the encoder (auto: bfloat16 where the hardware has it)", choices=DTYPES
    )
    memory: str = knob(
        "auto", "memory to use, such as 2GB; larger runs work in tiles (auto: 3/4 of the free memory)"
    )
    pooling: Pooling = knob("max", "pooling inside the encoder", choices=get_args(Pooling))
    seed: int = knob(0, "seed of all random numbers", 0, 2**31 - 1)

    def __post_init__(self) -> None:
        parse_method(str(self.method))
        check_fields(self)
        if self.memory in ("fast", "small"):  # values of earlier versions
            object.__setattr__(self, "memory", "auto")
        if self.memory != "auto":
            parse_bytes(self.memory)
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
        """Messages that name the parts of the method that `as_dict` cannot store: the user's own code."""
        return [
            f"the method {part} is code of your own: to repeat the image, pass or register it again"
            for part, _ in self.discrepancy.components()
            if type(part) is not BUILT_IN.get(str(part).partition("(")[0])
            or parse_method(str(part)).with_seed(0) != part.with_seed(0)
        ]

    def replace(self, **changes: Any) -> "Settings":
        """Returns a copy with some fields changed. Raises TypeError for an unknown field."""
        names = [f.name for f in dataclasses.fields(self)]
        if unknown := [name for name in changes if name not in names]:
            hint = did_you_mean(unknown[0], names) or f"; settings are {', '.join(names)}"
            if "preset" in unknown:
                hint = '; a preset is the third argument, as in stylize(content, style, "draft")'
            raise TypeError(f"no such setting: {', '.join(unknown)}{hint}")
        return dataclasses.replace(self, **changes)

    def parse(self, **values: Any) -> "Settings":
        """Returns a copy with fields read from text, as the command line, links and forms supply them.

        Args:
            **values: A text for each field to change, like gamma="0.5", style_layers="relu1_1, relu2_1" or
                lr="" (none). Lists of texts and values of the field's own type are accepted, too.

        Raises:
            ValueError: A text does not fit its field, which the message names.
            TypeError: There is no such field.
        """
        fields = {f.name: f for f in dataclasses.fields(self)}
        return self.replace(**{k: _parse(fields[k], v) if k in fields else v for k, v in values.items()})

    def as_dict(self) -> dict[str, Any]:
        """Returns plain values for JSON; `from_dict` reads them back."""
        return vars(self) | {"method": str(self.method)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Settings":
        """Returns the settings from the values of `as_dict`, which may have been stored as JSON.

        Recipes without `palette` are older than the palette term, so it is 0 there.
        """
        return cls().replace(**({"palette": 0.0} | values))


BASELINE = Settings(palette=0.0, encoder="vgg19", levels=1, iterations=1000)  # basis of the papers' presets
PRESETS: dict[str, Settings] = {
    # Our default starts from the content, from coarse to fine, so that few steps form strokes of every scale.
    "balanced": Settings(),
    # Nearly the result of "balanced", in a third of the time.
    "draft": Settings(iterations=24, size=256),
    # Takes four times as long as "balanced". The loss then has nearly converged.
    "fine": Settings(iterations=320),
    # Starts from the result of one pass, and takes only a few steps.
    "polish": Settings(start="onepass", iterations=12, levels=1),
    # Li et al. 2017, §4: VGG-19, relu4_2 and reluL_1 with w_l = 1, random start, at most 1000 iterations,
    # until the relative change is under 0.5 %. Their four methods need only a different `method`.
    "paper": BASELINE.replace(method="linear", start="random", tolerance=0.005),
    # Gatys et al. 2016: Gram matrices, average pooling, random start.
    "gatys": BASELINE.replace(method="gram", pooling="avg", start="random"),
    # The widely used PyTorch tutorial: Gram matrices before the ReLU at the first five convolutions, content
    # at the fourth, start from the content, 300 steps of L-BFGS.
    "tutorial": BASELINE.replace(
        method="gram",
        style_layers=("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1"),
        content_layers=("conv2_2",),
        iterations=300,
    ),
}
