"""Ink wash: mountains in mist, bamboo with dry-brush texture, paper grain and one vermilion seal."""

import numpy as np
from brush import (
    Array,
    Generator,
    blur,
    colours,
    finish,
    mix,
    noise,
    paper,
    pixels,
    polygon_mask,
    ribbon,
    smoothstep,
    spline,
)
from PIL import Image

SIZE = 704


def _mountain(
    ink: Array,
    rng: Generator,
    base: float,
    height: float,
    peaks: list[tuple[float, float, float]],
    dark: float,
) -> Array:
    """Lay one ridge over the ink: dark along its edge, brushed down its slopes and fading into mist."""
    size = ink.shape[0]
    x, y = pixels(size, size)
    line = np.arange(size) / size
    jag = noise(rng, size, 8, (240, 8), 6)[4]
    line = line + 0.006 * jag
    ridge = np.max(
        [tall * np.exp(-(np.abs((line - place) / width) ** 1.7)) for place, width, tall in peaks], 0
    )
    top = (base - height * ridge) * size - (5 + 16 * ridge) * noise(rng, size, 8, (120, 8), 6)[4]
    depth = np.clip(y - top[None], 0, None)
    slope = np.clip(np.gradient(blur(np.repeat(top[None], 4, 0), 16)[0]), -2, 2)
    streak = noise(rng, size, size, (46, 200), 4)
    shifted = np.clip(x - slope[None] * depth * 0.25, 0, size - 1).astype(int)
    streak = streak[y.astype(int), shifted]
    mist = 0.06 * noise(rng, size, size, (700, 120), 3)
    reach = size * (0.05 + 0.17 * ridge[None] * height / 0.4)
    fade = np.clip(np.exp(-((depth / (1.5 * reach)) ** 1.5)) + mist * (depth > 20), 0, 1)
    edge = np.exp(-depth / 13) * (0.75 + 0.4 * np.clip(streak, -1, 1))
    broken = smoothstep(0.0, 0.9, streak + 0.5 * noise(rng, size, size, (18, 50), 3))
    dry = broken * fade * np.exp(-(((depth - 0.6 * reach) / reach) ** 2))
    cover = smoothstep(-1, 3, y - top[None])
    return ink * (1 - cover * np.clip(fade * 1.6 + 0.35, 0, 1)) + cover * dark * (
        0.3 * fade + 0.5 * edge + 0.65 * dry
    )


def _stalk(rng: Generator, size: int, track: Array, width: float, dark: float) -> Array:
    """The ink of one bamboo stalk: segments with gaps at the nodes and streaks along the stroke."""
    x, y = pixels(size, size)
    centre = np.interp(np.arange(size), track[:, 1], track[:, 0])[:, None]
    across = (x - centre) / (width / 2)
    pitch = 0.19 * size
    along = (y / pitch + 0.3 * (centre[0] / size)) % 1
    waist = 1 - 0.13 * np.sin(np.pi * along)
    inside = smoothstep(1.0, 0.9, np.abs(across) / waist)
    streak = noise(rng, size, size, (11, 520), 4)
    tone = dark * (0.38 + 0.4 * np.clip(across, -1, 1) ** 2 + 0.28 * (across > 0.3) + 0.2 * streak)
    tone *= 1 - 0.85 * smoothstep(0.75, 1.7, streak + 0.9 * np.abs(across) * np.abs(across) * 0.6)
    gap = smoothstep(0.0, 0.014, np.minimum(along, 1 - along))
    node = np.exp(-(((np.minimum(along, 1 - along) - 0.03) / 0.016) ** 2))
    return inside * gap * np.clip(tone + 0.75 * dark * node, 0, 2)


def _leaf(root: Array, angle: float, length: float, width: float, bend: float) -> Array:
    """The outline of one pressed-and-lifted leaf stroke."""
    t = np.linspace(0, 1, 14)
    heading = angle + bend * t
    track = root + np.cumsum(np.stack([np.cos(heading), np.sin(heading)], 1), 0) * length / 14
    return ribbon(track, width * np.sin(np.pi * t**0.62) ** 0.9 + 1)


def _seal(picture: Array, rng: Generator, left: int, top: int, side: int) -> Array:
    """A vermilion seal with carved strokes that stand for no real sign."""
    size = picture.shape[0]
    x, y = pixels(size, size)
    u, v = (x - left) / side, (y - top) / side
    square = smoothstep(
        0.5, 0.47, np.maximum(np.abs(u - 0.5), np.abs(v - 0.5)) + 0.012 * noise(rng, size, size, 20, 2)
    )
    bars = (
        (0.5, 0.5, 0.025, 0.36),
        (0.27, 0.22, 0.15, 0.03),
        (0.27, 0.45, 0.15, 0.03),
        (0.27, 0.6, 0.03, 0.2),
    )
    bars += (
        (0.73, 0.3, 0.03, 0.17),
        (0.73, 0.5, 0.15, 0.03),
        (0.64, 0.7, 0.03, 0.13),
        (0.82, 0.7, 0.03, 0.13),
    )
    for bx, by, half_x, half_y in bars:
        bar = np.maximum(np.abs(u - bx) - half_x, np.abs(v - by) - half_y)
        square *= smoothstep(-0.008, 0.014, bar)
    worn = 1 - 0.5 * smoothstep(1.1, 2.0, noise(rng, size, size, 26, 3))
    return mix(picture, colours("c22f1d")[0], 0.93 * square * worn)


