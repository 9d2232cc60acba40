"""A drawn content picture: a mountain valley with a winding river, trees, a small house and a path."""

import numpy as np
from brush import Array, Generator, blur, colours, mix, noise, ramp, smoothstep, tint
from PIL import Image, ImageDraw
from scene import Scene, sky

HORIZON, FOCUS, CAMERA = 400, 1150, 1.0
NEAR, FAR, HALF = 1.2, 17.0, 9.5
COLUMNS, ROWS = 1700, 1500


def _river(z: Array) -> Array:
    """Where the middle of the river is at depth z."""
    return 0.15 + 0.62 * np.sin(1.05 * z - 0.9) * (0.35 + 0.1 * z) - 0.05 * z


def _path(z: Array) -> Array:
    """Where the path is at depth z."""
    return 0.86 + 0.09 * (z - 2.5) + 0.12 * np.sin(2.2 * z) + 0.16 * smoothstep(3.0, 3.9, z)


def _land(rng: Generator) -> tuple[Array, Array]:
    """The heights of the land on a grid over (z, x), and the light on it including cast shadows."""
    x = np.linspace(-HALF, HALF, COLUMNS)[None]
    z = np.linspace(NEAR, FAR, ROWS)[:, None]
    away = np.abs(x - _river(z))
    rolling = noise(rng, COLUMNS, ROWS, (420, 300), 4)
    ridged = 1.2 - np.abs(noise(rng, COLUMNS, ROWS, (520, 620), 6))
    rise = smoothstep(0.35, 3.2, away) * (0.25 + 0.09 * z)
    height = rise * (0.5 + 0.22 * rolling) + 0.015 * rolling
    mountains = smoothstep(8.5, 15, z) * (1.35 + 0.75 * smoothstep(0.5, 5, np.abs(x - 1.2)))
    height = height + mountains * (0.62 + 0.75 * ridged) * smoothstep(17.6, 14.5, z)
    river = smoothstep(0.34, 0.2, away / (0.5 + 0.08 * z))
    height = height * (1 - river * smoothstep(11, 8, z)) - 0.02 * river * smoothstep(11, 8, z)
    step_x, step_z = 2 * HALF / COLUMNS, (FAR - NEAR) / ROWS
    dz, dx = np.gradient(height, step_z, step_x)
    light = (-0.66 * dx + 0.3 * dz + 0.62) / np.sqrt(1 + dx**2 + dz**2)
    beam = height + x * 0.42
    shadow = np.maximum.accumulate(beam, axis=1) - beam
    light = np.clip(light, 0.05, 1.2) * (1 - 0.6 * blur(smoothstep(0.01, 0.08, shadow), 3))
    return height.astype(np.float32), light.astype(np.float32)


def _tree(
    draw: ImageDraw.ImageDraw, rng: Generator, x: float, y: float, size: float, fir: bool, haze: float
) -> None:
    """A fir or a round tree made of many small touches, dark below and light at the upper left."""
    air = colours("a9bccb")[0]
    draw.ellipse(
        (x - 0.25 * size, y - 0.06 * size, x + 0.6 * size, y + 0.06 * size),
        fill=tint(colours("46602a")[0] * (1 - haze) + air * haze),
    )
    trunk = tint(colours("4a3524")[0] * (1 - haze) + air * haze)
    draw.rectangle((x - 0.035 * size, y - 0.4 * size, x + 0.035 * size, y), fill=trunk)
    count = int(np.clip(size * 2.2, 60, 460))
    leaf = np.clip(2.2 / np.sqrt(count / 60), 0.9, 2.2)
    shades = colours("10261f", "24503a", "7a9a58") if fir else colours("142c1a", "376630", "9cb052")
    lumps = rng.uniform(0, 6.3, 3)
    for k in range(count):
        spread = rng.uniform(-1, 1)
        if fir:
            level = 1 - np.sqrt(rng.random())
            tier = (level * 7) % 1
            half = 0.26 * size * (1 - level) * (1.12 - 0.45 * tier) + 0.01 * size
            cx, cy, r = (
                x + spread * half,
                y - size * (0.12 + 0.88 * level) + abs(spread) * 0.05 * size,
                0.02 * size * leaf,
            )
            glow = 0.42 - 0.42 * spread - 0.35 * (tier - 0.5)
        else:
            turn, far = rng.uniform(0, 2 * np.pi), np.sqrt(rng.random())
            edge = 1 + 0.13 * np.sin(3 * turn + lumps[0]) + 0.09 * np.sin(5 * turn + lumps[1])
            cx, cy = (
                x + 0.36 * size * far * edge * np.cos(turn),
                y - size * (0.63 - 0.34 * far * edge * np.sin(turn)),
            )
            r = 0.024 * size * leaf
            clump = np.sin(13 * (cx - x) / size + lumps[2]) * np.sin(15 * (cy - y) / size + lumps[0])
            glow = 0.42 - 1.05 * (cx - x) / size - 0.8 * ((cy - y) / size + 0.63) + 0.22 * clump
        glow = np.clip((glow + rng.normal(0, 0.1)) * (0.45 + 0.55 * k / count), 0, 1)
        green = ramp(np.array(glow), shades) * (1 - haze) + air * haze
        draw.ellipse((cx - r, cy - 0.75 * r, cx + r, cy + 0.75 * r), fill=tint(green))


