"""One run: it builds and minimises the objective at each size, from coarse to fine."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from torch import Tensor

from nstlib.encoders.encoder import Encoder
from nstlib.synthesis import pixels, tiles
from nstlib.synthesis.allocator import give_back
from nstlib.synthesis.colours import blend_by_masks, prepare_colours, strips, with_chroma
from nstlib.synthesis.memory import choose_plan
from nstlib.synthesis.objective import Objective, uniform_noise
from nstlib.synthesis.optimize import Step, synthesize
from nstlib.synthesis.pyramid import resize_image, scale_image, schedule, upsample_change
from nstlib.synthesis.regions import Region, build_objective, make_regions
from nstlib.synthesis.settings import Settings
from nstlib.version import environment_info, step_with_torch_defaults


@dataclass(frozen=True)
class Job:
    """The inputs of a run: settings, an encoder, and at least one image (1, 3, H, W) in [0, 1]."""

    settings: Settings
    encoder: Encoder
    content: Tensor | None
    styles: tuple[Tensor, ...]
    masks: tuple[Tensor, ...] = ()  # (1, 1, H, W) of the content's size, >= 0, for each style; (): everywhere
    initial: Tensor | None = None  # image to start from, of the content's size
    check_cancel: Callable[[], None] = lambda: None  # see `calibrate`
    budget: float | None = None  # bytes to use (see memory.py)
    tile: int | None = None  # px of the tiles at full size
    inputs: Mapping[str, Any] = field(default_factory=dict)  # what the recipe records of the images

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the images that the run yields."""
        image = self.styles[0] if self.content is None else self.content
        return image.shape[2], image.shape[3]

    def recipe(self) -> dict[str, Any]:
        """Returns what is needed to make the image again, as plain JSON values. `run_job` adds the step."""
        kind = "transfer" if self.styles else "reconstruct_content"
        bounds = Settings.__dataclass_fields__["size"].metadata
        # the longest side of the actual images, which need not be `settings.size`
        side = min(max(*self.size, bounds["low"]), bounds["high"])
        return {
            "kind": "reconstruct_style" if self.content is None else kind,
            "settings": self.settings.replace(size=side).as_dict(),
            "size": list(self.size),
            "tile": self.tile,
            "inputs": dict(self.inputs),
            "unrecorded": self.settings.unrecorded,
            "weights_sha256": self.encoder.weights_hash,
            "device": str(self.encoder.device),
            **environment_info(),
        }


@step_with_torch_defaults
def run_job(job: Job) -> Iterator[Step]:
    """Yields the steps of a run at all its sizes. Every image has the full size and carries the recipe."""
    settings, device, recipe, start = job.settings, job.encoder.device, job.recipe(), time.perf_counter()
    content, initial = (None if image is None else image.to(device) for image in (job.content, job.initial))
    styles = tuple(style.to(device) for style in job.styles)
    if content is not None and styles:
        content, styles = prepare_colours(settings.colours, content, styles)
    size, kept = job.size, job.content if job.masks or settings.colours == "luminance" else None
    job = replace(job, content=kept, styles=(), initial=None)  # so that the images can be freed
    masks = [mask.to(device) for mask in job.masks]
    regions = make_regions(settings, [scale_image(style, settings.style_scale) for style in styles], masks)
    sides = [min(style.shape[2:]) * settings.style_scale for style in styles]
    sides += [] if content is None else [min(content.shape[2:])]
    done, worked, x, before = 0, 0.0, None, None
    sizes = schedule(settings, int(min(sides)))
    work = sum(scale**2 * iterations for scale, iterations in sizes)
    for scale, iterations in sizes:
        C = None if content is None else scale_image(content, scale)
        S = [scale_image(style, scale * settings.style_scale) for style in styles]
        origin = C if initial is None else scale_image(initial, scale)
        if x is not None:
            x = upsample_change(x, before, S[0] if origin is None else origin)
        elif origin is not None and (settings.start == "content" or initial is not None):
            x = origin
        else:
            x = uniform_noise(S[0] if origin is None else origin, settings.seed)
        before = origin
        shapes = [image.shape[2:] for image in (C, *S) if image is not None]
        style_shape = max(shapes[-len(S) :], key=math.prod)
        plan = choose_plan(settings.replace(style_scale=1.0), job.encoder, shapes[0], style_shape, job.budget)
        if plan.tile is not None:
            give_back()  # tiles would not reuse most of the memory that the smaller size has freed
        objective = build_objective(settings, job.encoder, C, S, regions, job.check_cancel, plan.tile)
        steps = synthesize(
            x,
            partial(_terms, objective, job.encoder, plan.tile),
            iterations=iterations,
            optimizer=settings.optimizer,
            lr=settings.lr,
            tolerance=settings.tolerance,
            preconditioner=pixels.blur_preconditioner if settings.palette and styles else None,
            history=plan.history,
        )
        x = None  # `steps` holds it now
        if scale == 1:  # the objective holds what it needs of the images
            del content, styles, initial, C, S, origin, before
        for step in steps:
            index, seconds = done + step.index, time.perf_counter() - start
            share = (worked + scale**2 * step.index) / work
            yield replace(
                step,
                index=index,
                total=settings.iterations,
                tile=job.tile,
                picture=partial(finish_image, step.picture, size, job, regions, recipe | {"step": index}),
                seconds=seconds,
                remaining=seconds * max(0.0, 1 / share - 1),
                stopped=step.stopped if scale == 1 or step.failed else "",
            )
            if step.failed:
                return
        x = step.image
        done, worked = done + iterations, worked + scale**2 * iterations


def _terms(objective: Objective, encoder: Encoder, tile: int | None, x: Tensor) -> dict[str, Tensor]:
    return objective.compare(tiles.embed(objective, encoder, x, tile))


def finish_image(
    picture: Callable[[], Tensor],
    size: tuple[int, int],
    job: Job,
    regions: Sequence[Region],
    recipe: dict[str, Any],
) -> Tensor:
    """Returns the image to show for a step: at full size, in the style's palette, with the recipe.

    A step also changes pixels outside the masks, because receptive fields reach across their edges. So with
    masks, the content is blended in by their sum.
    """
    image, strength = resize_image(picture(), *size), job.settings.palette * job.settings.gamma
    if strength and regions:
        image = pixels.limit_variance(image, [(r.covariances, r.mask) for r in regions], strength)
        image = pixels.remove_outlier_colours(image, [(r.palette, r.mask) for r in regions], strength)
    if job.settings.colours == "luminance" and job.content is not None:
        image = with_chroma(image, job.content.to(image))
    if job.masks and job.content is not None:
        for x, own, *areas in strips(image, job.content, *job.masks):
            x.copy_(blend_by_masks(own, x, areas))
    image.recipe = recipe  # type: ignore[attr-defined]
    return image
