"""Two point clouds in the plane: one flows onto the other, and shows what a method aligns and ignores.

The points of the image follow the negative gradient of a discrepancy of nstlib. This is the gradient flow of
a style transfer, with two channels instead of hundreds. point_clouds.js plays the frames.
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
from nstlib.alignment import Fusion
from nstlib.synthesis.objective import Objective, calibrate
from nstlib.synthesis.terms import style_terms

PLAY = Path(__file__).with_name("point_clouds.js").read_text(encoding="utf-8")
POINTS, FRAMES = 60, 48
FEATURES = 256
STEPS = 500  # at most
LOW, HIGH = -0.25, 1.55  # of both axes
SIDE = 420  # units of the drawing
QUESTIONS = ("means", "spreads", "correlation", "everything")


def make_samples() -> tuple[Tensor, Tensor]:
    """Returns F and S, each (2, POINTS). F is one round cluster; S has three clusters on a bent line."""
    generator = torch.Generator().manual_seed(17)
    F = torch.tensor([[0.3], [0.35]]) + 0.11 * torch.randn(2, POINTS, generator=generator)
    sizes, centres = (30, 18, 12), ((0.62, 0.62), (0.98, 1.2), (1.28, 0.92))
    S = torch.cat([torch.tensor(c)[:, None].expand(2, n) for n, c in zip(sizes, centres, strict=True)], 1)
    return F, S + 0.06 * torch.randn(2, POINTS, generator=generator)


def flow(method: str) -> list[Tensor]:
    """Moves F along the method's negative gradient. Returns FRAMES evenly spaced samples (2, POINTS).

    A step that would increase the distance is halved. The gradients of a fusion's parts start equally long.
    """
    F, S = make_samples()
    d = Fusion(tuple((with_features(part), share) for part, share in nstlib.method(method).components()))
    terms = style_terms(d.with_seed(0), {"x": S[None]}, {"x": 1.0})
    objective = calibrate(Objective({}, terms), lambda x: {"x": x}, F[None])

    def descend(F: Tensor) -> tuple[float, Tensor]:
        """The distance and its gradient."""
        x = F.clone().requires_grad_()
        value = objective(x, {"x": x[None]})["style/x"]
        return float(value.detach()), torch.autograd.grad(value, x)[0]

    value, gradient = descend(F)
    rate, path, way = 0.05 / float(gradient.abs().max() + 1e-12), [F], [0.0]
    for _ in range(STEPS):
        new = F - rate * gradient
        step = float((new - F).norm(dim=0).mean())
        new_value, new_gradient = descend(new)
        if new_value > value or step > 0.03:  # a longer step would not follow the flow
            rate /= 2
            if step < 1e-6:
                break
            continue
        F, value, gradient = new, new_value, new_gradient
        rate *= 1.3
        path.append(F)
        way.append(way[-1] + step)
        if way[-1] - way[max(0, len(way) - 30)] < 1e-3 * way[-1]:
            break
    places = torch.searchsorted(torch.tensor(way), torch.linspace(0, way[-1], FRAMES))
    return [path[min(place, len(path) - 1)] for place in places.tolist()]


def with_features(part: nstlib.Discrepancy) -> nstlib.Discrepancy:
    """Gives the method FEATURES random features, unless it sets a number. The default would be 64 here."""
    if isinstance(part, nstlib.GaussianMMD | nstlib.alignment.LaplaceMMD) and part.n_features is None:
        return dataclasses.replace(part, n_features=FEATURES)
    return part


def differences(F: Tensor, S: Tensor) -> list[float]:
    """The differences of F and S in `QUESTIONS`, each ≥ 0. The last is the root of the energy distance."""

    def mean_distance(X: Tensor, Y: Tensor) -> float:
        return float(torch.cdist(X.T, Y.T).mean())

    energy = 2 * mean_distance(F, S) - mean_distance(F, F) - mean_distance(S, S)
    return [
        float((F.mean(1) - S.mean(1)).norm()),
        float((F.std(1) - S.std(1)).norm()),
        float((torch.corrcoef(F) - torch.corrcoef(S))[0, 1].abs()),
        math.sqrt(max(energy, 0.0)),
    ]


@lru_cache(maxsize=64)
def figure(method: str) -> str:
    """HTML of a method's figure. It shows the last frame, and holds all as JSON for point_clouds.js."""
    frames, (F, S) = flow(method), make_samples()
    first = differences(F, S)
    left = [
        [round(100 * now / then) for now, then in zip(differences(frame, S), first, strict=True)]
        for frame in frames
    ]
    places = [_points(frame) for frame in frames]
    data = {"frames": [[number for point in frame for number in point] for frame in places], "left": left}
    tails = "".join(
        f'<polyline points="{" ".join(f"{x},{y}" for x, y in tail)}"/>'
        for tail in zip(*places[::3], strict=True)
    )
    style = "".join(f'<rect x="{x - 4}" y="{y - 4}" width="8" height="8"/>' for x, y in _points(S))
    dots = "".join(f'<circle cx="{x}" cy="{y}" r="5"/>' for x, y in places[-1])
    ((x0, y0),) = _points(torch.zeros(2, 1))
    words = f"A point cloud of dots moves onto one of squares under the method {method}"
    bars = "".join(
        f'<li><span>{name}</span><i style="width:{min(share, 100)}%"></i><b>{share} %</b></li>'
        for name, share in zip(QUESTIONS, left[-1], strict=True)
    )
    return (
        f"<figure class=\"nst-point-clouds\" data-flow='{escape(json.dumps(data, separators=(',', ':')))}'>"
        f'<svg viewBox="0 0 {SIDE} {SIDE}" role="img" aria-label="{escape(words)}"><g class="axes">'
        f'<path d="M0 {y0}H{SIDE}M{x0} 0V{SIDE}"/>'
        f'<text x="{SIDE - 6}" y="{y0 - 8}" text-anchor="end">detector 1 responds</text>'
        f'<text transform="translate({x0 + 16} 6) rotate(90)">detector 2 responds</text></g>'
        f'<g class="tails">{tails}</g><g class="style">{style}</g><g class="moving">{dots}</g></svg>'
        '<div class="beside"><p class="key"><span class="moving"></span> an image '
        '<span class="style"></span> the style</p>'
        '<div class="player"><button type="button" data-play>Play</button>'
        '<button type="button" data-restart>Restart</button>'
        f'<input type="range" min="0" max="{FRAMES - 1}" value="{FRAMES - 1}" aria-label="Time"></div>'
        f"<p>What is still different:</p><ul>{bars}</ul></div></figure>"
    )


@lru_cache(maxsize=64)
def icon(method: str) -> str:
    """The points of the style, and those of an image after a method has moved them, as a small drawing."""
    moved, still = _points(flow(method)[-1]), _points(make_samples()[1])
    style = "".join(f'<rect x="{x - 5}" y="{y - 5}" width="10" height="10"/>' for x, y in still[::2])
    dots = "".join(f'<circle cx="{x}" cy="{y}" r="8"/>' for x, y in moved[::2])
    words = "Dots, moved by the method onto squares"
    return f'<svg viewBox="0 0 {SIDE} {SIDE}" role="img" aria-label="{words}">{style}{dots}</svg>'


def _points(F: Tensor) -> list[tuple[int, int]]:
    """Converts points (2, M) to units of the drawing, where y grows downwards."""
    scaled = (F - LOW) / (HIGH - LOW) * SIDE
    return [(round(x), round(SIDE - y)) for x, y in scaled.T.tolist()]
