"""Estimates the memory of a run before it starts, and chooses a plan that fits into the free memory.

A run works in tiles (tiles.py), or on the whole image as one tile. Each segment of the network stores the map
of the next segment and the graph of one tile, which `measure_graphs` counts on a small image. The estimate
adds the features and their gradients, the largest maps' gradients, the optimiser's vectors and the images.
For large images, L-BFGS stores fewer pairs in bfloat16. A run uses the first of `PLANS` that fits.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TypeVar

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from nstlib.alignment.discrepancy import LinearMMD
from nstlib.encoders import IMAGE, Encoder, Window
from nstlib.synthesis.optimize import HISTORY
from nstlib.synthesis.settings import Settings, parse_bytes
from nstlib.version import free_host_memory, use_torch_defaults

BASE = 280e6  # bytes: Python and torch before any work
SMALL = 64  # px of the image whose graph is counted
IMAGES = 5.75  # number of float32 images and gradients in memory at once, at full size
PALETTE = 11  # further ones, of a tile's size, for the palette term: features, gradients, a colour map
GAPS = 1.5  # factor for tiles from 512 px on: freed memory stays between their maps (allocator.py)
SPARE = 0.75  # fraction of the free memory that a run may use: estimates may be a quarter too low

Size = Sequence[int]  # (height, width) of an image
Option = TypeVar("Option")


class BudgetError(MemoryError):
    """The run needs more memory than the user allows."""


@dataclass(frozen=True)
class Plan:
    """How a run at one size uses memory: px of a tile (None: the whole image), and pairs of L-BFGS."""

    tile: int | None = None
    history: tuple[int, torch.dtype | None] = HISTORY


WHOLE = Plan()
PLANS = (
    WHOLE,
    *(Plan(tile) for tile in (1024, 512)),
    *(Plan(tile, (pairs, torch.bfloat16)) for pairs in (8, 4, 3) for tile in (1024, 512)),
    *(Plan(tile, (pairs, torch.bfloat16)) for pairs in (3, 2) for tile in (384, 256)),
)


def estimate(settings: Settings, encoder: Encoder, content: Size, style: Size, plan: Plan = WHOLE) -> float:
    """Returns the estimated peak memory in bytes: of the process, or on a GPU of that device.

    Measured peaks differ by at most 25 % from the estimate (benchmarks/memory.py).

    Args:
        settings: The settings of the run. Their `style_scale` is applied to `style`.
        content, style: (height, width) of the images.

    Raises:
        ValueError: The encoder has no such layer.
    """
    deep = settings.content_layers or (encoder.content_layer,)
    layers, pixels = (settings.style_layers or encoder.style_layers) + deep, math.prod(content)
    scaled = [max(SMALL, math.ceil(side * settings.style_scale)) for side in style]
    tile = plan.tile or max(*content, *scaled)
    parts, style_parts = (encoder.windows(size, layers, tile) for size in (content, scaled))
    linear = all(isinstance(part, LinearMMD) for part, _ in settings.discrepancy.components())
    step = backward = encoding = 0.0
    graphs = measure_graphs(encoder, layers)
    for (saved, largest, features), own, other in zip(graphs, parts, style_parts, strict=True):
        crop, style_crop = count_pixels(encoder, own), count_pixels(encoder, other)
        step += (saved + features) * crop
        backward = max(backward, (2 * largest + (0 if linear else features)) * crop)
        encoding = max(encoding, (2 * largest + features) * style_crop)
    gaps = GAPS if plan.tile and plan.tile >= 512 else 1
    stored = encoder.dtype.itemsize * count_numbers(encoder, (*deep, *(part[0].end for part in parts[:-1])))
    peak = gaps * max(step + backward + stored * pixels, encoding + stored * math.prod(scaled))
    pairs, dtype = plan.history
    vectors = 6 if settings.optimizer == "adam" else (2 * pairs + 1) * (0.5 if dtype else 1) + 2
    images = (IMAGES + vectors) * pixels + max(0, math.prod(style) - pixels)  # IMAGES covers smaller styles
    images += PALETTE * bool(settings.palette) * count_pixels(encoder, parts[0])
    weights = sum(p.nbytes for stage in encoder.network.stages.values() for p in stage.parameters())
    return base_memory(encoder.device) + weights + peak + 4 * 3 * images


@lru_cache(maxsize=16)
@use_torch_defaults(gradients=True)
def measure_graphs(encoder: Encoder, layers: tuple[str, ...]) -> list[tuple[float, float, float]]:
    """Returns bytes per pixel for each segment: of what autograd stores, its largest map, and the features.

    They are counted in a pass over a small image.
    """
    network, maps, found = encoder.network, dict[int, int](), []
    weights = {p.data_ptr() for stage in network.stages.values() for p in stage.state_dict().values()}

    def store(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in weights:
            maps[tensor.data_ptr()] = tensor.nbytes
        return tensor

    for (window,) in encoder.windows((SMALL, SMALL), layers, SMALL):
        maps.clear()
        names = [name for name in window.positions if name != IMAGE]
        shape = (1, network.channels.get(window.start, 3), *(side.stop for side in window.crop))
        x = torch.zeros(shape, dtype=encoder.dtype, device=encoder.device, requires_grad=True)
        with saved_tensors_hooks(store, lambda tensor: tensor):
            encoder(x, names, window=window)
        saved = [size / (SMALL + 2 * network.padding) ** 2 for size in maps.values()]
        found.append((sum(saved), max(saved, default=0.0), 4 * count_numbers(encoder, names)))
    return found


def count_pixels(encoder: Encoder, windows: Iterable[Window]) -> float:
    """Returns the number of pixels from which the largest of some windows is computed."""
    strides = {IMAGE: 1} | encoder.network.strides
    areas = [strides[w.start] ** 2 * math.prod(side.stop - side.start for side in w.crop) for w in windows]
    return float(max(areas))


def count_numbers(encoder: Encoder, stages: Iterable[str]) -> float:
    """Returns the number of values per pixel in the maps of some stages."""
    return sum(encoder.network.channels[name] / encoder.network.strides[name] ** 2 for name in stages)


def base_memory(device: torch.device) -> float:
    """Returns the bytes that are in use before any work, which is 0 on a GPU."""
    return BASE if device.type == "cpu" else 0.0


def free_memory(device: torch.device) -> float | None:
    """Returns the total bytes that this process may use, including those in use; None if unknown."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device))
    return free_host_memory()


