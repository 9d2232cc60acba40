"""A drawn content picture: a vase with flowers and a bowl of fruit on a table cloth."""

import numpy as np
from brush import Generator, colours, mix, noise, ramp, ribbon, smoothstep, spline
from PIL import Image
from scene import Scene, rgb

TABLE = 720


def _vase(s: Scene, cx: float, top: float, bottom: float) -> None:
    """A glazed vase as a surface of revolution with a painted band."""
    profile = spline(
        [(58, 0), (46, 0.1), (60, 0.2), (118, 0.42), (132, 0.58), (104, 0.82), (72, 0.95), (78, 1.0)]
    )
    rows = top + profile[:, 1] * (bottom - top)
    window = (slice(int(top), int(bottom) + 24), slice(int(cx - 150), int(cx + 150)))
    x, y = s.x[window], s.y[window]
    radius = np.interp(y, rows, profile[:, 0])
    bend = 0.16 * radius * (1 - np.clip((x - cx) / radius, -1, 1) ** 2) ** 0.5
    radius = np.interp(y - bend * smoothstep(bottom - 120, bottom, y), rows, profile[:, 0])
    slope = np.gradient(radius, axis=0)
    u = (x - cx) / radius
    inside = smoothstep(1.0, 0.985, np.abs(u)) * (y < bottom + 0.13 * 78 * np.sqrt(np.clip(1 - u**2, 0, 1)))
    v = -np.clip(slope, -0.9, 0.9) * 0.75
    tilt = np.sqrt(np.clip(1 - v**2, 0.1, 1))
    s.solid(window, u * tilt, v * np.sqrt(np.clip(1 - u**2, 0, 1)), inside, "5f9fb4", "12304a", 0.9, 0.04)
    level = (y - 0.1 * radius * np.sqrt(np.clip(1 - u**2, 0, 1)) - top) / (bottom - top)
    wave = np.sin(7 * np.arcsin(np.clip(u, -0.99, 0.99)))
    band = smoothstep(0.1, 0.085, np.abs(level - 0.5)) * (
        0.35 + 0.65 * (np.abs(level - 0.5 - 0.05 * wave) < 0.022)
    )
    s.lay(
        window,
        s.picture[window] * 0.55
        + 0.4 * colours("f0e2c0")[0] * s.picture[window].max(-1, keepdims=True) * 1.6,
        inside * band,
    )
    s.fill(s.ellipse(cx, top + 2, 60, 15), "3f7890", "8cc0cc", 0)
    s.fill(s.ellipse(cx, top + 4, 50, 10), "0c1c2a", "1c3a4c")


def _flower(
    s: Scene, x: float, y: float, r: float, petal: tuple[str, str], heart: str, count: int, tilt: float
) -> None:
    """A flower of shaded petals in two rings around a raised heart."""
    for ring, length in ((0, 1.0), (1, 0.68)):
        order = np.argsort([np.sin(2 * np.pi * (k + 0.5 * ring) / count) for k in range(count)])
        for k in order:
            angle = 2 * np.pi * (k + 0.5 * ring) / count + 0.3 * tilt
            px, py = x + 0.58 * length * r * np.cos(angle), y + 0.58 * length * r * np.sin(angle) * tilt
            turn = np.arctan2(np.sin(angle) * tilt, np.cos(angle))
            stretch = np.hypot(np.cos(angle), np.sin(angle) * tilt)
            size = (0.52 * length * r * stretch, 0.3 * r * length**0.5)
            bright = 0.74 + 0.3 * (-np.cos(angle - 0.8)) * 0.5 + 0.12 * ring
            s.shade(s.ellipse(px + 3, py + 5, *size, turn, 20), 0.3, 4)
            s.ball((px, py), size, rgb(petal[0]) * (bright + 0.2), rgb(petal[1]) * bright, 0.05, 0.08, turn)
    s.ball((x, y - 0.03 * r), (0.26 * r, 0.24 * r * tilt), heart, rgb(heart) * 0.35, 0.1, 0.25)


