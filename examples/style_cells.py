"""Styles built of cells: stained glass, Byzantine mosaic and an irregular De Stijl grid."""

import numpy as np
from brush import Array, Generator, blur, colours, finish, mix, noise, pixels, relief, smoothstep
from PIL import Image

SIZE = 672

Plan = str | tuple[str, float, int, "Plan", "Plan"]
_TOP_LEFT: Plan = ("y", 0.4, 14, ("x", 0.42, 9, "w", "y"), ("y", 0.62, 9, "w", ("x", 0.6, 11, "b", "w")))
_LEFT: Plan = (
    "y",
    0.6,
    17,
    ("x", 0.36, 14, _TOP_LEFT, ("y", 0.17, 11, ("x", 0.62, 9, "w", "g"), "r")),
    (
        "x",
        0.52,
        11,
        ("y", 0.34, 11, ("x", 0.34, 9, "k", "w"), ("x", 0.76, 9, "w", ("y", 0.5, 9, "r", "w"))),
        ("y", 0.58, 14, "w", ("x", 0.45, 9, "y", "b")),
    ),
)
_RIGHT: Plan = (
    "y",
    0.3,
    14,
    ("x", 0.56, 11, ("y", 0.66, 9, "w", "r"), "b"),
    (
        "y",
        0.42,
        17,
        ("x", 0.2, 9, ("y", 0.5, 9, "g", "b"), "y"),
        (
            "x",
            0.4,
            14,
            ("y", 0.7, 11, "w", "y"),
            ("y", 0.3, 9, ("x", 0.5, 9, "r", "k"), ("y", 0.72, 9, "w", "b")),
        ),
    ),
)
COMPOSITION: Plan = ("x", 0.6, 18, _LEFT, _RIGHT)


def _edges(ids: Array, width: float) -> Array:
    """A soft ridge of height one along the borders between cells, about ``width`` pixels wide."""
    border = np.zeros(ids.shape, np.float32)
    border[:-1] += ids[:-1] != ids[1:]
    border[:, :-1] += ids[:, :-1] != ids[:, 1:]
    return np.clip(blur(np.minimum(border, 1), width / 2.5) * width * 0.62, 0, 1)


def _hash(ids: Array, rng: Generator, count: int) -> Array:
    """``count`` fixed random numbers in [0, 1] for each cell."""
    table = rng.random((4099, count)).astype(np.float32)
    return table[ids % 4099]


def _voronoi(x: Array, y: Array, seeds: Array) -> Array:
    """The number of the nearest seed for each pixel."""
    best = np.full(x.shape, np.inf, np.float32)
    nearest = np.zeros(x.shape, np.int32)
    for k, (sx, sy) in enumerate(seeds.astype(np.float32)):
        distance = (x - sx) ** 2 + (y - sy) ** 2
        closer = distance < best
        best[closer] = distance[closer]
        nearest[closer] = k
    return nearest


def glass(rng: Generator) -> Image.Image:
    """Stained glass: a rose window among irregular panes, with bevelled lead and light in the panes."""
    size = 2 * SIZE
    x, y = pixels(size, size)
    x, y = x / size, y / size
    cx, cy = 0.46, 0.44
    r, angle = np.hypot(x - cx, y - cy), np.arctan2(y - cy, x - cx) / (2 * np.pi) + 0.5
    seeds = np.vstack([rng.random((90, 2)) * 1.1 - 0.05])
    outer = _voronoi(x + 0.006 * np.sin(25 * y), y, seeds)
    ids = 3000 + outer
    hue = np.array([6, 3, 8, 7, 3, 5, 6, 2, 7, 8, 5, 3, 0])[(outer * 5) % 13]
    rings = (
        (0.405, 24, 0.0, 6),
        (0.36, 12, 0.5, 2),
        (0.255, 12, 0.0, 3),
        (0.15, 6, 0.5, 4),
        (0.05, 1, 0.0, 1),
    )
    for number, (radius, count, shift, colour) in enumerate(rings):
        part = np.floor(angle * count + shift).astype(int) % count
        lobe = np.abs((angle * count + shift) % 1 - 0.5)
        edge = radius * (1 - (0.0, 0.13, 0.16, 0.22, 0)[number] * 4 * lobe**2)
        inside = r < edge
        ids = np.where(inside, 100 * number + part, ids)
        hue = np.where(inside, (colour + (part % 2) * (2 if number != 1 else 5)) % 9, hue)
        if number in (1, 2):
            dot_r = radius * (0.86 if number == 1 else 0.8)
            theta = (part + 0.5 - shift) / count * 2 * np.pi - np.pi
            bead = np.hypot(x - cx - dot_r * np.cos(theta), y - cy - dot_r * np.sin(theta))
            inside &= bead < radius * (0.085 if number == 1 else 0.1)
            ids, hue = (
                np.where(inside, 100 * number + 50 + part, ids),
                np.where(inside, 1 + 6 * (number == 2), hue),
            )
    sweep = (np.abs(y - 0.93 + 0.12 * np.sin(4.4 * x + 0.5)) < 0.05) & (r > 0.405)
    ids, hue = (
        np.where(sweep, 2000 + (x * 9 + y).astype(int), ids),
        np.where(sweep, (x * 9 + y).astype(int) % 2, hue),
    )
    jewels = colours("f2b01e", "f7d77a", "c3122f", "1a3fae", "e2601c", "0d7a4a", "123a94", "1796a8", "5b1f8a")
    random = _hash(ids, rng, 4)
    pane = jewels[hue] * (0.85 + 0.4 * random[..., :1])
    lead = _edges(ids, 15)
    glow = blur(1 - _edges(ids, 60), 16)
    slope = (x - 0.5) * (random[..., 1] - 0.5) + (y - 0.5) * (random[..., 2] - 0.5)
    slope = np.sin(9 * slope + 6 * random[..., 3])
    seedy = noise(rng, size, size, 60, 4)
    light = 0.74 + 0.66 * glow + 0.22 * slope + 0.06 * seedy
    pane = pane * light[..., None] + 0.4 * np.clip(light - 0.95, 0, 1)[..., None]
    pane += 0.16 * np.clip(relief(blur(seedy, 2), 3), 0, 1)[..., None] * pane
    metal = colours("17161c")[0] + 0.34 * np.clip(relief(lead, 9), -0.1, 1)[..., None] * colours("b8c0d0")[0]
    return finish(mix(pane, metal, smoothstep(0.27, 0.36, lead)), SIZE, SIZE)


