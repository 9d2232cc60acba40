"""Printed styles: woodblock waves and a cross-hatched engraving."""

import numpy as np
from brush import (
    Array,
    Generator,
    blur,
    colours,
    finish,
    flat,
    mix,
    noise,
    normals,
    paper,
    pixels,
    ramp,
    relief,
    ribbon,
    smoothstep,
    spline,
    tint,
)
from PIL import Image, ImageDraw

SIZE = 704
INK = colours("0f2347")[0]
FOAM = colours("f3ead2")[0]
BLUES = colours("173a72", "2f62a0", "14305f", "6d9dbd", "1d4a86", "a9c6cd")

BACK = [
    (-2.3, -0.8),
    (-1.7, -0.2),
    (-1.25, 0.08),
    (-0.75, 0.4),
    (-0.3, 0.83),
    (0.1, 1.1),
    (0.52, 1.12),
    (0.84, 0.9),
    (0.95, 0.6),
]
FACE = [
    (1.6, -0.8),
    (1.1, -0.22),
    (0.62, 0.02),
    (0.28, 0.24),
    (0.18, 0.5),
    (0.3, 0.74),
    (0.52, 0.84),
    (0.76, 0.78),
    (0.95, 0.6),
]


def _hook(root: Array, angle: float, length: float, turn: float) -> Array:
    """The outline of one foam finger: a tapered band that curls at its end."""
    t = np.linspace(0, 1, 12)
    heading = angle + turn * t**1.5
    steps = np.stack([np.cos(heading), np.sin(heading)], 1) * length / 10
    return ribbon(root + np.cumsum(steps, 0), length * (0.36 * (1 - t) ** 0.6 + 0.07))


def _breaker(draw: ImageDraw.ImageDraw, rng: Generator, x: float, y: float, scale: float, side: int) -> None:
    """One curling wave of carved bands with a foam cap, fingers and spray; ``side`` -1 mirrors it."""
    place = np.array([x, y])
    stretch = np.array([scale * side, -scale])
    back, face = spline(BACK, 14), spline(FACE, 14)
    outline = np.vstack([back, face[::-1], [[1.3, -1.6], [-1.9, -1.6]]]) * stretch + place
    draw.polygon(flat(outline), fill=tint(BLUES[2]))
    count = 15
    for k in range(count):
        low, high = ((k + d) / count for d in (0, 1))
        band = np.vstack([back * (1 - low) + face * low, (back * (1 - high) + face * high)[::-1]])
        colour = BLUES[(0, 3, 1, 5, 2, 4)[k % 6]] * (1.05 - 0.25 * k / count)
        draw.polygon(flat(band * stretch + place), fill=tint(colour))
    for k in range(2 * count + 1):
        low = k / (2 * count)
        line = (back * (1 - low) + face * low) * stretch + place
        draw.line(flat(line), fill=tint(INK), width=4 if k % 2 == 0 else 2)
    start = int(0.36 * len(back))
    crest = back[start:]
    share = np.linspace(0, 1, len(crest))
    scallop = 0.03 + 0.15 * share + 0.05 * np.abs(np.sin(share * 30))
    inner = crest + (face[start:] - crest) * np.minimum(scallop * 2.0, 0.9)[:, None]
    cap = np.vstack([crest + normals(crest) * 0.02, inner[::-1]]) * stretch + place
    draw.polygon(flat(cap), fill=tint(FOAM), outline=tint(INK), width=4)
    for edge, lean, first, number in ((inner, -0.5, 0.1, 22), (crest, 0.5, 0.3, 18)):
        for s in np.linspace(first, 1, number):
            k = int(s * (len(edge) - 1))
            heading = np.arctan2(*(edge[min(k + 2, len(edge) - 1)] - edge[max(k - 2, 0)])[::-1])
            for spread, part in ((lean * 2.3, 1.0), (lean * 1.1, 0.8)):
                length = scale * (0.1 + 0.12 * s) * part * rng.uniform(0.8, 1.2)
                root, angle = edge[k] * stretch + place, heading + spread + rng.normal(0, 0.15)
                angle = np.arctan2(-np.sin(angle), side * np.cos(angle))
                finger = _hook(root, angle, length, side * (1.7 if lean < 0 else 1.5))
                draw.polygon(flat(finger), fill=tint(FOAM), outline=tint(INK), width=3)
    for s in np.linspace(0.12, 0.97, 46):
        k = int(s * (len(inner) - 3))
        part = rng.uniform(0.25, 0.8)
        dash = inner[k : k + 3] * part + crest[k : k + 3] * (1 - part)
        draw.line(flat(dash * stretch + place), fill=tint(BLUES[3]), width=5)
    for _ in range(60):
        spray = crest[-1] + np.array([0.2, 0.12]) + rng.normal(0, 1, 2) * (0.33, 0.25)
        cx, cy = spray * stretch + place
        r = scale * rng.uniform(0.008, 0.022)
        draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=tint(FOAM), outline=tint(INK), width=2)


