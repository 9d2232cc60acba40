"""The memory that a run needs, estimated before it starts, and what to do where there is not enough.

One pass of the network over a small image counts what autograd stores for the backward pass, and the count is
scaled up. To that come the features and their gradients, the largest maps' gradients in flight, the
optimiser's vectors and the images.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from nstlib.alignment.discrepancy import LinearMMD
from nstlib.encoders import features
from nstlib.encoders.encoder import Encoder
from nstlib.synthesis.settings import Settings
from nstlib.version import use_torch_defaults

BASE = 280e6  # bytes: Python and torch before any work
IMAGES = 8  # images and gradients alive at once, float32, at full size
PALETTE = 11  # more of them for the palette: its features, their gradients, the map to the style's colours
VECTORS = {"lbfgs": 19, "adam": 6}  # of the optimiser, as large as the image each
SPARE = 0.75  # fraction of the free memory that a run may use: estimates may be a quarter too low

Size = Sequence[int]  # (height, width) of an image
Need = Callable[[Size, Size], float]  # bytes for the sizes of content and style


def estimate(settings: Settings, encoder: Encoder, content: Size, style: Size) -> float:
    """Return the bytes of the process at a run's peak (on a GPU: the bytes there).

    Measured peaks lie within 25 % of it (benchmarks/memory.py).

    Args:
        settings: memory "auto" counts as "fast"; style_scale resizes the style.
        content, style: (height, width) of the images.

    Raises:
        ValueError: The encoder has no such layer.
    """
    layers = settings.style_layers or encoder.style_layers
    layers += settings.content_layers or (encoder.content_layer,)
    encoder.check_layers(layers)
    walk, small = _walk(encoder, layers), settings.memory == "small"
    maps, positions = walk.scales(content)
    features = positions * walk.features
    linear = all(isinstance(part, LinearMMD) for part, _ in settings.discrepancy.components())
    gradients = 0 if linear else features
    in_flight = (1 if small else 2) * maps * walk.largest  # gradients on their way back
    # with checkpointing the features are gone when the largest segment is run again
    held = max(features, gradients) if small else features + gradients
    step = maps * walk.saved(small) + held + in_flight
    maps, positions = walk.scales([side * settings.style_scale for side in style])
    encoding = positions * walk.features + 2 * maps * walk.largest
    images = IMAGES + VECTORS[settings.optimizer] + (PALETTE if settings.palette else 0)
    weights = sum(p.nbytes for stage in encoder.network.stages.values() for p in stage.parameters())
    return base_memory(encoder.device) + weights + max(step, encoding) + images * 4 * 3 * math.prod(content)


def base_memory(device: torch.device) -> float:
    """Return the bytes of the process before any work; none of them are on a GPU."""
    return BASE if device.type == "cpu" else 0.0


class Walk:
    """One pass through an encoder, over a small image.

    features: Bytes of all F. largest: Of the largest map. segments: Of what autograd stores in each. ends: Of
    the map that each passes on.
    """

    SIDE = 64  # px of the small image

    def __init__(self, encoder: Encoder, layers: Sequence[str]) -> None:
        network, self.padding = encoder.network, 2 * encoder.network.padding
        side = self.SIDE + self.padding
        x = torch.zeros(1, 3, side, side, dtype=encoder.dtype, device=encoder.device)
        x = x.contiguous(memory_format=torch.channels_last).requires_grad_(True)
        found: features.Taps = {}
        self.segments: list[float] = []
        self.ends: list[float] = []
        self.largest = 0.0
        own = {p.data_ptr() for s in network.stages.values() for p in (*s.parameters(), *s.buffers())}
        for segment in features.segments(network, layers):
            seen: dict[int, float] = {}

            def pack(tensor: Tensor, seen: dict[int, float] = seen) -> Tensor:
                if tensor.data_ptr() not in own:
                    seen[tensor.data_ptr()] = float(tensor.nbytes)
                return tensor

            with saved_tensors_hooks(pack, lambda tensor: tensor):
                x = features.run(network, x, segment, layers, found)
            self.segments.append(sum(seen.values()))
            self.ends.append(float(x.nbytes))
            self.largest = max([self.largest, *seen.values()])
        self.features = float(sum(F.nbytes for F, _ in found.values()))

    def scales(self, size: Sequence[float]) -> tuple[float, float]:
        """Return how many times larger the padded maps, and the features, of an image of `size` are."""
        padded = (size[0] + self.padding) * (size[1] + self.padding) / (self.SIDE + self.padding) ** 2
        return padded, math.prod(size) / self.SIDE**2

    def saved(self, small: bool) -> float:
        """Return the bytes that autograd stores at the peak."""
        if not small:
            return sum(self.segments)
        return max(sum(self.ends[:k]) + saved for k, saved in enumerate(self.segments))


@lru_cache(maxsize=4)
@use_torch_defaults(gradients=True)
def _walk(encoder: Encoder, layers: tuple[str, ...]) -> Walk:
    return Walk(encoder, layers)


def free_memory(device: torch.device) -> float | None:
    """Return the bytes that this process may use in all, those that it holds included; None where unknown."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device))
    try:
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        system = 1024.0 * int(lines["MemAvailable"].split()[0])
        held = 4096.0 * int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, KeyError):
        return None  # not Linux
    return min(system + held, _container() or math.inf)


def _container() -> float | None:
    """Return the limit of a container (cgroup v2 or v1), where there is one."""
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            return float(Path(file).read_text())
        except (OSError, ValueError):  # absent, or "max"
            continue
    return None


def choose_memory(settings: Settings, encoder: Encoder, content: Size, style: Size) -> Settings:
    """Return the settings with memory "auto" decided: "fast" where it fits, else "small".

    Raises:
        MemoryError: Neither fits; see `require`.
    """
    if settings.memory != "auto":
        return settings
    fast, small = (settings.replace(memory=kind) for kind in ("fast", "small"))
    available = free_memory(encoder.device)
    if available is None or estimate(fast, encoder, content, style) < SPARE * available:
        return fast

    def need(content: Size, style: Size) -> float:
        return estimate(small, encoder, content, style)

    require(need, encoder.device, content, style, encoder.name, "take encoder vgg19-slim")
    return small


def require(need: Need, device: torch.device, content: Size, style: Size, who: str, remedy: str) -> None:
    """Raise MemoryError, with the bytes needed and free and the size that would fit, where too few are free.

    Args:
        need: The bytes for a content and a style of some sizes.
        content, style: (height, width) of the images.
        who: Name of what needs the memory.
        remedy: What to do where no smaller size would fit.
    """
    available = free_memory(device)
    if available is None or (needed := need(content, style)) < SPARE * available:
        return
    longest = max(*content, *style)
    for side in range(longest // 32 * 32, 32, -32):
        shapes = [[max(16, round(n * side / longest)) for n in size] for size in (content, style)]
        if need(*shapes) < SPARE * available:
            remedy = f"size={side} would fit"
            break
    else:
        remedy = f"close other programs, or {remedy}"
    raise MemoryError(
        f"{content[1]} x {content[0]} px with {who} needs about {needed / 1e9:.1f} GB of memory and "
        f"{available / 1e9:.1f} GB are free; {remedy}"
    )