def budget(memory: str, device: torch.device) -> float | None:
    """Returns the bytes that `Settings.memory` allows: for "auto" a fraction of the free memory, if known."""
    if memory != "auto":
        return parse_bytes(memory)
    available = free_memory(device)
    return None if available is None else SPARE * available


def choose_plan(
    settings: Settings, encoder: Encoder, content: Size, style: Size, limit: float | None
) -> Plan:
    """Returns the first of `PLANS` that needs at most `limit` bytes (see `choose`)."""
    whole = [str(d) for d, _ in settings.discrepancy.components() if not d.additive]
    plans = [plan for plan in PLANS if plan.tile is None or (plan.tile < max(*content, *style) and not whole)]
    who = encoder.name + (f" and {whole[0]}, which cannot run in tiles," if whole else "")
    remedy = "" if encoder.name == "vgg19-slim" else "take the encoder vgg19-slim"
    need, given = partial(estimate, settings, encoder), settings.memory != "auto"
    return choose(plans, need, (content, style), who, remedy, limit, given)


def choose(
    options: Sequence[Option],
    need: Callable[..., float],
    sizes: Sequence[Size],
    who: str,
    remedy: str,
    limit: float | None,
    given: bool,
) -> Option:
    """Returns the first option for which `need(*sizes, option)` is at most `limit` bytes.

    Args:
        sizes: (height, width) of the images, the content first.
        who: What needs the memory (for the message).
        remedy: What to do if no smaller size would fit (for the message).
        limit: None if unknown; the result is then the first option. given: Whether the user set the limit.

    Raises:
        MemoryError: No option fits. The message has the bytes needed and free, and a size that would fit.
    """
    if limit is None:
        return options[0]
    for option in options:
        if need(*sizes, option) <= limit:
            return option
    longest = max(map(max, sizes))

    def least(side: int) -> float:
        smaller = [[max(16, round(n * side / longest)) for n in size] for size in sizes]
        return min(need(*smaller, option) for option in (options[0], options[-1]))

    needed = least(longest)
    side = next((side for side in range(longest // 32 * 32, 32, -32) if least(side) <= limit), 0)
    enough = f"raise memory to at least {_show(needed, 1)}" if given else ""
    remedies = [f"size {side} would fit", enough] if side else [enough or "close other programs", remedy]
    there = f"the budget is {_show(limit)}" if given else f"{_show(limit / SPARE)} are free"
    raise (BudgetError if given else MemoryError)(
        f"{sizes[0][1]} x {sizes[0][0]} px with {who} needs about {_show(needed)} of memory and {there}; "
        + ", or ".join(filter(None, remedies))
    )


def _show(size: float, more: int = 0) -> str:
    """Returns bytes as a text that `parse_bytes` reads. `more` is added to the last digit."""
    return f"{round(size / 1e6) + more} MB" if size < 1e9 else f"{(round(size / 1e8) + more) / 10:.1f} GB"