def _cottage(draw: ImageDraw.ImageDraw, x: float, y: float, k: float) -> None:
    """A small house with a lit front, a shaded side and a smoking chimney."""

    def part(code: str, *points: tuple[float, float]) -> None:
        draw.polygon([(x + k * a, y - k * b) for a, b in points], fill=tint(colours(code)[0]))

    part("3c5a2c", (-52, -4), (120, -4), (130, 6), (-40, 10))
    part("f3e6cc", (-50, 0), (-50, 58), (-10, 98), (30, 58), (30, 0))
    part("9a8a7c", (30, 0), (30, 58), (104, 64), (104, 8))
    part("7e3626", (-10, 104), (68, 108), (114, 60), (34, 54))
    part("c4603c", (-62, 52), (-10, 106), (-10, 96), (-50, 54))
    part("5c2a20", (30, 54), (-10, 106), (-10, 96), (26, 54))
    for step in range(1, 5):
        a = step / 5
        part(
            "642a1e",
            (-10 + 44 * a, 104 - 50 * a),
            (68 + 46 * a, 108 - 48 * a),
            (68 + 46 * a, 106 - 48 * a),
            (-10 + 44 * a, 102 - 50 * a),
        )
    part("b07058", (52, 100), (52, 132), (64, 132), (64, 100))
    part("6c4030", (64, 100), (64, 132), (72, 131), (72, 100))
    part("5a3a24", (-22, 0), (-22, 38), (0, 38), (0, 0))
    part("2c3c50", (-44, 20), (-44, 40), (-28, 40), (-28, 20))
    part("2c3c50", (6, 20), (6, 40), (22, 40), (22, 20))
    part("202a38", (50, 26), (50, 46), (66, 47), (66, 27))
    part("202a38", (78, 28), (78, 48), (92, 49), (92, 29))


