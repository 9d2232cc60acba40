"""A drawn content picture: a small harbour with houses, boats and their reflections."""

import numpy as np
from brush import Generator, colours, noise, ramp, smoothstep
from PIL import Image
from scene import Scene, rgb, sky

QUAY, WATER = 668, 742


def _window(s: Scene, x: float, y: float, w: float, h: float, shutter: str | None, dim: float) -> None:
    """A window with frame, panes that reflect the sky, sill and shutters."""
    frame = rgb("f2ead8") * dim
    if shutter:
        for left in (x - 0.62 * w, x + 1.06 * w):
            s.box(left, y - 2, 0.55 * w, h + 4, rgb(shutter) * dim, rgb(shutter) * 0.75 * dim)
            for k in range(5):
                s.box(left + 2, y + 4 + k * h / 5, 0.55 * w - 4, 3, rgb(shutter) * 0.6 * dim)
    s.box(x - 4, y - 4, w + 8, h + 8, frame, frame * 0.85)
    s.box(x, y, w, h, rgb("2c3a4c") * dim, rgb("7d93a6") * dim)
    s.box(x, y, w, 7, rgb("141c28"), alpha=0.7)
    s.box(x + w / 2 - 2, y, 4, h, frame * 0.9)
    s.box(x, y + h * 0.45, w, 4, frame * 0.9)
    s.box(x - 8, y + h + 4, w + 16, 6, frame, frame * 0.7)
    s.shade(
        [(x - 6, y + h + 10), (x + w + 14, y + h + 10), (x + w + 14, y + h + 18), (x - 2, y + h + 18)],
        0.35,
        3,
    )


def _house(
    s: Scene,
    x: float,
    w: float,
    h: float,
    d: float,
    wall: str,
    roof: str,
    floors: int,
    shutter: str,
    gable: float,
) -> None:
    """A house seen slightly from the right: lit front, shaded side, roof, windows and a door."""
    up, top = 0.16 * d, QUAY - h
    lit, dark = rgb(wall), rgb(wall) * np.array([0.5, 0.5, 0.6])
    s.fill(
        [(x + w, QUAY), (x + w + d, QUAY - up), (x + w + d, top - up), (x + w, top)],
        dark * 1.1,
        dark * 0.85,
        0,
    )
    for k in range(floors):
        y = top + 34 + k * (h - 30) / floors
        s.fill(
            [
                (x + w + 0.3 * d, y),
                (x + w + 0.62 * d, y - 5),
                (x + w + 0.62 * d, y + 44),
                (x + w + 0.3 * d, y + 49),
            ],
            "1d2430",
            "3d4a5a",
        )
    peak = (x + w / 2, top - gable)
    s.fill([(x, QUAY), (x, top), peak, (x + w, top), (x + w, QUAY)], lit * 1.03, lit * 0.9, 1, 0.06)
    tiles = rgb(roof)
    s.fill(
        [
            (peak[0], peak[1]),
            (peak[0] + d, peak[1] - up),
            (x + w + d + 12, top - up + 10),
            (x + w + 12, top + 10),
        ],
        tiles * 0.72,
        tiles * 0.5,
        1,
        0.12,
    )
    for k in range(1, 9):
        a = k / 9
        px, py = peak[0] + a * (w / 2 + 12), peak[1] + a * (gable + 10)
        s.line([(px, py), (px + d, py - up)], 3, tiles * 0.36, 0.7)
    s.fill([(x - 14, top + 12), peak, (peak[0], peak[1] - 16), (x - 20, top)], tiles * 1.15, tiles, 1, 0.1)
    s.fill(
        [(x + w + 14, top + 12), peak, (peak[0], peak[1] - 16), (x + w + 20, top)],
        tiles * 0.85,
        tiles * 0.7,
        1,
        0.1,
    )
    s.shade(
        [(x, top + 14), peak, (x + w, top + 14), (x + w, top + 30), (peak[0], peak[1] + 30), (x, top + 30)],
        0.42,
        6,
    )
    s.box(x + 0.16 * w, top - 0.72 * gable - 14, 24, 60, rgb("b5654a"), rgb("8a4636"))
    s.box(x + 0.16 * w + 24, top - 0.72 * gable - 18, 12, 62, rgb("5b3028"))
    s.box(x + 0.16 * w - 4, top - 0.72 * gable - 22, 44, 9, rgb("d8c8b0"), rgb("8a7c6c"))
    count = 2 if w < 190 else 3
    for k in range(floors):
        y = top + 30 + k * (h - 26) / floors
        for j in range(count):
            cx = x + w * (j + 0.5) / count
            if k == floors - 1 and j == count // 2:
                s.box(cx - 25, QUAY - 92, 50, 92, rgb("e8dcc4"), rgb("b8a890"))
                s.box(cx - 19, QUAY - 86, 38, 86, rgb(shutter) * 0.8, rgb(shutter) * 0.5)
                s.box(cx - 14, QUAY - 78, 28, 22, "263240", "6c8294")
                continue
            _window(s, cx - 15, y, 30, 46, shutter if count == 2 or k % 2 == 0 else None, 1.0)
    if gable > 90:
        s.fill(s.ellipse(*np.add(peak, (0, 0.62 * gable)), 15, 17), "efe5d0", "b8ab96")
        s.fill(s.ellipse(*np.add(peak, (0, 0.62 * gable)), 10, 12), "232c3a", "66798a")
    s.shade([(x, QUAY - 20), (x + w + d, QUAY - 20), (x + w + d, QUAY + 4), (x, QUAY + 4)], 0.3, 8)