def _swell(
    picture: Array, x: Array, y: Array, base: float, height: float, length: float, shift: float
) -> Array:
    """A row of pointed swells, shaded from pale crests to deep blue with carved lines along the crest."""
    phase = x / length + shift
    depth = y - base + height * (1 - np.abs(np.sin(np.pi * phase))) ** 1.3 - 14 * np.sin(x / 170 + shift)
    water = ramp(depth / 190, colours("9dbfc6", "4a80ad", "1d4a86", "14305f", "102650"))
    carved = smoothstep(2.2, 1.2, np.abs((depth * (1 + 0.12 * np.sin(phase * 2))) % 19 - 8)) * (depth > 22)
    water = mix(water, INK, 0.8 * carved * (depth < 130))
    water = mix(water, colours("a9c6cd")[0], 0.65 * carved * (depth >= 130))
    foam = 9 + 10 * np.abs(np.sin(x / 21 + 4 * shift)) * np.abs(np.cos(np.pi * phase)) ** 2
    water = mix(water, INK, smoothstep(foam + 6, foam + 4, depth))
    water = mix(water, FOAM, smoothstep(foam, foam - 2, depth))
    water = mix(water, INK, smoothstep(3.5, 2.0, depth))
    return mix(picture, water, smoothstep(-1, 1, depth))


def waves(rng: Generator) -> Image.Image:
    """Woodblock waves: curling crests with foam fingers over rows of swell, under a beige sky."""
    size = 2 * SIZE
    x, y = pixels(size, size)
    picture = ramp(
        y / size, colours("8fa3a0", "d9c9a0", "ead9b0", "f0dfba", "e4c79a"), (0, 0.16, 0.32, 0.5, 0.65)
    )
    sun = np.hypot(x - 0.83 * size, y - 0.2 * size)
    picture = mix(picture, colours("d8552f")[0], smoothstep(118, 115, sun))
    for top, left, right, thick in (
        (0.2, -0.1, 0.36, 26),
        (0.265, 0.36, 0.75, 22),
        (0.05, 0.55, 1.1, 28),
        (0.235, 0.76, 1.2, 18),
    ):
        dx = np.maximum(np.maximum(left * size - x, x - right * size), 0)
        picture = mix(
            picture, colours("f1e4c6")[0], smoothstep(thick, thick - 2, np.hypot(dx, y - top * size))
        )
    picture = _swell(picture, x, y, 0.56 * size, 36, 130, 0.2)
    picture = _swell(picture, x, y, 0.63 * size, 52, 210, 0.7)

    def breakers(below: Array, *places: tuple[float, float, float, int]) -> Array:
        image = Image.fromarray(np.uint8(np.clip(below, 0, 1) * 255))
        draw = ImageDraw.Draw(image)
        for px, py, scale, side in places:
            _breaker(draw, rng, px * size, py * size, scale * size, side)
        return np.asarray(image, np.float32) / 255

    picture = breakers(picture, (0.86, 0.7, 0.26, -1), (0.24, 0.74, 0.5, 1))
    picture = _swell(picture, x, y, 0.82 * size, 80, 330, 0.35)
    picture = breakers(picture, (0.76, 0.99, 0.27, -1))
    picture = _swell(picture, x, y, 0.95 * size, 60, 260, 0.1)
    grain = np.sin(y / 3.2 + 1.5 * noise(rng, size, size, (900, 60), 2)) * 0.012
    wear = 0.022 * noise(rng, size, size, (240, 30), 3)
    return finish(picture * (1 + grain + wear)[..., None] * paper(rng, size, size, 0.012), 672, 672)