def ink(rng: Generator) -> Image.Image:
    """Sumi-e: misty mountains, birds, a bamboo grove with dry-brush stalks, paper grain and a seal."""
    size = 2 * SIZE
    x, y = pixels(size, size)
    wash = 0.05 + 0.05 * np.clip(noise(rng, size, size, (900, 300), 3), -1, 2)
    sun = np.hypot(x - 0.36 * size, y - 0.17 * size)
    wash += 0.16 * np.exp(-(((sun - 100) / 70) ** 2)) * (sun > 98)
    wash = _mountain(wash, rng, 0.52, 0.3, [(0.64, 0.07, 1.0), (0.5, 0.12, 0.7), (0.84, 0.08, 0.8)], 0.42)
    wash = _mountain(wash, rng, 0.68, 0.42, [(0.22, 0.1, 1.0), (0.38, 0.06, 0.72), (0.05, 0.09, 0.6)], 0.85)
    wash = _mountain(wash, rng, 0.83, 0.28, [(0.58, 0.09, 0.95), (0.76, 0.13, 0.7), (0.45, 0.05, 0.5)], 1.2)
    wash = _mountain(wash, rng, 1.0, 0.17, [(0.14, 0.16, 1.0), (0.36, 0.1, 0.7), (0.8, 0.2, 0.4)], 1.8)
    for track, width, dark in (
        (spline([(1180, -20), (1168, 480), (1195, 960), (1180, 1430)]), 84, 1.35),
        (spline([(1325, -20), (1300, 500), (1290, 1000), (1310, 1430)]), 52, 0.8),
        (spline([(1052, -20), (1075, 420), (1072, 900), (1040, 1430)]), 36, 0.55),
    ):
        stalk = _stalk(rng, size, track, width, dark)
        wash = np.where(stalk > 0.03, np.maximum(stalk, 0.35 * wash), wash)
    twigs = (((1195, 330), 930, 300, 0.7), ((1290, 690), 1080, 760, 0.8), ((1175, 150), 900, 120, 2.1))
    twigs += (((1180, 520), 960, 600, 1.9), ((1300, 210), 1390, 330, 1.5), ((1185, 880), 1330, 960, 1.6))
    for (left, up), tip_x, tip_y, dark in twigs:
        twig = spline([(left, up), ((left + tip_x) / 2, (up + tip_y) / 2 - 30), (tip_x, tip_y)])
        outlines = [ribbon(twig, np.linspace(9, 3, len(twig)))]
        for share in (0.5, 0.78, 1.0):
            root = twig[int(share * (len(twig) - 1))]
            for spread in rng.permutation([-1.0, -0.45, 0.1, 0.6])[: rng.integers(3, 5)]:
                angle = 0.5 * np.pi + 0.45 * np.sign(left - tip_x) + spread * 0.9 + rng.normal(0, 0.12)
                long = rng.uniform(130, 230) * (1.1 - 0.25 * abs(spread))
                outlines.append(_leaf(root, angle, long, rng.uniform(22, 36), rng.normal(0, 0.25)))
        dry = smoothstep(1.5, 0.3, noise(rng, size, size, (24, 150), 4))
        wash = np.maximum(wash, blur(polygon_mask(size, size, *outlines), 1.5) * dark * (0.4 + 0.6 * dry))
    birds = []
    for bx, by, span in ((330, 330, 40), (420, 290, 30), (480, 350, 26), (290, 270, 22)):
        for side in (-1, 1):
            wing = spline(
                [(bx, by), (bx + side * 0.5 * span, by - 0.5 * span), (bx + side * span, by - 0.3 * span)]
            )
            birds.append(ribbon(wing, np.linspace(9, 1, len(wing))))
    wash = np.maximum(wash, 1.6 * polygon_mask(size, size, *birds))
    grain = noise(rng, size, size, 7, 2)
    wash = np.clip(wash * (1 + 0.1 * grain), 0, None)
    sheet = colours("efe6d2")[0] * (1 + 0.02 * noise(rng, size, size, 500, 3))[..., None]
    picture = sheet * np.exp(-wash[..., None] * np.array([1.5, 1.46, 1.36]))
    picture = _seal(picture, rng, 96, 1010, 150)
    return finish(picture * paper(rng, size, size, 0.035), SIZE, SIZE)
