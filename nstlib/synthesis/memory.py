"""The memory that a run needs, estimated before it starts, and how it is kept within what there is.

One pass of the network over a small image counts what autograd stores for the backward pass, and the count is
scaled up. To that come the features and their gradients, the largest maps' gradients in flight, the
optimiser's vectors and the images. Where the whole image at once needs too much, it runs in tiles (tiles.py),
where each segment of the network stores the graph of one tile, and the map of the next. Beside large images
L-BFGS stores fewer pairs in bfloat16: the first of `PLANS` that fits is taken.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from nstlib.alignment.discrepancy import LinearMMD
from nstlib.encoders import windows
from nstlib.encoders.encoder import Encoder
from nstlib.synthesis.graphs import measure_graph
from nstlib.synthesis.optimize import HISTORY
from nstlib.synthesis.settings import Settings, parse_bytes
from nstlib.version import free_host_memory

BASE = 280e6  # bytes: Python and torch before any work
IMAGES = 8  # images and gradients alive at once, float32, at full size
PALETTE = 11  # more of them for the palette: its features, their gradients, the map to the style's colours
IMAGES_IN_TILES = 6  # instead of both where a run works in tiles
GAPS = 1.5  # with tiles from 512 px on: freed memory stays between the maps of tiles (allocator.py)
SPARE = 0.75  # fraction of the free memory that a run may use: estimates may be a quarter too low


class BudgetError(MemoryError):
    """The memory that the user allows is too little."""


Size = Sequence[int]  # (height, width) of an image
Need = Callable[[Size, Size], float]  # bytes for the sizes of content and style


@dataclass(frozen=True)
class Plan:
    """How a run at one size uses memory: px of a tile (None: the whole image), and L-BFGS's history."""

    tile: int | None = None
    history: tuple[int, torch.dtype | None] = HISTORY

    def vectors(self, optimizer: str) -> float:
        """Returns the optimiser's vectors, in images of float32."""
        pairs, dtype = self.history
        return 6 if optimizer == "adam" else (2 * pairs + 1) * (0.5 if dtype else 1) + 2


WHOLE = Plan()
PLANS = (
    WHOLE,
    *(Plan(tile) for tile in (1024, 512)),
    *(Plan(tile, (pairs, torch.bfloat16)) for pairs in (8, 4, 3) for tile in (1024, 512)),
    *(Plan(tile, (pairs, torch.bfloat16)) for pairs in (3, 2) for tile in (384, 256)),
)


def estimate(settings: Settings, encoder: Encoder, content: Size, style: Size, plan: Plan = WHOLE) -> float:
    """Returns the bytes of the process at a run's peak (on a GPU: the bytes there).

    Measured peaks lie within 25 % of it (benchmarks/memory.py).

    Args:
        settings: style_scale resizes the style.
        content, style: (height, width) of the images.

    Raises:
        ValueError: The encoder has no such layer.
    """
    deep = settings.content_layers or (encoder.content_layer,)
    layers = (settings.style_layers or encoder.style_layers) + deep
    encoder.check_layers(layers)
    pixels, scaled = math.prod(content), [math.ceil(side * settings.style_scale) for side in style]
    images, targets = float(IMAGES + (PALETTE if settings.palette else 0)), 0.0
    graphs, ends = [measure_graph(encoder, layers)], list[float]()
    crops: list[list[Size]] = [[content], [scaled]]
    if plan.tile is not None:
        parts = windows.segments(encoder.network, layers)
        graphs = [measure_graph(encoder, tuple(part.maps()), part.start) for part in parts]
        crops = [_largest_crops(encoder, size, layers, plan.tile) for size in (content, scaled)]
        images = IMAGES_IN_TILES + (PALETTE * math.prod(crops[0][0]) / pixels if settings.palette else 0)
        targets = _numbers(encoder, deep) * pixels
        ends = [_numbers(encoder, [part.end]) * encoder.dtype.itemsize for part in parts[:-1]]
    linear = all(isinstance(part, LinearMMD) for part, _ in settings.discrepancy.components())
    step = encoding = flying = 0.0
    for graph, own, other in zip(graphs, *crops, strict=True):
        maps, positions = graph.scales(own)
        step += maps * graph.saved + positions * graph.features
        # gradients on their way back
        flying = max(flying, 2 * maps * graph.largest + (0 if linear else positions * graph.features))
        maps, positions = graph.scales(other)
        encoding = max(encoding, positions * graph.features + 2 * maps * graph.largest)
    step, encoding = step + flying + _stored_maps(ends) * pixels, encoding + sum(ends) * math.prod(scaled)
    if plan.tile is not None and plan.tile >= 512:
        step, encoding = GAPS * step, GAPS * encoding
    weights = sum(p.nbytes for stage in encoder.network.stages.values() for p in stage.parameters())
    kept = (images + plan.vectors(settings.optimizer)) * 4 * 3 * pixels + targets * encoder.dtype.itemsize
    kept += 4 * 3 * max(0, math.prod(style) - pixels)  # a style of the content's size is one of the images
    return base_memory(encoder.device) + weights + max(step, encoding) + kept