def _leaf(s: Scene, x: float, y: float, length: float, turn: float) -> None:
    """A leaf with a light and a dark half."""
    t = np.linspace(0, 1, 14)
    way, side = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    spine = np.array([x, y]) + way * length * t[:, None] + side * (0.18 * length * t**2)[:, None]
    edge = side * (0.2 * length * np.sin(np.pi * t**0.8))[:, None]
    s.fill(np.vstack([spine, (spine + edge)[::-1]]), "6f9a4c", "3f6e34", grain=0.1)
    s.fill(np.vstack([spine, (spine - edge)[::-1]]), "3c6a34", "1e4424", grain=0.1)
    s.line(spine, 3, "a4bc74", 0.6)


def _bowl(s: Scene, cx: float, cy: float, rx: float) -> None:
    """The front of a wide bowl below the fruit."""
    t = np.linspace(0, np.pi, 90)
    rim = np.stack([cx + rx * np.cos(t), cy + 0.2 * rx * np.sin(t)], 1)
    body = np.stack(
        [cx + rx * np.cos(t) * (0.42 + 0.58 * np.cos(t) ** 2) ** 0.5, cy + 0.66 * rx * np.sin(t) ** 0.8], 1
    )
    window = s._window(np.vstack([rim, body]), 2)
    mask = s.mask(np.vstack([rim, body[::-1]]), window, 1)
    u, v = (s.x[window] - cx) / rx, (s.y[window] - cy) / (0.7 * rx)
    s.solid(window, 0.9 * u, 0.2 + 0.55 * v, mask, "f1e6d2", "6a5038", 0.5, 0.05)
    ring = np.abs(v - 0.36 - 0.2 * np.sqrt(np.clip(1 - u**2, 0, 1))) < 0.035
    s.lay(window, s.picture[window] * colours("5a86b4")[0] * 1.1, mask * ring * 0.9)
    s.fill(ribbon(np.vstack([rim, rim[:1]])[:-1], np.full(len(rim), 9.0)), "fbf3e2", "cdbd9e", 0)
    s.fill(s.ellipse(cx, cy + 0.665 * rx, 0.42 * rx, 0.07 * rx), "b09a7c", "4c3826", 0)