def valley(rng: Generator) -> Image.Image:
    """A valley rendered from a field of heights: lit ridges, a river, a path, trees and a cottage."""
    s = Scene(rng, 768, 576)
    sky(s, 480, "3f7cc4", "e6e4d6", 0.35)
    height, light = _land(rng)
    z = np.linspace(NEAR, FAR, ROWS)
    across = (s.x[0][None] - s.width / 2) / FOCUS * z[:, None]
    column = np.clip((across + HALF) / (2 * HALF) * (COLUMNS - 1), 0, COLUMNS - 1).astype(int)
    seen = height[np.arange(ROWS)[:, None], column]
    top = np.minimum.accumulate(HORIZON + (CAMERA - seen) * FOCUS / z[:, None], axis=0)
    depth = np.full((s.height, s.width), ROWS, int)
    for x in range(s.width):
        depth[:, x] = np.searchsorted(-top[:, x], -np.arange(s.height), side="left")
    land = depth < ROWS
    row = np.minimum(depth, ROWS - 1)
    zz = z[row].astype(np.float32)
    xx = (s.x - s.width / 2) / FOCUS * zz
    col = np.clip((xx + HALF) / (2 * HALF) * (COLUMNS - 1), 0, COLUMNS - 1).astype(int)
    h, bright = height[row, col], light[row, col]
    patch = noise(rng, COLUMNS, ROWS, (150, 110), 5)[row, col]
    fine = noise(rng, s.width, s.height, (26, 9), 3)
    meadow = ramp(0.5 + 0.2 * patch + 0.14 * fine, colours("3f6a2c", "6f9038", "a9ad52"))
    rock = ramp(0.5 + 0.25 * patch + 0.1 * fine, colours("5a5a62", "86807c", "b0a698"))
    ground = mix(
        meadow,
        colours("2c4c2a")[0] * (1 + 0.2 * fine[..., None]),
        smoothstep(0.45, 1.0, h + 0.1 * patch) * 0.8,
    )
    ground = mix(ground, rock, smoothstep(1.15, 1.6, h + 0.15 * patch))
    ground = mix(ground, colours("f6f6fa")[0], smoothstep(2.3, 2.6, h + 0.18 * patch))
    track = smoothstep(0.075, 0.05, np.abs(xx - _path(zz)) + 0.008 * patch) * (zz < 3.86)
    ground = mix(ground, colours("d9bf92")[0] * (1 + 0.1 * fine[..., None]), track)
    ground = ground * (0.26 + 0.95 * bright)[..., None] * (1 + 0.06 * fine[..., None])
    away = np.abs(xx - _river(zz)) / (0.5 + 0.08 * zz) + 0.012 * patch
    wave = noise(rng, s.width, s.height, (200, 9), 3)
    flow = (
        ramp((s.y - HORIZON) / 700, colours("e3e8e6", "8fb4cc", "3f78a4", "2a5c88")) + 0.05 * wave[..., None]
    )
    ground = mix(
        ground, colours("c4ae84")[0] * (0.8 + 0.1 * fine[..., None]), smoothstep(0.3, 0.27, away) * (zz < 9)
    )
    ground = mix(ground, flow, smoothstep(0.25, 0.235, away) * smoothstep(9.6, 8.4, zz))
    haze = 0.62 * smoothstep(3, 19, zz)
    ground = mix(ground, colours("b4c6d8")[0], haze)
    s.picture = mix(s.picture, ground, land)
    image = Image.fromarray(np.uint8(np.clip(s.picture, 0, 1) * 255))
    draw = ImageDraw.Draw(image)
    places = [
        (zz_, xx_) for zz_, xx_ in zip(rng.uniform(2.4, 9.5, 260), rng.uniform(-1, 1, 260), strict=True)
    ]
    spots = [(float(a), float(b * 0.66 * a)) for a, b in places] + [
        (1.75, -0.98),
        (1.95, -0.7),
        (1.7, 0.98),
        (3.9, 0.0),
    ]
    for tz, tx in sorted(spots, reverse=True):
        if (tz, tx) == (3.9, 0.0):
            house_x = float(_path(np.array(3.9))) + 0.06
            i, j = int((3.9 - NEAR) / (FAR - NEAR) * ROWS), int((house_x + HALF) / (2 * HALF) * COLUMNS)
            _cottage(
                draw,
                s.width / 2 + house_x * FOCUS / 3.9,
                HORIZON + (CAMERA - height[i, j]) * FOCUS / 3.9 + 6,
                1.25,
            )
            continue
        if abs(tx - _river(np.array(tz))) < 0.3 + 0.07 * tz or abs(tx - _path(np.array(tz))) < 0.2:
            continue
        if 3.0 < tz < 4.4 and abs(tx - _path(np.array(3.9)) - 0.06) < 0.4:
            continue
        i, j = int((tz - NEAR) / (FAR - NEAR) * ROWS), int((tx + HALF) / (2 * HALF) * COLUMNS)
        px, py = s.width / 2 + tx * FOCUS / tz, HORIZON + (CAMERA - height[i, j]) * FOCUS / tz
        if not 0 <= px < s.width or py > top[max(0, i - 2), int(px)] + 12:
            continue
        size = FOCUS / tz * rng.uniform(0.26, 0.44) * (1.25 if tz < 2 else 1)
        _tree(
            draw, rng, px, py, size, bool((i // 60 + j // 90) % 3), float(0.6 * np.clip((tz - 3) / 16, 0, 1))
        )
    s.picture = np.asarray(image, np.float32) / 255
    return s.image(1.08)