def mosaic(rng: Generator) -> Image.Image:
    """Byzantine tesserae in rows that follow discs and arcs: golds, turquoise and terracotta in grout."""
    size, tile = 2 * SIZE, 31.0
    x, y = pixels(size, size)
    warp = 5 * np.stack([noise(rng, size, size, 120, 2), noise(rng, size, size, 120, 2)])
    wx, wy = x + warp[0], y + warp[1]
    discs = np.array(
        [(0.34, 0.33, 0.2), (0.82, 0.17, 0.1), (0.79, 0.52, 0.13), (0.06, 0.04, 0.07), (0.5, 0.08, 0.055)]
    )
    gap = np.full(x.shape, np.inf, np.float32)
    owner = np.zeros(x.shape, np.int32)
    for k, (dx, dy, radius) in enumerate(discs * size):
        distance = np.hypot(wx - dx, wy - dy) - radius
        owner = np.where(distance < gap, k, owner)
        gap = np.minimum(gap, distance)
    centre = discs[owner] * size
    theta = np.arctan2(wy - centre[..., 1], wx - centre[..., 0]) / (2 * np.pi) + 0.5
    row = np.floor(gap / tile).astype(int)
    length = 2 * np.pi * np.maximum((row + 0.5) * tile + centre[..., 2], tile / 3)
    across = theta * np.maximum(np.round(length / (tile * 1.12)), 1) + 0.37 * row
    along = gap / tile
    palette = colours(
        "d9a632", "f0cf6a", "b87f22", "1f8f94", "5cc4bc", "12566e", "b3502c", "d9805a", "7c2c20",
        "f1e6cc", "1d2f5c",
    )  # fmt: skip
    rings = np.array(
        [[7, 6, 8, 9, 4, 3, 5, 10, 9, 1], [4, 3, 5, 9, 6, 8, 6, 9, 1, 1], [6, 7, 9, 10, 3, 4, 3, 5, 9, 1]]
    )
    inward = np.clip(-row - 1, 0, 9)
    kind = rings[owner % 3, inward]
    kind = np.where(
        row >= 0, np.array([8, 0, 1, 0, 2])[np.clip(row, 0, 400) % 5 * (row < 5) + (row >= 5) * 1], kind
    )
    rays = (owner == 0) & (row >= 0) & (row < 6) & ((theta * 14) % 1 < 0.62 - 0.08 * row)
    kind = np.where(rays, np.where(row < 2, 5, 3), kind)
    arcs = ((0.13, 1.0, 0.3), (0.62, 1.06, 0.34), (1.0, 1.02, 0.24), (0.36, 1.13, 0.27))
    for k, (ax, ay, radius) in enumerate(arcs):
        ring = radius - np.hypot(wx / size - ax, wy / size - ay)
        inside = ring > 0
        depth = ring * size / tile
        step = np.floor(depth).astype(int)
        turn = np.arctan2(wy - ay * size, wx - ax * size) / (2 * np.pi) + 0.5
        length = 2 * np.pi * np.maximum(radius * size - (step + 0.5) * tile, tile / 3)
        row, along = np.where(inside, step + 60 * (k + 1), row), np.where(inside, depth, along)
        turn = turn * np.maximum(np.round(length / (tile * 1.12)), 1) + 0.41 * step
        across = np.where(inside, turn, across)
        owner = np.where(inside, 10 + k, owner)
        bands = np.array([10, 9, 3, 4, 3, 5, 9, 6, 7, 6, 8, 0, 1, 0, 2, 5, 3, 4, 9, 10])
        kind = np.where(inside, bands[(np.clip(step, 0, 99) + 3 * k) % 20 * (step > 0)], kind)
    column = np.floor(across).astype(int)
    ids = (owner * 7919 + row * 613 + column * 31) % 1000003
    random = _hash(ids, rng, 4)
    stray = random[..., 3] > 0.93
    kind = np.where(stray, (kind + 1) % 11, kind)
    turned = (random[..., 1] - 0.5) * 0.5
    p, q = 2 * (across % 1) - 1, 2 * (along % 1) - 1
    p, q = p + turned * q * 0.5, q - turned * p * 0.5
    inset = (np.abs(p) ** 6 + np.abs(q) ** 6) ** (1 / 6) / (1.0 - 0.1 * random[..., 2])
    lead = np.maximum(smoothstep(0.84, 0.98, inset), smoothstep(0.25, 0.4, _edges(owner, 7)))
    stone = palette[kind] * (0.72 + 0.5 * random[..., :1]) + 0.07 * (random[..., 1:2] - 0.5)
    glint = np.isin(kind, (0, 1, 2)) & (random[..., 2] > 0.8)
    stone = mix(stone, colours("fff0b4")[0], 0.6 * glint)
    stone *= (1.08 + 0.03 * noise(rng, size, size, 24, 2))[..., None]
    tilt = 0.14 * (p * (random[..., 0:1] - 0.5)[..., 0] * 2 + q * turned * 4)
    stone = stone * (1 + tilt + 0.55 * relief(blur(1 - lead, 2), 2.5))[..., None]
    grout = colours("4a3f36")[0] * (1 + 0.08 * noise(rng, size, size, 20, 2))[..., None]
    return finish(mix(stone, grout, lead), 640, 640)


