"""Painted styles: thick oil strokes along a flow field, and pointillism."""

import numpy as np
from brush import Array, Generator, Oil, colours, finish, mix, noise, pixels, ramp, smoothstep, tint
from PIL import Image, ImageDraw

SIZE = 640


def _potential(rng: Generator, size: int, vortices: list[tuple[float, float, float, float]]) -> Array:
    """A stream function: soft noise and vortices given as (x, y, radius, spin) in units of the size."""
    x, y = pixels(size, size)
    field = 0.055 * noise(rng, size, size, size / 2.2, 2)
    for cx, cy, radius, spin in vortices:
        r = np.hypot(x / size - cx, y / size - cy)
        field += spin * radius * np.exp(-r / radius)
    return field


def strokes(rng: Generator) -> Image.Image:
    """Thousands of curved, bristly oil strokes that run along a field with a few strong vortices."""
    size = 2 * SIZE
    vortices = [
        (0.3, 0.32, 0.17, 1.5),
        (0.77, 0.2, 0.09, -1.5),
        (0.7, 0.6, 0.12, 1.4),
        (0.14, 0.78, 0.08, -1.3),
    ]
    psi = _potential(rng, size, vortices)
    down, right = np.gradient(psi)
    speed = np.hypot(down, right) + 1e-9
    flow = np.stack([down / speed, -right / speed], -1)
    x, y = pixels(size, size)
    warm = np.zeros_like(x)
    for cx, cy, radius, _ in vortices:
        r = np.hypot(x / size - cx, y / size - cy)
        warm += np.exp(-((r / radius) ** 2)) + 0.5 * np.exp(-(((r - 1.35 * radius) / (0.22 * radius)) ** 2))
    bands = np.sin(psi * 62)
    key = np.clip(0.3 + 0.2 * bands + 0.62 * warm * (0.75 + 0.25 * bands), 0, 1)
    palette = colours("0b1438", "14296b", "2350a0", "5b8cc0", "cfd8c8", "f3e6b8", "f0b93a", "e08a1e")
    oil = Oil(rng, size, size, palette[0])
    for count, width, steps in ((1300, 52, 17), (2400, 34, 15), (2600, 26, 12)):
        place = rng.uniform(-30, size + 30, (count, 2))
        track = [place]
        for _ in range(steps):
            i = np.clip(track[-1].astype(int), 0, size - 1)
            track.append(track[-1] + 9 * flow[i[:, 1], i[:, 0]])
        tracks = np.stack(track, 1)
        middle = np.clip(tracks[:, steps // 2].astype(int), 0, size - 1)
        tone = key[middle[:, 1], middle[:, 0]] + rng.normal(0, 0.055, count)
        tone = np.where(rng.random(count) < 0.04, rng.uniform(0.5, 0.9, count), tone)
        for points, colour in zip(tracks, ramp(np.clip(tone, 0, 1), palette), strict=True):
            oil.stroke(points, width * rng.uniform(0.8, 1.15), colour, width // 4)
    return finish(oil.lit(4.2, 1), SIZE, SIZE)


def _lake(rng: Generator, size: int) -> Array:
    """The scene behind the dots: a low sun over a lake with hills, boats and trees."""
    x, y = pixels(size, size)
    u, v = x / size, y / size
    sun = np.hypot(u - 0.62, v - 0.3)
    sky = ramp(v / 0.52, colours("3f6fc0", "7fa6d8", "f2c6a0", "ffd870"))
    sky = mix(
        sky,
        ramp(np.clip(sun / 0.3, 0, 1), colours("fff6b0", "ffc040", "ff8a50")),
        np.exp(-((sun / 0.2) ** 2)),
    )
    sky = mix(sky, colours("fffbe0")[0], smoothstep(0.085, 0.075, sun))
    hill = 0.43 + 0.03 * np.sin(9 * u + 1) + 0.02 * np.sin(23 * u)
    sky = mix(sky, ramp((v - hill) / 0.12, colours("7c5ca8", "4a60a8")), smoothstep(-0.003, 0.003, v - hill))
    water = ramp((v - 0.52) / 0.48, colours("f4b860", "5f90c8", "2a56a4", "1c3c84"))
    ripple = np.sin(v**0.5 * 260 + 3 * noise(rng, size, size, (400, 40), 2))
    glint = np.exp(-(((u - 0.62) / (0.05 + 0.22 * (v - 0.5))) ** 2)) * (0.55 + 0.45 * ripple)
    water = mix(water, colours("ffe070")[0], np.clip(glint, 0, 1))
    scene = mix(sky, water, smoothstep(0.517, 0.523, v))
    shore = 0.86 + 0.05 * np.sin(5 * u + 2.2) - 0.16 * np.exp(-((u / 0.3) ** 2))
    grass = ramp((v - shore) / 0.2, colours("a8c83c", "4c9a40", "1f6a4c"))
    scene = mix(scene, grass, smoothstep(-0.004, 0.004, v - shore))
    lumps = noise(rng, size, size, size / 9, 3)
    trees = ((0.17, 0.27, 0.2, 0.24, 0.02), (0.02, 0.52, 0.13, 0.18, 0.01), (0.94, 0.38, 0.08, 0.17, 0.0))
    for cx, cy, rx, ry, lean in trees:
        stem = cx + lean * np.sin(9 * (v - cy)) + 0.02 * (v - cy)
        trunk = smoothstep(0.003, -0.003, np.abs(u - stem) - 0.011 - 0.02 * np.clip(v - cy - 2.0 * ry, 0, 1))
        trunk *= (v > cy) * (v < cy + 2.45 * ry)
        scene = mix(scene, colours("5a2a5c")[0], trunk)
        for turn, far in zip(rng.permutation(13) * 2.4, np.sqrt(np.linspace(1, 0.02, 13)), strict=True):
            bx, by = cx + 0.72 * far * rx * np.cos(turn), cy + 0.72 * far * ry * np.sin(turn)
            du, dv = (u - bx) / (0.44 * rx), (v - by) / (0.36 * ry)
            whole = 0.2 * ((u - cx) / rx - (v - cy) / ry)
            light = np.clip(0.4 + 0.3 * (du - 0.9 * dv) + whole + 0.14 * lumps, 0, 1)
            leaves = ramp(light, colours("1b2f74", "1c6258", "4a9c3c", "b8cc38", "f8d838"))
            scene = mix(scene, leaves, smoothstep(1.0, 0.92, np.hypot(du, dv) + 0.12 * lumps))
    for bx, by, k in ((0.36, 0.56, 0.05), (0.79, 0.6, 0.075)):
        du, dv = (u - bx) / k, (v - by) / k
        sail = (dv > -1.3) & (dv < 0) & (du > -0.06) & (du < 0.62 * (dv + 1.3)) | (
            (dv > -1.1) & (dv < 0) & (du < -0.14) & (du > -0.42 * (dv + 1.1))
        )
        scene = mix(scene, colours("fff4d8")[0], sail.astype(np.float32))
        hull = (dv > 0.06) & (dv < 0.26) & (np.abs(du) < 0.95 - dv)
        scene = mix(scene, colours("7a1f4c")[0], hull.astype(np.float32))
    return scene


def dots(rng: Generator) -> Image.Image:
    """Pointillism: a lake at sunset in tens of thousands of pure dots with complementary accents."""
    size = 2 * SIZE
    scene = _lake(rng, size)
    image = Image.new("RGB", (size, size), (236, 226, 204))
    draw = ImageDraw.Draw(image)
    pure = colours(
        "f8d830", "f8a020", "e8542c", "d03050", "8a3c98", "3c3c9c", "2458b8", "3890d0",
        "30a898", "38984c", "90c038", "f8ecc0", "f4b8a0", "a8c8e8", "182c60", "1a4a44",
    )  # fmt: skip
    for spacing, radius in ((13, 9.5), (12, 7.5), (11, 6.5)):
        y, x = np.mgrid[0 : size + spacing : spacing, 0 : size + spacing : spacing].reshape(2, -1)
        order = rng.permutation(x.size)
        x, y = (a[order] + rng.normal(0, 0.4 * spacing, x.size) for a in (x, y))
        here = scene[np.clip(y, 0, size - 1).astype(int), np.clip(x, 0, size - 1).astype(int)]
        wish = here + rng.normal(0, 0.11, here.shape)
        accent = rng.random(x.size) < 0.07
        wish[accent] = 0.75 * (1.05 - wish[accent]) + 0.2
        nearest = ((wish[:, None] - pure[None]) ** 2 @ np.array([0.9, 1.4, 0.7])).argmin(1)
        shade = 0.62 * pure[nearest] + 0.38 * here
        for cx, cy, r, colour in zip(x, y, radius * rng.uniform(0.75, 1.15, x.size), shade, strict=True):
            draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=tint(colour))
    return finish(np.asarray(image, np.float32) / 255, SIZE, SIZE)
