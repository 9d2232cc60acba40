"""The memory of one pass through an encoder, counted on a small image."""

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from nstlib.encoders import IMAGE, Encoder, features
from nstlib.version import use_torch_defaults


class Graph:
    """Bytes of one pass over a small image, or over the map of a stage.

    saved: What autograd stores. largest: The largest stored map. features: All F.
    """

    SIDE = 64  # px of the small image

    def __init__(self, encoder: Encoder, layers: Sequence[str], start: str = IMAGE) -> None:
        network, self.stride = encoder.network, encoder.network.strides.get(start, 1)
        padding, channels = 2 * network.padding, network.channels.get(start, 3)
        self.padding = 0 if self.stride > 1 else padding  # maps have it already
        self.side = side = (self.SIDE + padding) // self.stride
        x = torch.zeros(1, channels, side, side, dtype=encoder.dtype, device=encoder.device)
        x = x.contiguous(memory_format=torch.channels_last).requires_grad_(True)
        own = {p.data_ptr() for s in network.stages.values() for p in (*s.parameters(), *s.buffers())}
        seen: dict[int, float] = {}

        def pack(tensor: Tensor) -> Tensor:
            if tensor.data_ptr() not in own:
                seen[tensor.data_ptr()] = float(tensor.nbytes)
            return tensor

        with saved_tensors_hooks(pack, lambda tensor: tensor):
            found = features.collect(network, x, tuple(dict.fromkeys(layers)), start=start)
        self.saved, self.largest = sum(seen.values()), max([0.0, *seen.values()])
        self.features = float(sum(F.nbytes for F, _ in found.values()))

    def scales(self, size: Sequence[float]) -> tuple[float, float]:
        """Returns how many times larger padded maps, and features, become with a map of `size`."""
        padded = (size[0] + self.padding) * (size[1] + self.padding) / self.side**2
        return padded, math.prod(size) * (self.stride / self.SIDE) ** 2


@lru_cache(maxsize=16)
@use_torch_defaults(gradients=True)
def measure_graph(encoder: Encoder, layers: tuple[str, ...], start: str = IMAGE) -> Graph:
    """Returns the bytes of a pass from the stage `start`, or from the image, to the deepest of `layers`."""
    return Graph(encoder, layers, start)
