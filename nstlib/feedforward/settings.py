"""`Training`: the options of a training, with their defaults. The options of a run are in `Settings`."""

from dataclasses import dataclass, field
from typing import Any

from nstlib.alignment.discrepancy import Discrepancy
from nstlib.feedforward.networks import PLANS
from nstlib.synthesis.settings import Settings, check_fields, knob

SHARED = ("method", "gamma", "tv", "palette", "seed", "dtype")  # options that `Settings` has as well


def _shared(name: str, default: Any) -> Any:
    return field(default=default, metadata=Settings.__dataclass_fields__[name].metadata)


@dataclass(frozen=True)
class Training:
    """The options of a training. For a value out of range, a ValueError names the field."""

    method: str | Discrepancy = _shared("method", "gram")
    gamma: float = _shared("gamma", 1.0)
    plan: str = knob("sharp", "architecture of the network (feedforward/networks.py)", choices=PLANS)
    iterations: int = knob(2000, "number of training steps", 1, 10**9)
    batch: int = knob(4, "crops per step, over all processes", 1, 10**6)
    size: int = knob(192, "side of the crops, in pixels: a multiple of 4, at least 64", 64, 4096)
    lr: float = knob(3e-3, "peak learning rate of Adam", 1e-9, 1e30)
    tv: float = _shared("tv", 0.0)
    palette: float = _shared("palette", 1.0)
    seed: int = _shared("seed", 0)
    dtype: Any = _shared("dtype", "auto")

    def __post_init__(self) -> None:
        check_fields(self)
        _ = self.objective  # raises ValueError for an unknown method
        if self.size % 4:
            raise ValueError(f"size must be a multiple of 4, got {self.size}")

    @property
    def objective(self) -> Settings:
        """The settings of a run with the same objective."""
        return Settings(**{name: getattr(self, name) for name in SHARED})
