"""Two clouds of points in the plane, one flowing onto the other: what a method moves, and what it misses.

The picture's points follow the gradient of nstlib's own discrepancy, MMD² or another, downhill: the gradient
flow that a style transfer is, with two channels in place of hundreds. clouds.js plays what is computed here.
"""

import dataclasses
import json
import math
from functools import lru_cache
from html import escape
from pathlib import Path

import torch
from torch import Tensor

import nstlib

PLAY = Path(__file__).with_name("clouds.js").read_text(encoding="utf-8")
POINTS, FRAMES = 60, 48
FEATURES = 256
STEPS = 500  # of descent at most
LOW, HIGH = -0.25, 1.55  # of both axes
SIDE = 420  # units of the drawing
QUESTIONS = ("means", "spreads", "firing together", "everything")


def clouds() -> tuple[Tensor, Tensor]:
    """(F, S), each (2, POINTS): a round crowd; and three crowds of unequal size on a bent line."""
    generator = torch.Generator().manual_seed(17)
    F = torch.tensor([[0.3], [0.35]]) + 0.11 * torch.randn(2, POINTS, generator=generator)
    sizes, centres = (30, 18, 12), ((0.62, 0.62), (0.98, 1.2), (1.28, 0.92))
    S = torch.cat([torch.tensor(c)[:, None].expand(2, n) for n, c in zip(sizes, centres, strict=True)], 1)
    return F, S + 0.06 * torch.randn(2, POINTS, generator=generator)


def flow(method: str) -> list[Tensor]:
    """FRAMES clouds (2, POINTS) on the way of F down the method's gradient, evenly spaced along it.

    Steps are halved where the distance would grow. The parts of a fusion start with equal pulls, as in a
    run. Raises ValueError for an unknown method.
    """
    F, S = clouds()
    parts = [(fine(part).seeded(0), weight) for part, weight in nstlib.method(method).parts()]
    kept = [part.summary(S) for part, _ in parts]

    def pulled(F: Tensor, scales: list[float]) -> tuple[float, Tensor, list[float]]:
        """Distance, gradient, and the norm of each part's own gradient."""
        x = F.clone().requires_grad_()
        values = [part.distance(x, summary) for (part, _), summary in zip(parts, kept, strict=True)]
        own = [torch.autograd.grad(value, x)[0] for value in values]
        value = sum(s * float(v.detach()) for s, v in zip(scales, values, strict=True))
        gradient = torch.stack([s * g for s, g in zip(scales, own, strict=True)]).sum(0)
        return value, gradient, [float(g.norm()) for g in own]

    norms = pulled(F, [1.0] * len(parts))[2]
    scales = [weight / max(norm, 1e-12) for (_, weight), norm in zip(parts, norms, strict=True)]
    value, gradient, _ = pulled(F, scales)
    rate, path, way = 0.05 / float(gradient.abs().max() + 1e-12), [F], [0.0]
    for _ in range(STEPS):
        moved = F - rate * gradient
        step = float((moved - F).norm(dim=0).mean())
        new = pulled(moved, scales)
        if new[0] > value or step > 0.03:  # too far to call it a flow
            rate /= 2
            if step < 1e-6:
                break
            continue
        F, (value, gradient, _) = moved, new
        rate *= 1.3
        path.append(F)
        way.append(way[-1] + step)
        if way[-1] - way[max(0, len(way) - 30)] < 1e-3 * way[-1]:
            break
    ends = torch.linspace(0, way[-1], FRAMES).tolist()
    places = torch.tensor(way)
    return [path[min(int(torch.searchsorted(places, end)), len(path) - 1)] for end in ends]


def fine(part: nstlib.Discrepancy) -> nstlib.Discrepancy:
    """With many cosines, where the method picks their number by the channels, of which there are but two."""
    if isinstance(part, nstlib.GaussianMMD | nstlib.LaplaceMMD) and part.features is None:
        return dataclasses.replace(part, features=FEATURES)
    return part


def left(F: Tensor, S: Tensor) -> list[float]:
    """How far F is from S in four questions, each ≥ 0: means, spreads, correlation, everything (energy)."""

    def apart(X: Tensor, Y: Tensor) -> float:
        return float(torch.cdist(X.T, Y.T).mean())

    energy = 2 * apart(F, S) - apart(F, F) - apart(S, S)
    together = [float(torch.corrcoef(X)[0, 1]) for X in (F, S)]
    return [
        float((F.mean(1) - S.mean(1)).norm()),
        float((F.std(1) - S.std(1)).norm()),
        abs(together[0] - together[1]),
        math.sqrt(max(energy, 0.0)),
    ]


@lru_cache(maxsize=64)
def played(method: str) -> str:
    """The figure of a method, with its frames as JSON for clouds.js; without a script, its last frame."""
    frames, (F, S) = flow(method), clouds()
    first = left(F, S)
    rest = [
        [round(100 * now / then) for now, then in zip(left(frame, S), first, strict=True)] for frame in frames
    ]
    data = {"frames": [_flat(frame) for frame in frames], "left": rest}
    tails = "".join(f'<polyline points="{_line(frames, i)}"/>' for i in range(POINTS))
    style = "".join(f'<rect x="{x - 4}" y="{y - 4}" width="8" height="8"/>' for x, y in _points(S))
    dots = "".join(f'<circle cx="{x}" cy="{y}" r="5"/>' for x, y in _points(frames[-1]))
    zero = _points(torch.zeros(2, 1))[0]
    axes = f'<path d="M0 {zero[1]}H{SIDE}M{zero[0]} 0V{SIDE}"/>'
    words = f"A cloud of dots moves onto a cloud of squares under the method {method}"
    bars = "".join(
        f'<li><span>{name}</span><i style="width:{min(share, 100)}%"></i><b>{share} %</b></li>'
        for name, share in zip(QUESTIONS, rest[-1], strict=True)
    )
    return (
        f"<figure class=\"nst-clouds\" data-flow='{escape(json.dumps(data, separators=(',', ':')))}'>"
        f'<svg viewBox="0 0 {SIDE} {SIDE}" role="img" aria-label="{escape(words)}"><g class="axes">{axes}'
        f'<text x="{SIDE - 6}" y="{zero[1] - 8}" text-anchor="end">detector 1 fires</text>'
        f'<text transform="translate({zero[0] + 16} 6) rotate(90)">detector 2 fires</text></g>'
        f'<g class="tails">{tails}</g><g class="style">{style}</g><g class="moving">{dots}</g></svg>'
        '<div class="beside"><p class="key"><span class="moving"></span> your picture '
        '<span class="style"></span> the style</p>'
        '<div class="player"><button type="button" data-play>Play</button>'
        '<button type="button" data-restart>Restart</button>'
        f'<input type="range" min="0" max="{FRAMES - 1}" value="{FRAMES - 1}" aria-label="Time"></div>'
        f"<p>What is still different:</p><ul>{bars}</ul></div></figure>"
    )


def _points(F: Tensor) -> list[tuple[int, int]]:
    """(2, M) → whole places in the drawing, where y grows downwards."""
    scaled = (F - LOW) / (HIGH - LOW) * SIDE
    return [(round(x), round(SIDE - y)) for x, y in scaled.T.tolist()]


def _flat(F: Tensor) -> list[int]:
    return [number for point in _points(F) for number in point]


def _line(frames: list[Tensor], i: int) -> str:
    return " ".join(f"{x},{y}" for frame in frames[::3] for x, y in _points(frame[:, i : i + 1]))
