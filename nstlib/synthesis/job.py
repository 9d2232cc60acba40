"""One run: encode the pictures, calibrate, synthesize; at each size, from coarse to fine (see pyramid.py)."""

import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from nstlib.encoders.encoder import Encoder
from nstlib.synthesis import pixels
from nstlib.synthesis.colours import prepared, with_chroma
from nstlib.synthesis.loop import Step, synthesize
from nstlib.synthesis.objective import Features, Objective, StyleTerm, calibrate, style_terms
from nstlib.synthesis.pyramid import enlarged, plan, resized
from nstlib.synthesis.regions import Region, several
from nstlib.synthesis.settings import Settings
from nstlib.version import step_with_torch_defaults, surroundings

CALIBRATION_NOISE = 0.2  # deviation of the noise on the picture at which gradients are compared


@dataclass(frozen=True)
class Job:
    """What a run works from: at least one of the pictures.

    style: one picture (1, 3, H, W) or several, mixed by `settings.style_weights`. masks: where each of the
    styles goes, (1, 1, H, W) of the content's size, ≥ 0; with none, all styles go everywhere.
    initial: the picture to start from, of the content's size. between: see `objective.calibrate`.
    inputs: what the recipe says of the images that the caller gave (see nstlib/inputs.py).
    """

    settings: Settings
    encoder: Encoder
    content: Tensor | None
    style: Tensor | tuple[Tensor, ...] | None
    masks: tuple[Tensor, ...] = ()
    initial: Tensor | None = None
    between: Callable[[], None] = lambda: None
    inputs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def styles(self) -> tuple[Tensor, ...]:
        return several(self.style)

    @property
    def shape(self) -> tuple[int, int]:
        image = self.styles[0] if self.content is None else self.content
        return image.shape[2], image.shape[3]

    def plan(self) -> list[tuple[float, int]]:
        """Sizes to work through as fractions of the full size, and the steps at each."""
        sides = [min(style.shape[2:]) * self.settings.style_scale for style in self.styles]
        sides += [] if self.content is None else [min(self.content.shape[2:])]
        return plan(self.settings, int(min(sides)))

    def scaled(self, image: Tensor | None, scale: float) -> Tensor | None:
        if image is None:
            return None
        height, width = (max(1, round(side * scale)) for side in image.shape[2:])
        return resized(image.to(self.encoder.device), height, width)

    def styles_at(self, scale: float) -> tuple[Tensor, ...]:
        found = (self.scaled(style, scale * self.settings.style_scale) for style in self.styles)
        return tuple(style for style in found if style is not None)

    def noise(self, shape: tuple[int, ...]) -> Tensor:
        """Uniform noise in [0, 1], the same on every device."""
        generator = torch.Generator().manual_seed(self.settings.seed)
        return torch.rand(shape, generator=generator, dtype=torch.float32).to(self.encoder.device)

    def encode(self, image: Tensor, layers: Iterable[str]) -> Features:
        """The encoder's layers, and the two below them (see pixels.py) where asked for."""
        layers = tuple(layers)
        own = pixels.features(image) if pixels.PIXELS in layers else {}
        deep = [layer for layer in layers if layer not in own]
        return own | self.encoder(image, deep, checkpoint=self.settings.memory == "small")

    @cached_property
    def regions(self) -> list[Region]:
        """Which styles go where. The palettes are of the pictures at full size."""
        styles, weights = self.styles_at(1), self.settings.style_weights or (1.0,) * len(self.styles)
        if self.masks:
            masks = [mask.to(self.encoder.device) for mask in self.masks]
            return [
                Region((k,), (1.0,), mask, (styles[k],))
                for k, mask in enumerate(masks)
                if bool((mask > 0).any())
            ]
        return [Region(tuple(range(len(styles))), tuple(weights), None, styles)] if styles else []

    def objective(self, content: Tensor | None, style: Tensor | tuple[Tensor, ...] | None) -> Objective:
        """The calibrated objective for these pictures, of whatever size."""
        settings, encoder, styles = self.settings, self.encoder, several(style)
        P: Features = {}
        picture = styles[0] if content is None else content
        layers = settings.style_layers or encoder.style_layers
        weights = dict(zip(layers, settings.layer_weights or [1.0] * len(layers), strict=True))
        method = settings.discrepancy.seeded(settings.seed)
        terms: list[StyleTerm] = []
        palette: list[StyleTerm] = []
        with torch.no_grad():
            if content is not None and settings.alpha:
                P = encoder(content, settings.content_layers or (encoder.content_layer,))
            below = (pixels.PIXELS, pixels.GRAIN) if settings.palette else ()
            known = [self.encode(style, (*layers, *below)) for style in styles]
            sizes = {}
            if self.masks:
                sizes = {layer: map.shape[2:] for layer, map in encoder.maps(picture, layers).items()}
                sizes |= {layer: picture.shape[2:] for layer in below}
            for region in self.regions if styles else ():
                features, shares = region.mixture(known)
                found = style_terms(method, features, weights, shares)
                terms += region.placed(found, sizes)
                if settings.palette:
                    found = pixels.terms(features, shares, region.colours, settings.palette)
                    palette += region.placed(found, sizes)
        objective = Objective(
            P,
            tuple(terms),
            alpha=settings.alpha,
            gamma=settings.gamma,
            tv=settings.tv,
            palette=tuple(palette),
        )
        noise = (self.noise(tuple(picture.shape)) - 0.5) * math.sqrt(12)
        reference = (picture + CALIBRATION_NOISE * noise).clamp(0, 1)
        return calibrate(
            objective,
            lambda x: self.encode(x, objective.layers),
            reference,
            keep_graph=settings.memory != "small",
            between=self.between,
        )

    def prepared(self) -> "Job":
        """The job on the pictures as `settings.colours` wants them seen."""
        if self.content is None or not self.styles:
            return self
        content, styles = prepared(self.settings.colours, self.content, self.styles)
        return replace(self, content=content, style=styles)

    def finished(self, x: Tensor, content: Tensor | None, recipe: dict[str, Any]) -> Tensor:
        """What is shown of x, with its recipe: at full size, colours and grain within what the style's allow,
        the content's chroma given back."""
        image, strength = resized(x, *self.shape), self.settings.palette * self.settings.gamma
        if strength and self.regions:
            image = pixels.restrained(image, [(r.spreads, r.mask) for r in self.regions], strength)
            image = pixels.cleaned(image, [(r.colours, r.mask) for r in self.regions], strength)
        if self.settings.colours == "luminance" and content is not None:
            image = with_chroma(image, content.to(image))
        image.recipe = recipe  # type: ignore[attr-defined]
        return image

    def recipe(self) -> dict[str, Any]:
        """What it takes to make this picture again, as plain JSON values; `run` adds the step."""
        kind = "reconstruct_content" if not self.styles else "reconstruct_style"
        kind = kind if self.content is None or not self.styles else "transfer"
        bounds = Settings.__dataclass_fields__["size"].metadata
        side = min(max(*self.shape, bounds["low"]), bounds["high"])  # of these images, whoever loaded them
        return {
            "kind": kind,
            "settings": self.settings.replace(size=side).as_dict(),
            "size": list(self.shape),
            "inputs": dict(self.inputs),
            "unrecorded": self.settings.unrecorded,
            "weights_sha256": self.encoder.weights_hash,
            "device": str(self.encoder.device),
            **surroundings(),
        }


