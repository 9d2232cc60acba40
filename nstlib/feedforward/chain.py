"""The chain: a photograph's features, moved level by level towards a style's while they become a picture again.

    P_5 ─► T_5 ─► block 5 ─► + rest_4 ─► T_4 ─► block 4 ─► … ─► T_1 ─► block 1 ─► + rest_0 ─► picture

T_l is a transport at relu{l}_1 (see alignment/transports.py). rest_l is what the decoder cannot give back of the
photograph, P_l − block_{l+1}(P_{l+1}): with all of it and no transport the picture is the photograph exactly.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from nstlib.feedforward.decoders import LEVELS, Decoder

Move = Callable[[Tensor, str], Tensor]  # (a map (B, N, H, W), its layer) → the map moved


@dataclass(frozen=True)
class Seen:
    """A photograph as the chain needs it: the deepest map P_5, and the rests of levels 0 (pixels) … 4."""

    deepest: Tensor
    rests: tuple[Tensor, ...]


def see(decoder: Decoder, photograph: Tensor, maps: dict[str, Tensor]) -> Seen:
    """From a photograph (B, 3, H, W), sides multiples of 16, and its maps at `LEVELS`."""
    below = [photograph, *(maps[layer] for layer in LEVELS)]
    rests = tuple(below[level - 1] - decoder.up(below[level], level) for level in range(1, 6))
    return Seen(below[5], rests)


def render(decoder: Decoder, seen: Seen, move: Move, detail: float) -> Tensor:
    """The picture (B, 3, H, W), not clamped. detail: how much of the rests is added, 0 … 1."""
    x = move(seen.deepest, LEVELS[4])
    for level in range(5, 0, -1):
        x = decoder.up(x, level)
        if detail:
            x = x.add(seen.rests[level - 1], alpha=detail)
        if level > 1:
            x = move(x, LEVELS[level - 2])
    return x
