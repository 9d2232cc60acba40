"""One run: encode the pictures, calibrate, synthesize; at each size, from coarse to fine.

Working through sizes departs from the paper, which runs at full size only: strokes wider than the
encoder's view form at the small sizes, and the large one starts from a good picture (levels=1 is the paper).
What moves up a size is the *change* made to the photograph, so that none of its detail has to be found again.
"""

import dataclasses
import math
import platform
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from nstlib.features import Encoder
from nstlib.objective import Features, Objective, StyleTerm, calibrate, style_terms
from nstlib.settings import Settings
from nstlib.synthesis import Step, synthesize
from nstlib.version import __version__

FULL = 0.7  # share of the steps that are taken at full size
COARSEST = 64  # px: no level's shorter side is below this, so that relu5_1 keeps several positions
CALIBRATION_NOISE = 0.2  # deviation of the noise on the picture at which gradients are compared


def resized(image: Tensor, height: int, width: int) -> Tensor:
    """The image at another size, antialiased, values kept in [0, 1]."""
    if image.shape[2:] == (height, width):
        return image
    return interpolate(image, (height, width), mode="bicubic", antialias=True, align_corners=False).clamp(
        0, 1
    )


def plan(settings: Settings, side: int) -> list[tuple[float, int]]:
    """[(1/4, 12), (1/2, 12), (1, 56)]: sizes as fractions of the full one, where the shorter side is `side`
    pixels, and the steps at each. `FULL` of all steps are taken at full size."""
    coarse = min(settings.levels - 1, max(0, math.floor(math.log2(side / COARSEST))))
    each = int(settings.iterations * (1 - FULL) / coarse) if coarse else 0
    steps = [*[each] * coarse, settings.iterations - each * coarse]
    return [(0.5 ** (coarse - k), n) for k, n in enumerate(steps) if n]


def enlarged(x: Tensor, before: Tensor | None, target: Tensor) -> Tensor:
    """x at the size of `target`. Where x was made from the photograph `before`, and `target` is the same one,
    larger, only the change x − before is enlarged, and added to the target."""
    height, width = target.shape[2:]
    if before is None:
        return resized(x, height, width)
    change = interpolate(x - before, (height, width), mode="bicubic", align_corners=False)
    return (target + change).clamp(0, 1)


@dataclass(frozen=True)
class Job:
    """What a run works from: at least one of the pictures."""

    settings: Settings
    encoder: Encoder
    content: Tensor | None
    style: Tensor | None

    @property
    def shape(self) -> tuple[int, int]:
        image = self.style if self.content is None else self.content
        assert image is not None
        return image.shape[2], image.shape[3]

    def plan(self) -> list[tuple[float, int]]:
        """Sizes to work through as fractions of the full size, and the steps at each."""
        images = [image for image in (self.content, self.style) if image is not None]
        return plan(self.settings, min(min(image.shape[2:]) for image in images))

    def scaled(self, image: Tensor | None, scale: float) -> Tensor | None:
        if image is None:
            return None
        height, width = (max(1, round(side * scale)) for side in image.shape[2:])
        return resized(image.to(self.encoder.device), height, width)

    def noise(self, shape: tuple[int, ...]) -> Tensor:
        """Uniform noise in [0, 1], the same on every device."""
        generator = torch.Generator().manual_seed(self.settings.seed)
        return torch.rand(shape, generator=generator).to(self.encoder.device)

    def encode(self, image: Tensor, layers: Iterable[str]) -> Features:
        return self.encoder(image, layers, checkpoint=self.settings.memory == "small")

    def objective(self, content: Tensor | None, style: Tensor | None) -> Objective:
        """The calibrated objective for these pictures."""
        settings, encoder = self.settings, self.encoder
        P: Features = {}
        terms: tuple[StyleTerm, ...] = ()
        with torch.no_grad():
            if content is not None and settings.alpha:
                P = encoder(content, settings.content_layers or (encoder.content_layer,))
            if style is not None:
                layers = settings.style_layers or encoder.style_layers
                weights = dict(zip(layers, settings.layer_weights or [1.0] * len(layers), strict=True))
                method = settings.discrepancy.seeded(settings.seed)
                terms = style_terms(method, encoder(style, layers), weights)
        objective = Objective(P, terms, alpha=settings.alpha, gamma=settings.gamma, tv=settings.tv)
        picture = style if content is None else content
        assert picture is not None
        noise = (self.noise(tuple(picture.shape)) - 0.5) * math.sqrt(12)
        reference = (picture + CALIBRATION_NOISE * noise).clamp(0, 1)
        return calibrate(
            objective,
            lambda x: self.encode(x, objective.layers),
            reference,
            keep_graph=settings.memory != "small",
        )

    def recipe(self) -> dict[str, Any]:
        """What it takes to make this picture again, as plain JSON values."""
        kind = "transfer" if self.content is not None and self.style is not None else "reconstruction"
        return {
            "kind": kind,
            "settings": self.settings.as_dict(),
            "size": list(self.shape),
            "weights_sha256": self.encoder.weights_hash,
            "versions": {
                "nstlib": __version__,
                "torch": str(torch.__version__),
                "python": platform.python_version(),
            },
            "device": str(self.encoder.device),
        }


def run(job: Job) -> Iterator[Step]:
    settings, recipe = job.settings, job.recipe()
    start, done, x, before = time.perf_counter(), 0, None, None
    for scale, iterations in job.plan():
        content, style = job.scaled(job.content, scale), job.scaled(job.style, scale)
        target = style if content is None else content
        assert target is not None
        if x is not None:
            x = enlarged(x, before, target)
        elif settings.start == "content" and content is not None:
            x = content
        else:
            x = job.noise(tuple(target.shape))
        before = content
        objective = job.objective(content, style)
        steps = synthesize(
            x,
            lambda x, objective=objective: objective(x, job.encode(x, objective.layers)),  # type: ignore[misc]
            iterations=iterations,
            optimizer=settings.optimizer,
            lr=settings.lr,
            tolerance=settings.tolerance,
        )
        for step in steps:
            x = step.image
            image = resized(x, *job.shape)
            image.recipe = recipe  # type: ignore[attr-defined]
            ended = step.stopped if scale == 1 or step.failed else ""
            yield dataclasses.replace(
                step,
                index=done + step.index,
                total=settings.iterations,
                image=image,
                seconds=time.perf_counter() - start,
                stopped=ended,
            )
            if step.failed:
                return
        done += iterations