def _boat(s: Scene, x: float, y: float, k: float, hull: str, sail: str | None, flip: int = 1) -> None:
    """A sailing or rowing boat at the water line ``y``; ``flip`` -1 draws its mirror image."""
    alpha = 1.0 if flip > 0 else 0.62

    def at(*points: tuple[float, float]) -> list[tuple[float, float]]:
        return [(x + k * a, y - flip * k * b) for a, b in points]

    if sail is not None:
        s.line(at((0, 30), (0, 330)), 8 * k, "5c4028", alpha)
        s.line(at((2, 62), (120, 70)), 6 * k, "5c4028", alpha)
        s.fill(
            at((5, 320), (26, 220), (34, 140), (112, 76), (60, 70), (5, 72)),
            rgb(sail),
            rgb(sail) * 0.72,
            0,
            alpha=alpha,
        )
        for b in (120, 170, 220):
            s.line(at((6, b), (72 - 0.24 * b, b + 2)), 2, rgb(sail) * 0.6, 0.6 * alpha)
        s.fill(
            at((-6, 300), (-40, 180), (-118, 66), (-50, 76), (-8, 90)),
            rgb(sail) * 1.06,
            rgb(sail) * 0.85,
            0,
            alpha=alpha,
        )
    else:
        s.line(at((-20, 30), (-20, 250)), 7 * k, "6a4a30", alpha)
        s.line(at((-20, 245), (-130, 52)), 2, "2c2620", 0.8 * alpha)
        s.line(at((-20, 245), (118, 50)), 2, "2c2620", 0.8 * alpha)
        s.line(at((-14, 76), (92, 100)), 9 * k, "d8cdb6", alpha)
        s.fill(at((20, 40), (20, 84), (84, 84), (90, 40)), "f0e8d8", "a8a498", 0, alpha=alpha)
        s.fill(at((14, 84), (18, 94), (92, 94), (92, 84)), "b04a34", "7a3024", 0, alpha=alpha)
        for a in (32, 56):
            s.fill(at((a, 54), (a, 76), (a + 16, 76), (a + 16, 54)), "2a3848", "5a7084", alpha=alpha)
    body = rgb(hull)
    s.fill(
        at((-132, 54), (-60, 42), (60, 42), (128, 56), (104, 16), (84, -6), (-86, -6), (-112, 14)),
        body * 1.1,
        body * 0.45,
        0,
        0.08,
        alpha=alpha,
    )
    s.fill(at((-86, -6), (-98, 5), (94, 5), (84, -6)), "7a2c22", "3c1814", 0, alpha=alpha)
    s.fill(
        at((-132, 54), (-60, 42), (60, 42), (128, 56), (126, 48), (60, 34), (-60, 34), (-129, 46)),
        "f4ecd8",
        "b0a48c",
        0,
        alpha=alpha,
    )