@step_with_torch_defaults
def run(job: Job) -> Iterator[Step]:
    """The steps of a job, through all its sizes. Every image has the full size and carries the recipe."""
    settings, recipe, photograph = job.settings, job.recipe(), job.content
    job = job.prepared()
    start, done, x, before = time.perf_counter(), 0, None, None
    for scale, iterations in job.plan():
        content, styles = job.scaled(job.content, scale), job.styles_at(scale)
        target = styles[0] if content is None else content
        origin = content if job.initial is None else resized(job.initial.to(target), *target.shape[2:])
        if x is not None:
            x = enlarged(x, before, target if origin is None else origin)
        elif origin is not None and (settings.start == "content" or job.initial is not None):
            x = origin
        else:
            x = job.noise(tuple(target.shape))
        before = origin
        objective = job.objective(content, styles)
        steps = synthesize(
            x,
            lambda x, objective=objective: objective(x, job.encode(x, objective.layers)),  # type: ignore[misc]
            iterations=iterations,
            optimizer=settings.optimizer,
            lr=settings.lr,
            tolerance=settings.tolerance,
            metric=pixels.coarse_first if settings.palette and styles else None,
        )
        for step in steps:
            x = step.image
            ended = step.stopped if scale == 1 or step.failed else ""
            yield dataclasses.replace(
                step,
                index=done + step.index,
                total=settings.iterations,
                picture=partial(job.finished, x, photograph, recipe | {"step": done + step.index}),
                seconds=time.perf_counter() - start,
                stopped=ended,
            )
            if step.failed:
                return
        done += iterations