def still_life(rng: Generator) -> Image.Image:
    """A vase with flowers, a bowl of fruit and a folded cloth under strong light from the left."""
    s = Scene(rng, 768, 576)
    w, h = s.width, s.height
    glow = np.exp(-(((s.x - 380) / 700) ** 2 + ((s.y - 250) / 520) ** 2))
    wall = (
        ramp(glow, colours("2e2a2c", "5c5048", "a58d6c")) * (1 + 0.07 * noise(rng, w, h, 260, 6))[..., None]
    )
    s.picture[:] = wall
    back = TABLE - 90
    fold = np.zeros((h, w), np.float32)
    for place, width, depth in (
        (120, 60, 1.0),
        (330, 90, 0.7),
        (610, 55, 1.0),
        (860, 110, 0.8),
        (1180, 70, 1.0),
        (1400, 80, 0.9),
    ):
        drift = place + (s.y - back) * 0.12 * np.sin(place)
        fold += depth * np.exp(-(((s.x - drift) / width) ** 2))
    edge = 1010 + 14 * np.sin(s.x / 190)
    hang = smoothstep(edge - 20, edge + 40, s.y)
    fold = fold * (0.22 + 0.78 * hang) + 0.03 * s.grain
    shade = np.clip(
        0.76 - 9 * np.gradient(fold, axis=1) - 0.3 * hang - 0.16 * (s.x / w) + 0.1 * glow, 0.1, 1.05
    )
    gx = s.x + (s.x - w / 2) * (s.y - back) / 900 + 20 * fold
    far = 170 * np.log1p(np.clip(s.y - back, 0, None) / 140) + 7 * fold
    check = smoothstep(-0.1, 0.1, np.sin(gx / 26 * 0.9)) * 0.5 + smoothstep(-0.1, 0.1, np.sin(far / 14)) * 0.5
    cloth = ramp(check, colours("f1e8d8", "c9837a", "a8403c")) * shade[..., None]
    cloth *= (1 + 0.03 * noise(rng, w, h, 9, 2))[..., None]
    s.picture = mix(s.picture, cloth, smoothstep(back - 1, back + 1, s.y))
    s.shade([(0, back - 26), (w, back - 26), (w, back + 4), (0, back + 4)], 0.35, 14)

    vx, vtop, vbottom = 500, 480, 850
    s.shade(s.ellipse(vx + 190, vbottom + 4, 260, 44, -0.08), 0.6, 22)
    s.shade(s.ellipse(vx + 30, vbottom + 6, 110, 24), 0.6, 8)
    stems = [(380, 250), (500, 150), (640, 230), (300, 390), (560, 340), (700, 400), (430, 380)]
    for fx, fy in stems:
        s.line(spline([(vx, vtop + 16), ((vx + fx) / 2 + 8, (vtop + fy) / 2), (fx, fy)], 8), 9, "3c6a34")
    for lx, ly, length, turn in (
        (470, 430, 210, 3.5), (520, 440, 220, -0.5), (460, 350, 190, 3.9), (540, 320, 190, -0.9),
        (490, 460, 190, 2.7), (530, 462, 200, 0.3), (500, 300, 170, -2.0), (600, 300, 150, -1.3),
    ):  # fmt: skip
        _leaf(s, lx, ly, length, turn)
    kinds = {
        "red": (("e2563c", "6e1420"), "f0c030"),
        "white": (("fff8ea", "9a90a0"), "e8a820"),
        "gold": (("ffd24a", "a05a14"), "6a3418"),
        "violet": (("b48ad8", "4a2a6c"), "f4d860"),
    }
    for (fx, fy), kind, r in zip(
        stems,
        ("white", "gold", "red", "violet", "red", "white", "gold"),
        (104, 96, 108, 84, 96, 88, 92),
        strict=True,
    ):
        petal, heart = kinds[kind]
        _flower(s, fx, fy, r, petal, heart, 9, 0.72 + 0.2 * rng.random())
    _vase(s, vx, vtop, vbottom)

    bx, by, rx = 1060, 740, 250
    s.shade(s.ellipse(bx + 120, by + 176, 300, 46, -0.05), 0.62, 20)
    s.fill(s.ellipse(bx, by, rx, 0.2 * rx), "6a5038", "c8b090", 0)
    fruits = (
        (-120, -60, 82, 80, "f0a63a", "8a3a0c", 0.35), (20, -96, 86, 82, "d8402c", "56101a", 0.7),
        (140, -54, 80, 78, "b8c44a", "44581a", 0.5), (-36, -18, 84, 80, "e8c444", "86580e", 0.4),
        (84, -10, 80, 76, "f2953a", "8c300c", 0.35), (-160, -4, 66, 62, "c83a34", "4c0e18", 0.7),
    )  # fmt: skip
    for dx, dy, a, b, lit, dark, gloss in fruits:
        s.shade(s.ellipse(bx + dx + 12, by + dy + 14, a, b), 0.5, 10)
        s.ball((bx + dx, by + dy), (a, b), lit, dark, gloss, 0.05)
        s.fill(s.ellipse(bx + dx - 4, by + dy - 0.72 * b, 11, 5), "3c2414", soft=2)
        s.line([(bx + dx - 4, by + dy - 0.74 * b), (bx + dx + 8, by + dy - 1.02 * b)], 6, "4a3020")
    _bowl(s, bx, by, rx)
    for k, (dx, dy) in enumerate(
        ((0, 0), (46, 8), (88, 2), (22, 38), (66, 40), (44, 70), (-34, 20), (110, 36))
    ):
        gx_, gy_ = 700 + dx, 900 + dy
        s.shade(s.ellipse(gx_ + 20, gy_ + 18, 30, 20), 0.45, 8)
        s.ball((gx_, gy_), (30, 29), "8a5aa8" if k % 2 else "7a4a94", "1e0e34", 0.8, 0.04)
    for px, py, lit, dark in ((250, 930, "dc4a30", "58121a"), (1330, 960, "f2a63c", "8a3c0c")):
        s.shade(s.ellipse(px + 60, py + 66, 110, 30), 0.6, 12)
        s.ball((px, py), (82, 78), lit, dark, 0.6)
        s.fill(s.ellipse(px - 6, py - 56, 16, 7), "3c1c10", soft=3)
        s.line([(px - 6, py - 56), (px + 8, py - 88)], 7, "4a3020")
    return s.image(1.08)