def harbour(rng: Generator) -> Image.Image:
    """Houses along a quay in low sun, a church, sailing and fishing boats, and rippled reflections."""
    s = Scene(rng, 768, 576)
    sky(s, 620, "4a84c8", "f3dcbc", 0.45)
    hill = 500 - 70 * np.sin(s.x[0] / 420 + 0.8) - 9 * noise(rng, s.width, 8, (60, 8), 4)[4]
    slope = ramp((s.y - hill) / 190, colours("8fa596", "6e8a62", "57744c")) * (1 + 0.13 * s.grain[..., None])
    s.picture += (slope - s.picture) * smoothstep(-2, 2, s.y - hill)[..., None]
    s.box(1090, 300, 76, 370, "e6d8bc", "c2ae90", 0)
    s.box(1166, 300, 30, 370, "8a7e74", "756a62", 0)
    s.fill([(1080, 302), (1128, 120), (1142, 120), (1206, 302)], "6f8f8a", "34504e", 0)
    s.line([(1135, 124), (1135, 84)], 4, "3a3428")
    s.fill(s.ellipse(1128, 380, 22, 24), "f4ecd8", "c8bca4")
    s.fill([(1112, 480), (1112, 440), (1128, 424), (1144, 440), (1144, 480)], "3a3a40", "55504c")
    for house in (
        (1330, 200, 240, 60, "d9a05c", "a8482e", 3, "3f6a52", 110),
        (1090, 176, 190, 50, "e9e0cc", "8c4a38", 2, "38608a", 95),
        (822, 210, 262, 46, "c9604a", "77402f", 3, "e6dcc4", 120),
        (566, 190, 216, 52, "efd28c", "b4583a", 2, "2f6a6a", 100),
        (316, 190, 292, 46, "8fb0b8", "6a3a34", 4, "f0e6d0", 104),
        (44, 214, 226, 50, "e8c4a4", "b0502f", 3, "5a7a44", 112),
    ):
        _house(s, *house)
    s.box(0, QUAY - 4, s.width, 14, "d8c8ac", "b8a688")
    s.box(0, QUAY + 10, s.width, WATER - QUAY - 10, "8f8270", "5a5248", grain=0.16)
    for row, y in enumerate((QUAY + 30, QUAY + 52)):
        s.line([(0, y), (s.width, y)], 3, "453e36", 0.7)
        for x in range(30 * (row + 1), s.width, 74):
            s.line([(x, y - 20), (x, y)], 3, "453e36", 0.6)
    for x in range(130, s.width, 260):
        s.box(x, QUAY - 26, 16, 26, "4a4440", "24201e", 0)
        s.fill(s.ellipse(x + 8, QUAY - 26, 12, 6), "6a625a")
    boats = (
        (760, 815, 0.8, "f0ead8", None),
        (1250, 880, 1.15, "2f5f8a", "f6ecd4"),
        (360, 940, 1.45, "a83c2c", None),
        (150, 806, 0.62, "3c7a5c", "e8b070"),
    )
    below = s.picture[: WATER + 1][::-1][: s.height - WATER]
    s.picture[WATER : WATER + len(below)] = below * 0.94
    for boat in boats:
        _boat(s, *boat, -1)
    depth = (s.y - WATER) / (s.height - WATER)
    ripple = noise(rng, s.width, s.height, (230, 17), 3)
    sway = (2 + 13 * np.clip(depth, 0, 1) ** 0.8) * ripple
    rows = np.clip(s.y + 1.1 * sway, WATER, s.height - 1).astype(int)
    columns = np.clip(s.x + sway, 0, s.width - 1).astype(int)
    water = s.picture[rows, columns]
    tone = ramp(depth, colours("6f94a8", "3a6484", "1c3f5e"))
    water = water * 0.6 + tone * 0.4 + (0.035 * ripple + 0.12 * smoothstep(1.3, 2.0, ripple))[..., None]
    s.picture = np.where(s.y[..., None] >= WATER, water, s.picture)
    s.shade([(0, WATER), (s.width, WATER), (s.width, WATER + 18), (0, WATER + 18)], 0.4, 8)
    for x, y, k, hull, sail in sorted(boats, key=lambda boat: boat[1]):
        s.shade(
            [(x - 110 * k, y), (x + 120 * k, y), (x + 100 * k, y + 22 * k), (x - 90 * k, y + 22 * k)], 0.5, 7
        )
        _boat(s, x, y, k, hull, sail)
    return s.image(1.06)
