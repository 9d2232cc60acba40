"""`Training`: every choice of a training with its default, as `Settings` has those of a run."""

import math
from dataclasses import dataclass
from typing import Any

from nstlib.alignment.discrepancy import Discrepancy
from nstlib.feedforward.networks import PLANS
from nstlib.inputs import is_number
from nstlib.synthesis.settings import Settings


@dataclass(frozen=True)
class Training:
    """The choices of a training; `train_feedforward` documents them.

    Raises:
        ValueError: a value is out of range; the message names the field.
    """

    method: str | Discrepancy = "gram"
    gamma: float = 1.0
    plan: str = "light"
    iterations: int = 2000
    batch: int = 4
    size: int = 192
    lr: float = 3e-3
    tv: float = 0.0
    palette: float = 1.0
    seed: int = 0
    dtype: Any = "auto"

    def __post_init__(self) -> None:
        _ = self.objective  # checks what a run has, too
        for name in ("iterations", "batch", "lr"):
            value = getattr(self, name)
            if not is_number(value) or not 0 < value < math.inf:
                raise ValueError(f"{name} must be a finite number > 0, got {value!r}")
        for name in ("iterations", "batch", "size", "seed"):
            if not isinstance(value := getattr(self, name), int):
                raise ValueError(f"{name} must be a whole number, got {value!r}")
        if self.size < 64 or self.size % 4:
            raise ValueError(f"size must be a multiple of 4 and at least 64 px, got {self.size}")
        if self.plan not in PLANS:
            raise ValueError(f"unknown plan {self.plan!r}; plans are {', '.join(PLANS)}")

    @property
    def objective(self) -> Settings:
        """The settings of a run with the same objective."""
        names = ("method", "gamma", "tv", "palette", "seed", "dtype")
        return Settings(**{name: getattr(self, name) for name in names})
