"""How much memory a run will need, told before it starts, and what to do where there is not enough.

The network is walked once with a tiny picture, and what autograd keeps for the backward pass is counted and
scaled up, not guessed. To that come the features and their gradients, the largest maps' gradients in
flight, the optimiser's vectors and the pictures.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from nstlib.alignment.discrepancy import LinearMMD
from nstlib.encoders import taps
from nstlib.encoders.encoder import Encoder
from nstlib.synthesis.settings import Settings
from nstlib.version import use_torch_defaults

BASE = 280e6  # bytes: Python and torch before any work
PICTURES = 8  # pictures and gradients alive at once, float32, at full size
BELOW = 11  # and more of them with a palette: its features, their gradients, the map to the style's colours
VECTORS = {"lbfgs": 19, "adam": 6}  # of the optimiser, as large as the picture each
SPARE = 0.75  # share of the free memory a run may plan to take: estimates fall short by up to a quarter


def estimate(settings: Settings, encoder: Encoder, content: Sequence[int], style: Sequence[int]) -> float:
    """Bytes of the process at a run's peak, its 300 MB of Python and torch included.

    content, style: (height, width) of the images; settings.style_scale resizes the style. On a GPU, bytes
    on it. Measured peaks lie within 25 % of it (benchmarks/memory.py). memory="auto" is taken as "fast".
    Raises ValueError for a layer that the encoder has not.
    """
    layers = settings.style_layers or encoder.style_layers
    layers += settings.content_layers or (encoder.content_layer,)
    encoder.check_layers(layers)
    walked, small = _walk(encoder, layers), settings.memory == "small"
    maps, positions = walked.scales(content)
    features = positions * walked.features
    linear = all(isinstance(part, LinearMMD) for part, _ in settings.discrepancy.parts())
    gradients = 0 if linear else features
    in_flight = (1 if small else 2) * maps * walked.largest  # gradients on their way back
    # checkpointed, the features are gone when the largest segment is run again
    held = max(features, gradients) if small else features + gradients
    step = maps * walked.saved(small) + held + in_flight
    maps, positions = walked.scales([side * settings.style_scale for side in style])
    encoding = positions * walked.features + 2 * maps * walked.largest
    pixels = 4 * 3 * math.prod(content)
    pictures = pixels * (PICTURES + VECTORS[settings.optimizer] + (BELOW if settings.palette else 0))
    weights = sum(p.nbytes for stage in encoder.network.stages.values() for p in stage.parameters())
    return base(encoder.device) + weights + max(step, encoding) + pictures


def base(device: torch.device) -> float:
    """Bytes of the process before any work; none of them are on a GPU."""
    return BASE if device.type == "cpu" else 0.0


class Walk:
    """One pass through an encoder, on a small picture; `scales` says how many times a picture is larger.

    features: bytes of all F. largest: of the largest map. saved(): of what autograd keeps."""

    SIDE = 64  # px of the small picture

    def __init__(self, encoder: Encoder, layers: Sequence[str]) -> None:
        network, ring = encoder.network, 2 * encoder.network.margin
        self.ring = ring
        x = torch.zeros(1, 3, self.SIDE + ring, self.SIDE + ring, dtype=encoder.dtype, device=encoder.device)
        x = x.contiguous(memory_format=torch.channels_last).requires_grad_(True)
        found: taps.Taps = {}
        self.segments: list[float] = []  # bytes saved in each
        self.ends: list[float] = []  # bytes of the map each hands to the next
        self.largest = 0.0
        own = {p.data_ptr() for s in network.stages.values() for p in (*s.parameters(), *s.buffers())}
        for segment in taps.segments(network, layers):
            seen: dict[int, float] = {}

            def pack(tensor: Tensor, seen: dict[int, float] = seen) -> Tensor:
                if tensor.data_ptr() not in own:
                    seen[tensor.data_ptr()] = float(tensor.nbytes)
                return tensor

            with saved_tensors_hooks(pack, lambda tensor: tensor):
                x = taps.run(network, x, segment, layers, found)
            self.segments.append(sum(seen.values()))
            self.ends.append(float(x.nbytes))
            self.largest = max([self.largest, *seen.values()])
        self.features = float(sum(F.nbytes for F, _ in found.values()))

    def scales(self, size: Sequence[float]) -> tuple[float, float]:
        """By what factors the maps, ring included, and the features of a picture of `size` are larger."""
        padded = (size[0] + self.ring) * (size[1] + self.ring) / (self.SIDE + self.ring) ** 2
        return padded, math.prod(size) / self.SIDE**2

    def saved(self, small: bool) -> float:
        if not small:
            return sum(self.segments)
        return max(sum(self.ends[:k]) + saved for k, saved in enumerate(self.segments))


@lru_cache(maxsize=4)
@use_torch_defaults(gradients=True)
def _walk(encoder: Encoder, layers: tuple[str, ...]) -> Walk:
    return Walk(encoder, layers)


def free(device: torch.device) -> float | None:
    """Bytes this process may use in all: what is free and what it already holds. None where unknown."""
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
    """The limit of a container (cgroup v2 or v1), where there is one."""
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            return float(Path(file).read_text())
        except (OSError, ValueError):  # absent, or "max"
            continue
    return None


def settle(settings: Settings, encoder: Encoder, content: Sequence[int], style: Sequence[int]) -> Settings:
    """The settings with memory "auto" decided: "fast" where it fits, else "small".

    Raises MemoryError, naming what is needed, what is free and the size that would fit, where neither does.
    Asking for "fast" or "small" by name overrules it.
    """
    if settings.memory != "auto":
        return settings
    room = free(encoder.device)
    fast, small = (settings.replace(memory=kind) for kind in ("fast", "small"))
    if room is None or estimate(fast, encoder, content, style) < SPARE * room:
        return fast
    need = estimate(small, encoder, content, style)
    if need < SPARE * room:
        return small
    fitting = largest(lambda *sizes: estimate(small, encoder, *sizes), content, style, SPARE * room)
    raise _refusal(content, encoder.name, need, room, fitting, "take encoder vgg19-slim")


def require(
    need: Callable[[Sequence[int], Sequence[int]], float],
    device: torch.device,
    content: Sequence[int],
    style: Sequence[int],
    who: str,
    remedy: str,
) -> None:
    """Raises MemoryError, as `settle` does, where what `need` says of two (height, width) would not fit.

    who: needs it. remedy: where no smaller size would fit.
    """
    room = free(device)
    if room is not None and (wanted := need(content, style)) >= SPARE * room:
        raise _refusal(content, who, wanted, room, largest(need, content, style, SPARE * room), remedy)


def _refusal(
    content: Sequence[int], who: str, need: float, room: float, fitting: int, remedy: str
) -> MemoryError:
    return MemoryError(
        f"{content[1]} x {content[0]} px with {who} needs about {need / 1e9:.1f} GB of memory and "
        f"{room / 1e9:.1f} GB are free; "
        + (f"size={fitting} would fit" if fitting else f"close other programs, or {remedy}")
    )


def largest(
    need: Callable[[Sequence[int], Sequence[int]], float],
    content: Sequence[int],
    style: Sequence[int],
    room: float,
) -> int:
    """The longest side in pixels, a multiple of 32, at which the same pictures fit in `room` bytes; or 0."""
    longest = max(*content, *style)
    for side in range(longest // 32 * 32, 32, -32):
        shapes = [[max(16, round(n * side / longest)) for n in size] for size in (content, style)]
        if need(*shapes) < room:
            return side
    return 0