def _engraving_scene(rng: Generator, size: int) -> tuple[Array, Array, Array]:
    """A moonlit coast with a lighthouse: how dark it is, the phase of its lines and its regions."""
    x, y = pixels(size, size)
    u, v = x / size, y / size
    moon = np.hypot(u - 0.66, v - 0.27)
    cloud = noise(rng, size, size, (800, 240), 3)
    tone = 0.2 + 0.62 * smoothstep(0.08, 0.75, moon) - 0.2 * smoothstep(0.4, 1.4, cloud)
    phase = moon * size + 6 * cloud
    region = np.zeros((size, size), np.int32)

    def place(mask: Array, dark: Array, lines: Array) -> None:
        """Put an object in front of the picture."""
        nonlocal tone, phase
        tone, phase = np.where(mask, dark, tone), np.where(mask, lines, phase)
        region[mask] = region.max() + 1

    crater = noise(rng, size, size, 130, 3)
    place(
        moon < 0.105,
        0.1 + 0.1 * np.clip(crater, 0, 2) + 0.3 * smoothstep(0.64, 0.78, u),
        phase,
    )
    for level, middle, dark in ((0.1, 0.34, 0.5), (0.39, 0.3, 0.6), (0.44, 0.92, 0.55)):
        bank = noise(rng, size, 8, (260, 8), 4)[4][None] * 0.016
        thick = (0.035 + bank) * (1 - np.clip(np.abs(u - middle) / 0.24, 0, 1) ** 2)
        mask = (np.abs(v - level) < thick) & (np.abs(u - middle) < 0.24)
        place(mask, 0.15 + dark * (v - level + 0.03) / 0.07, y * 0.9 + 14 * np.sin(x / 60))
    glint = np.exp(-(((u - 0.66) / (0.04 + 0.4 * np.clip(v - 0.6, 0, 1))) ** 2))
    ripple = np.sin(y / (5 + 40 * np.clip(v - 0.6, 0, 1)) + 3 * cloud)
    place(v > 0.62, 0.62 - 0.66 * glint + 0.1 * ripple, y + 4 * np.sin(x / 45 + 5 * np.sin(y / 60)))
    across = (u - 0.24) / (0.044 + 0.05 * (v - 0.2))
    body = (np.abs(across) < 1) & (v > 0.22) & (v < 0.66)
    band = 0.3 * (np.sin((v - 0.22) * 43) > 0)
    place(body, 0.3 + band + 0.5 * (0.2 - across) * np.abs(across - 0.2), y + 20 * across**2)
    place((np.abs(u - 0.24) < 0.062) & (np.abs(v - 0.222) < 0.01), 0.35 - 6 * (u - 0.24), y + 0.2 * x)
    place((np.abs(u - 0.24) < 0.034) & (v > 0.165) & (v < 0.212), 0.25 + 0.3 * (np.sin(u * 420) > 0.6), x)
    place(
        (np.abs(u - 0.24) < (v - 0.115) * 0.9) & (v > 0.115) & (v < 0.165),
        0.5 - 9 * (u - 0.24),
        y + 60 * across**2,
    )
    rough = noise(rng, size, size, 190, 3)
    coasts = (
        (0.63, 0.025, 300, (0.88, 0.26, 0.08), 0.3),
        (0.74, 0.02, 330, (0.22, 0.3, 0.15), 0.4),
        (0.9, 0.02, 360, (0.8, 0.34, 0.1), 0.5),
        (1.0, 0.025, 280, (0.22, 0.36, 0.1), 0.55),
    )
    for base, bumpy, cell, (cx, width, tall), dark in coasts:
        bumps = noise(rng, size, 8, (cell, 8), 5)[4][None]
        rise = np.exp(-(np.abs((u - cx) / width) ** 3))
        top = base - tall * rise - bumpy * bumps * rise + 0.4 * (1 - rise) ** 2
        depth = (v - top) * size
        lean = np.gradient(blur(np.repeat(top[:1], 4, 0), 14)[:1], axis=1) * size * 0.3
        crag = relief(blur(rough, 7), 12.0)
        mask = (depth > 0) & ((v < 0.645 + 0.01 * rise) | (base > 0.7))
        place(mask, dark - 0.4 * crag - 0.6 * lean + 0.0012 * depth, depth * 0.9 + 9 * rough + 0.4 * x)
    return np.clip(tone, 0, 0.93), phase, region


def hatching(rng: Generator) -> Image.Image:
    """A copper engraving: lines that swell with the darkness, crossed in the shadows, on sepia paper."""
    size = 2 * SIZE
    x, y = pixels(size, size)
    tone, phase, region = _engraving_scene(rng, size)
    tone = blur(tone, 2)
    wobble = 1.2 * noise(rng, size, size, 90, 2)
    ink = np.zeros_like(tone)
    layers = ((phase, 0.02, 1.0), (0.74 * (x + y), 0.45, 0.8), (0.74 * (x - 0.8 * y), 0.68, 0.7))
    for lines, start, weight in layers:
        dark = np.clip((tone - start) / (1.05 - start), 0, 1) ** 0.85 * weight
        wave = np.abs(((lines + wobble) / 17.0) % 1 - 0.5) * 2
        ink = np.maximum(ink, smoothstep(-0.12, 0.12, dark * 0.8 - wave) * (tone > start))
    border = np.zeros_like(tone)
    border[1:] += region[1:] != region[:-1]
    border[:, 1:] += region[:, 1:] != region[:, :-1]
    ink = np.maximum(ink, smoothstep(0.12, 0.3, blur(np.minimum(border, 1), 1)))

    sheet = ramp(
        np.clip(np.hypot(x / size - 0.5, y / size - 0.5) * 1.4, 0, 1), colours("f0dfba", "ead4a6", "d3b27c")
    )
    picture = mix(sheet, colours("33190c")[0], 0.9 * blur(ink, 1))
    return finish(picture * paper(rng, size, size, 0.01), 640, 640)
