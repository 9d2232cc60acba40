"""The chain: a photograph's features, moved level by level towards a style while they become a picture again.

    P_5 ─► T_5 ─► block 5 ─► T_4 ─► block 4 ─► … ─► block 2 ─► T_1 ─► block 1 ─► picture

T_l is a transport at relu{l}_1 (see alignment/transports.py). What the decoder cannot give back of the
photograph is laid over what each block gives (`detail`), and the photograph's own features are mixed in for
a strength t below 1. With t = 0 the picture is the photograph.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from nstlib.feedforward.decoders import LEVELS, Decoder

Move = Callable[[Tensor, str], Tensor]  # (a map (B, N, H, W), its layer) → the map moved


@dataclass(frozen=True)
class Seen:
    """A photograph as the chain needs it, deepest level last.

    maps: the photograph (B, 3, H, W) and its features P_1 … P_5 (B, N_l, H_l, W_l).
    rests: P_l − block(P_{l+1}) for levels 0 (pixels) … 4.
    """

    maps: tuple[Tensor, ...]
    rests: tuple[Tensor, ...]


def see(decoder: Decoder, photograph: Tensor, features: dict[str, Tensor]) -> Seen:
    """From a photograph (B, 3, H, W), sides multiples of 16, and its maps at `LEVELS`."""
    maps = (photograph, *(features[layer] for layer in LEVELS))
    rests = tuple(maps[level - 1] - decoder.up(maps[level], level) for level in range(1, 6))
    return Seen(maps, rests)


def render(decoder: Decoder, seen: Seen, move: Move, strength: float = 1.0, detail: float = 1.0) -> Tensor:
    """The picture (B, 3, H, W), not clamped. strength: t in 0 … 1. detail: how much of the rests, 0 … 1."""
    x = _between(seen.maps[5], move(seen.maps[5], LEVELS[4]), strength)
    for level in range(4, -1, -1):
        x = decoder.up(x, level + 1)
        if detail:
            x = x.add(seen.rests[level], alpha=detail)
        if level:
            x = move(x, LEVELS[level - 1])
        x = _between(seen.maps[level], x, strength)
    return x


def _between(of_photograph: Tensor, moved: Tensor, strength: float) -> Tensor:
    return moved if strength == 1 else torch.lerp(of_photograph, moved, strength)
