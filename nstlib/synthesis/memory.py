"""The memory that a run needs, estimated before it starts, and how it is kept within what there is.

One pass of the network over a small image counts what autograd stores for the backward pass, and the count is
scaled up. To that come the features and their gradients, the largest maps' gradients in flight, the
optimiser's vectors and the images. Where the whole image at once needs too much, it runs in tiles (tiles.py),
and beside large images L-BFGS stores fewer pairs in bfloat16: the first of `PLANS` that fits is taken.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from nstlib.alignment.discrepancy import LinearMMD
from nstlib.encoders import features
from nstlib.encoders.encoder import Encoder
from nstlib.synthesis.optimize import HISTORY
from nstlib.synthesis.settings import Settings, parse_bytes
from nstlib.version import free_host_memory, use_torch_defaults

BASE = 280e6  # bytes: Python and torch before any work
IMAGES = 8  # images and gradients alive at once, float32, at full size
PALETTE = 11  # more of them for the palette: its features, their gradients, the map to the style's colours
IMAGES_IN_TILES = 7  # instead of both where a run works in tiles
SPARE = 0.75  # fraction of the free memory that a run may use: estimates may be a quarter too low

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
    *(Plan(256, (pairs, torch.bfloat16)) for pairs in (3, 2)),
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
    walk, pixels = _walk(encoder, layers), math.prod(content)
    scaled = [side * settings.style_scale for side in style]
    crops: list[Sequence[float]] = [content, scaled]
    images, targets = float(IMAGES + (PALETTE if settings.palette else 0)), 0.0
    if plan.tile is not None:
        crops = [_largest_crop(encoder, [math.ceil(n) for n in size], layers, plan.tile) for size in crops]
        images = IMAGES_IN_TILES + (PALETTE * math.prod(crops[0]) / pixels if settings.palette else 0)
        targets = sum(encoder.channels[layer] * pixels / encoder.strides[layer] ** 2 for layer in deep)
    maps, positions = walk.scales(crops[0])
    linear = all(isinstance(part, LinearMMD) for part, _ in settings.discrepancy.components())
    features = positions * walk.features * (1 if linear else 2)  # and their gradients
    step = maps * walk.saved + features + 2 * maps * walk.largest  # gradients on their way back
    maps, positions = walk.scales(crops[1])
    encoding = positions * walk.features + 2 * maps * walk.largest
    weights = sum(p.nbytes for stage in encoder.network.stages.values() for p in stage.parameters())
    kept = (images + plan.vectors(settings.optimizer)) * 4 * 3 * pixels + targets * encoder.dtype.itemsize
    kept += 4 * 3 * max(0, math.prod(style) - pixels)  # a style of the content's size is one of the images
    return base_memory(encoder.device) + weights + max(step, encoding) + kept


def _largest_crop(encoder: Encoder, size: Size, layers: Sequence[str], tile: int) -> list[float]:
    """Returns the largest height and width of the windows of an image."""
    boxes = [window.crop for window in encoder.windows(size, layers, tile)]
    return [max(box[axis].stop - box[axis].start for box in boxes) for axis in (0, 1)]


def base_memory(device: torch.device) -> float:
    """Returns the bytes of the process before any work; none of them are on a GPU."""
    return BASE if device.type == "cpu" else 0.0


class Walk:
    """One pass through an encoder, over a small image: bytes of all F, of the largest map, and of what
    autograd stores."""

    SIDE = 64  # px of the small image

    def __init__(self, encoder: Encoder, layers: Sequence[str]) -> None:
        network, self.padding = encoder.network, 2 * encoder.network.padding
        side = self.SIDE + self.padding
        x = torch.zeros(1, 3, side, side, dtype=encoder.dtype, device=encoder.device)
        x = x.contiguous(memory_format=torch.channels_last).requires_grad_(True)
        own = {p.data_ptr() for s in network.stages.values() for p in (*s.parameters(), *s.buffers())}
        seen: dict[int, float] = {}

        def pack(tensor: Tensor) -> Tensor:
            if tensor.data_ptr() not in own:
                seen[tensor.data_ptr()] = float(tensor.nbytes)
            return tensor

        with saved_tensors_hooks(pack, lambda tensor: tensor):
            found = features.collect(network, x, tuple(dict.fromkeys(layers)))
        self.saved, self.largest = sum(seen.values()), max([0.0, *seen.values()])
        self.features = float(sum(F.nbytes for F, _ in found.values()))

    def scales(self, size: Sequence[float]) -> tuple[float, float]:
        """Returns how many times larger the padded maps, and the features, of an image of `size` are."""
        padded = (size[0] + self.padding) * (size[1] + self.padding) / (self.SIDE + self.padding) ** 2
        return padded, math.prod(size) / self.SIDE**2


@lru_cache(maxsize=4)
@use_torch_defaults(gradients=True)
def _walk(encoder: Encoder, layers: tuple[str, ...]) -> Walk:
    return Walk(encoder, layers)


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

    remedy = "take encoder vgg19-slim"
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
    for side in range(longest // 32 * 32, 32, -32):
        shapes = [[max(16, round(n * side / longest)) for n in size] for size in (content, style)]
        if need(*shapes) < limit:
            remedy = f"size={side} would fit"
            break
    else:
        remedy = f"close other programs, or {remedy}"
    there = f"the budget is {limit / 1e9:.1f} GB" if given else f"{limit / SPARE / 1e9:.1f} GB are free"
    raise MemoryError(
        f"{content[1]} x {content[0]} px with {who} needs about {needed / 1e9:.1f} GB of memory and {there}; "
        f"{remedy}"
    )


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