def grid(rng: Generator) -> Image.Image:
    """De Stijl: an irregular black grid with primary colours and off-white on a slightly uneven canvas."""
    size = 2 * SIZE
    picture = np.empty((size, size, 3), np.float32)
    white, grey, red, blue, yellow, black = colours(
        "f1ece0", "d9d8d3", "cf2118", "1c3f97", "f4c715", "16151a"
    )
    x, y = pixels(size, size)
    brush = noise(rng, size, size, (300, 14), 3), noise(rng, size, size, (14, 300), 3)
    fills = {"w": white, "g": grey, "r": red, "b": blue, "y": yellow, "k": black}
    lines = np.zeros((size, size), np.float32)

    def divide(x0: float, y0: float, x1: float, y1: float, plan: Plan) -> None:
        """Paint a box in one colour, or divide it across (x) or down (y) and paint its two parts."""
        if isinstance(plan, str):
            inside = (slice(int(y0 * size), int(y1 * size)), slice(int(x0 * size), int(x1 * size)))
            streaks = brush[0 if x1 - x0 > y1 - y0 else 1][inside][..., None]
            picture[inside] = fills[plan] * (1 + 0.022 * streaks * rng.uniform(0.6, 1.4))
            return
        axis, part, thick, first, second = plan
        x_cut, y_cut = x0 + part * (x1 - x0), y0 + part * (y1 - y0)
        if axis == "x":
            gap, open_ = np.abs(x - x_cut * size), (y >= y0 * size) & (y < y1 * size)
            divide(x0, y0, x_cut, y1, first)
            divide(x_cut, y0, x1, y1, second)
        else:
            gap, open_ = np.abs(y - y_cut * size), (x >= x0 * size) & (x < x1 * size)
            divide(x0, y0, x1, y_cut, first)
            divide(x0, y_cut, x1, y1, second)
        np.maximum(lines, smoothstep(thick + 1.5, thick - 1.5, gap) * open_, out=lines)

    divide(0, 0, 1, 1, COMPOSITION)
    picture = mix(picture, black * (1 + 0.12 * brush[0][..., None]), lines)
    weave = np.sin(x * np.pi / 4) * np.sin(y * np.pi / 4) + 0.6 * noise(rng, size, size, 10, 2)
    ridge = relief(blur(lines, 3), 2.0)
    return finish(picture * (1 + 0.02 * weave + 0.25 * ridge)[..., None], SIZE, SIZE)
