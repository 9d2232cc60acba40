"""One run: encode the pictures, calibrate, synthesize; at each size, from coarse to fine (see pyramid.py)."""

import dataclasses
import math
import platform
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nstlib.encoders.encoder import Encoder
from nstlib.synthesis.loop import Step, synthesize
from nstlib.synthesis.objective import Features, Objective, StyleTerm, calibrate, style_terms
from nstlib.synthesis.pyramid import enlarged, plan, resized
from nstlib.synthesis.settings import Settings
from nstlib.version import __version__

CALIBRATION_NOISE = 0.2  # deviation of the noise on the picture at which gradients are compared


@dataclass(frozen=True)
class Job:
    """What a run works from: at least one of the pictures. between: see `objective.calibrate`."""

    settings: Settings
    encoder: Encoder
    content: Tensor | None
    style: Tensor | None
    between: Callable[[], None] = lambda: None

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
            between=self.between,
        )

    def recipe(self) -> dict[str, Any]:
        """What it takes to make this picture again, as plain JSON values."""
        kind = "reconstruct_content" if self.style is None else "reconstruct_style"
        kind = kind if self.content is None or self.style is None else "transfer"
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
    """The steps of a job, through all its sizes. Every image has the full size and carries the recipe."""
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