def _largest_crops(encoder: Encoder, size: Size, layers: Sequence[str], tile: int) -> list[Size]:
    """Returns the largest height and width of the windows of each segment."""
    boxes = [[window.crop for window in part] for part in encoder.windows(size, layers, tile)]
    return [[max(box[axis].stop - box[axis].start for box in part) for axis in (0, 1)] for part in boxes]


def _stored_maps(maps: Sequence[float]) -> float:
    """Returns the bytes per pixel that stored maps and their gradients need, from the bytes of each map.

    At segment k > 0 of the backward pass these are the maps before it and two gradients, but the gradient of
    the image does not exist yet.
    """
    ends = [*maps, 0.0]
    return max([ends[0], *(sum(ends[:k]) + ends[k - 1] + ends[k] - 4 * 3 for k in range(1, len(ends)))])


def _numbers(encoder: Encoder, stages: Sequence[str]) -> float:
    """Returns how many numbers the maps of some stages hold for each pixel."""
    network = encoder.network
    return sum(network.channels[name] / network.strides[name] ** 2 for name in stages)


def base_memory(device: torch.device) -> float:
    """Returns the bytes of the process before any work; none of them are on a GPU."""
    return BASE if device.type == "cpu" else 0.0


def free_memory(device: torch.device) -> float | None:
    """Returns the bytes that this process may use in all, its own included; None where unknown."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device))
    return free_host_memory()


def budget(memory: str, device: torch.device) -> float | None:
    """Returns the bytes of `Settings.memory`; for "auto" a share of those that are free, if known."""
    if memory != "auto":
        return parse_bytes(memory)
    available = free_memory(device)
    return None if available is None else SPARE * available


def choose_plan(
    settings: Settings, encoder: Encoder, content: Size, style: Size, available: float | None
) -> Plan:
    """Returns the first of `PLANS` that needs at most the `available` bytes (None: unknown, so the first).

    Raises:
        MemoryError: None fits; see `require`.
    """
    if available is None:
        return WHOLE
    whole = [str(d) for d, _ in settings.discrepancy.components() if not d.additive]
    plans = [plan for plan in PLANS if plan.tile is None or (plan.tile < max(*content, *style) and not whole)]
    for plan in plans:
        if estimate(settings, encoder, content, style, plan) <= available:
            return plan

    def need(content: Size, style: Size) -> float:
        return estimate(settings, encoder, content, style, plans[-1])

    remedy = "" if encoder.name == "vgg19-slim" else "take the encoder vgg19-slim"
    who = encoder.name + (f" and {whole[0]}, which cannot run in tiles," if whole else "")
    given = settings.memory != "auto"
    require(need, encoder.device, content, style, who, remedy, available, given)
    return plans[-1]


def require(
    need: Need,
    device: torch.device,
    content: Size,
    style: Size,
    who: str,
    remedy: str,
    limit: float | None = None,
    given: bool = False,
) -> None:
    """Raises MemoryError, with the bytes needed and free and the size that would fit, where too few are free.

    Args:
        need: The bytes for a content and a style of some sizes.
        content, style: (height, width) of the images.
        who: Name of what needs the memory.
        remedy: What to do where no smaller size would fit.
        limit: Bytes that may be used, by default `SPARE` of the free ones. given: Whether the user chose it.
    """
    if limit is None and (available := free_memory(device)) is not None:
        limit = SPARE * available
    if limit is None or (needed := need(content, style)) < limit:
        return
    longest = max(*content, *style)
    enough = f"raise memory to at least {_show(needed, 1)}" if given else ""
    remedies = [enough or "close other programs", remedy]
    for side in range(longest // 32 * 32, 32, -32):
        shapes = [[max(16, round(n * side / longest)) for n in size] for size in (content, style)]
        if need(*shapes) < limit:
            remedies = [f"size {side} would fit", enough]
            break
    there = f"the budget is {_show(limit)}" if given else f"{_show(limit / SPARE)} are free"
    raise (BudgetError if given else MemoryError)(
        f"{content[1]} x {content[0]} px with {who} needs about {_show(needed)} of memory and {there}; "
        + ", or ".join(filter(None, remedies))
    )


def _show(size: float, more: int = 0) -> str:
    """Returns bytes in words that `parse_bytes` reads, plus `more` in their last digit."""
    return f"{round(size / 1e6) + more} MB" if size < 1e9 else f"{(round(size / 1e8) + more) / 10:.1f} GB"


def choose_tile(
    tiles: Sequence[int | None],
    need: Callable[[int | None, Size, Size], float],
    device: torch.device,
    content: Size,
    style: Size,
    who: str,
    remedy: str,
    memory: str,
) -> int | None:
    """Returns the first of `tiles` for which `need(tile, content, style)` is below the budget `memory`.

    Raises MemoryError where none is; see `require`.
    """
    limit = budget(memory, device)
    for tile in tiles:
        if limit is None or need(tile, content, style) < limit:
            return tile

    def least(content: Size, style: Size) -> float:
        return min(need(tile, content, style) for tile in tiles)

    require(least, device, content, style, who, remedy, limit, memory != "auto")
    return tiles[-1]
