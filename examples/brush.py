"""Shared helpers of the drawn example pictures: noise, masks, curves, lighting and bristly strokes."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

Array = np.ndarray
Generator = np.random.Generator


def colours(*codes: str) -> Array:
    """Hexadecimal colour codes as rows of RGB values in [0, 1]."""
    return np.array([[int(code[i : i + 2], 16) for i in (0, 2, 4)] for code in codes], np.float32) / 255


def ramp(values: Array, palette: Array, stops: Sequence[float] | None = None) -> Array:
    """Colours for ``values`` in [0, 1] by linear interpolation along ``palette``."""
    places = np.linspace(0, 1, len(palette)) if stops is None else stops
    return np.stack([np.interp(values, places, palette[:, c]) for c in range(3)], -1).astype(np.float32)


def pixels(width: int, height: int) -> tuple[Array, Array]:
    """The x and y coordinates of all pixels."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return x, y


def resize(field: Array, width: int, height: int) -> Array:
    """A field of floats resampled smoothly to a new size."""
    image = Image.fromarray(np.ascontiguousarray(field, np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))


def noise(
    rng: Generator, width: int, height: int, cell: float | tuple[float, float], octaves: int = 4
) -> Array:
    """Fractal noise of zero mean and unit deviation; ``cell`` is the largest feature (x, y) in pixels."""
    cell_x, cell_y = cell if isinstance(cell, tuple) else (cell, cell)
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        columns = max(3, round(width * 2**octave / cell_x) + 1)
        rows = max(3, round(height * 2**octave / cell_y) + 1)
        total += resize(rng.standard_normal((rows, columns)), width, height) * 0.5**octave
    return (total - total.mean()) / (total.std() + 1e-6)


def smoothstep(low: float, high: float, values: Array) -> Array:
    """A smooth rise from 0 at ``low`` to 1 at ``high``."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def blur(field: Array, radius: float) -> Array:
    """A nearly Gaussian blur of a 2-d or RGB field: three running means along each axis."""
    size = max(1, round(radius))
    for axis in (0, 1):
        for _ in range(3):
            pad = [(0, 0)] * field.ndim
            pad[axis] = (size + 1, size)
            total = np.cumsum(np.pad(field, pad, mode="edge"), axis=axis, dtype=np.float64)
            length = total.shape[axis]
            upper = np.take(total, np.arange(2 * size + 1, length), axis)
            lower = np.take(total, np.arange(0, length - 2 * size - 1), axis)
            field = ((upper - lower) / (2 * size + 1)).astype(np.float32)
    return field


def relief(height: Array, strength: float = 1.0) -> Array:
    """Light (positive) and dark (negative) sides of a relief lit from the upper left."""
    down, right = np.gradient(height.astype(np.float32))
    return np.clip(-(right + down) * strength, -1, 1)


def mix(below: Array, above: Array, mask: Array) -> Array:
    """``above`` laid over ``below`` where ``mask`` (2-d, in [0, 1]) is one."""
    return below + (above - below) * mask[..., None]


def spline(points: Sequence[Sequence[float]] | Array, steps: int = 16) -> Array:
    """A Catmull-Rom curve through ``points`` with ``steps`` samples for each piece."""
    p = np.asarray(points, np.float64)
    p = np.vstack([2 * p[0] - p[1], p, 2 * p[-1] - p[-2]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    pieces = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(p[:-3], p[1:-2], p[2:-1], p[3:], strict=True)
    ]
    return np.vstack([*pieces, p[-2][None]])


def normals(points: Array) -> Array:
    """Unit normals along a polyline."""
    tangent = np.gradient(points, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-9
    return np.stack([-tangent[:, 1], tangent[:, 0]], 1)


def ribbon(points: Array, widths: Array) -> Array:
    """The outline of a band along ``points`` with the given width at each point."""
    side = normals(points) * np.asarray(widths)[:, None] / 2
    return np.vstack([points + side, (points - side)[::-1]])


def flat(points: Array) -> list[tuple[float, float]]:
    """Points in the form that Pillow draws."""
    return [(float(x), float(y)) for x, y in points]


def tint(colour: Array | Sequence[float]) -> tuple[int, int, int]:
    """A colour in [0, 1] as 8-bit values."""
    r, g, b = (round(min(1.0, max(0.0, float(c))) * 255) for c in colour)
    return r, g, b


def polygon_mask(width: int, height: int, *outlines: Array) -> Array:
    """A mask with ones inside of the outlines."""
    image = Image.new("L", (width, height))
    draw = ImageDraw.Draw(image)
    for outline in outlines:
        draw.polygon(flat(outline), fill=255)
    return np.asarray(image, np.float32) / 255


def paper(rng: Generator, width: int, height: int, amount: float = 0.02) -> Array:
    """Paper grain around one, to multiply a picture with."""
    fibres = noise(rng, width, height, (24, 5), 2) + noise(rng, width, height, (5, 24), 2)
    return (1 + amount * (0.4 * fibres + 0.5 * noise(rng, width, height, 6, 2)))[..., None]


def finish(picture: Array, width: int, height: int) -> Image.Image:
    """An array of RGB values in [0, 1] as an image of the final size."""
    image = Image.fromarray(np.uint8(np.clip(picture, 0, 1) * 255 + 0.5))
    return image.resize((width, height), Image.Resampling.LANCZOS)


class Oil:
    """A canvas for bristly strokes: a colour layer and the thickness of the paint, lit at the end."""

    def __init__(self, rng: Generator, width: int, height: int, ground: Array) -> None:
        self.rng = rng
        self.image = Image.new("RGB", (width, height), tint(ground))
        self.thickness = Image.new("L", (width, height), 60)
        self.draw = ImageDraw.Draw(self.image)
        self.draw_thickness = ImageDraw.Draw(self.thickness)

    def stroke(self, points: Array, width: float, colour: Array, bristles: int = 7) -> None:
        """Draw one stroke: parallel bristles with ragged ends, thicker paint along both sides."""
        rng, count = self.rng, len(points)
        side = normals(points)
        body = rng.uniform(70, 150)
        line = max(2, round(1.7 * width / bristles))
        for k in rng.permutation(bristles):
            offset = (k + 0.5) / bristles - 0.5
            first = rng.uniform(0, 0.12 + 0.3 * abs(offset)) * (count - 1)
            last = (1 - rng.uniform(0, 0.12 + 0.4 * abs(offset))) * (count - 1)
            inner = np.arange(int(first) + 1, int(np.ceil(last)))
            if len(inner) < 2:
                continue
            bristle = points + side * offset * width
            ends = [
                bristle[int(e)] + (e % 1) * (bristle[min(int(e) + 1, count - 1)] - bristle[int(e)])
                for e in (first, last)
            ]
            track = flat(np.vstack([ends[0][None], bristle[inner], ends[1][None]]))
            shade = colour * (1 + rng.normal(0, 0.07)) + rng.normal(0, 0.012, 3)
            rise = body + 170 * abs(offset) ** 1.5 + rng.normal(0, 18)
            self.draw.line(track, fill=tint(shade), width=line)
            self.draw_thickness.line(track, fill=int(np.clip(rise, 0, 255)), width=line)

    def lit(self, strength: float = 1.6, soften: float = 1.0) -> Array:
        """The painting with the light on its thick paint."""
        height = blur(np.asarray(self.thickness, np.float32) / 255, soften)
        light = relief(height, strength)[..., None]
        colour = np.asarray(self.image, np.float32) / 255
        return colour * (1 + 0.75 * np.minimum(light, 0)) + 0.42 * np.maximum(light, 0) * (0.35 + colour)
