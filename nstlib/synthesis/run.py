"""One run: at each size, from coarse to fine, build the objective and minimise it."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from torch import Tensor

from nstlib.encoders.encoder import Encoder
from nstlib.synthesis import pixels
from nstlib.synthesis.colours import prepare_colours, with_chroma
from nstlib.synthesis.objective import uniform_noise
from nstlib.synthesis.optimize import Step, synthesize
from nstlib.synthesis.pyramid import resize_image, scale_image, schedule, upsample_change
from nstlib.synthesis.regions import Region, build_objective, make_regions
from nstlib.synthesis.settings import Settings
from nstlib.version import environment_info, step_with_torch_defaults


@dataclass(frozen=True)
class Job:
    """What a run works from: settings, an encoder, and at least one image (1, 3, H, W) in [0, 1]."""

    settings: Settings
    encoder: Encoder
    content: Tensor | None
    styles: tuple[Tensor, ...]
    masks: tuple[Tensor, ...] = ()  # (1, 1, H, W) of the content's size, >= 0, for each style; (): everywhere
    initial: Tensor | None = None  # image to start from, of the content's size
    check_cancel: Callable[[], None] = lambda: None  # see `calibrate`
    inputs: Mapping[str, Any] = field(default_factory=dict)  # what the recipe records of the images

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the images that the run yields."""
        image = self.styles[0] if self.content is None else self.content
        return image.shape[2], image.shape[3]

    def recipe(self) -> dict[str, Any]:
        """Return what it takes to make this image again, as plain JSON values; `run` adds the step."""
        kind = "transfer" if self.styles else "reconstruct_content"
        bounds = Settings.__dataclass_fields__["size"].metadata
        side = min(
            max(*self.size, bounds["low"]), bounds["high"]
        )  # of these images, however they were loaded
        return {
            "kind": "reconstruct_style" if self.content is None else kind,
            "settings": self.settings.replace(size=side).as_dict(),
            "size": list(self.size),
            "inputs": dict(self.inputs),
            "unrecorded": self.settings.unrecorded,
            "weights_sha256": self.encoder.weights_hash,
            "device": str(self.encoder.device),
            **environment_info(),
        }


@step_with_torch_defaults
def run_job(job: Job) -> Iterator[Step]:
    """Yield the steps of a run through all its sizes; every image has the full size and the recipe."""
    settings, device, recipe, start = job.settings, job.encoder.device, job.recipe(), time.perf_counter()
    content, initial = (None if image is None else image.to(device) for image in (job.content, job.initial))
    styles = tuple(style.to(device) for style in job.styles)
    if content is not None and styles:
        content, styles = prepare_colours(settings.colours, content, styles)
    masks = [mask.to(device) for mask in job.masks]
    regions = make_regions(settings, [scale_image(style, settings.style_scale) for style in styles], masks)
    encode = partial(pixels.encode, job.encoder, checkpoint=settings.memory == "small")
    sides = [min(style.shape[2:]) * settings.style_scale for style in styles]
    sides += [] if content is None else [min(content.shape[2:])]
    done, x, before = 0, None, None
    for scale, iterations in schedule(settings, int(min(sides))):
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
        objective = build_objective(settings, job.encoder, C, S, regions, job.check_cancel)
        steps = synthesize(
            x,
            lambda x, objective=objective: objective(x, encode(x, objective.layers)),  # type: ignore[misc]
            iterations=iterations,
            optimizer=settings.optimizer,
            lr=settings.lr,
            tolerance=settings.tolerance,
            preconditioner=pixels.blur_preconditioner if settings.palette and styles else None,
        )
        for step in steps:
            x, index = step.image, done + step.index
            yield replace(
                step,
                index=index,
                total=settings.iterations,
                picture=partial(finish_image, x, job, regions, recipe | {"step": index}),
                seconds=time.perf_counter() - start,
                stopped=step.stopped if scale == 1 or step.failed else "",
            )
            if step.failed:
                return
        done += iterations


def finish_image(x: Tensor, job: Job, regions: Sequence[Region], recipe: dict[str, Any]) -> Tensor:
    """Return the image that is shown for x: of full size, in the style's palette, with the recipe."""
    image, strength = resize_image(x, *job.size), job.settings.palette * job.settings.gamma
    if strength and regions:
        image = pixels.limit_variance(image, [(r.covariances, r.mask) for r in regions], strength)
        image = pixels.remove_outlier_colours(image, [(r.palette, r.mask) for r in regions], strength)
    if job.settings.colours == "luminance" and job.content is not None:
        image = with_chroma(image, job.content.to(image))
    image.recipe = recipe  # type: ignore[attr-defined]
    return image
