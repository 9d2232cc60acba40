"""A small canvas for softly shaded scenes: gradient-filled outlines, shaded solids, shadows and texture."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from brush import Array, Generator, blur, colours, finish, flat, noise, pixels, smoothstep
from PIL import Image, ImageDraw

Colour = str | Array | Sequence[float]
LIGHT = np.array([-0.55, -0.6, 0.58])


def rgb(colour: Colour) -> Array:
    """A colour given as a code or as values."""
    return colours(colour)[0] if isinstance(colour, str) else np.asarray(colour, np.float32)


class Scene:
    """An RGB picture in [0, 1], drawn at twice the final size, with a texture for all its surfaces."""

    def __init__(self, rng: Generator, width: int, height: int) -> None:
        self.rng = rng
        self.width, self.height = 2 * width, 2 * height
        self.picture = np.zeros((self.height, self.width, 3), np.float32)
        self.x, self.y = pixels(self.width, self.height)
        self.grain = noise(rng, self.width, self.height, 70, 5)

    def _window(self, points: Array, margin: float) -> tuple[slice, slice]:
        """The part of the picture that contains the points."""
        low = np.floor(points.min(0) - margin).astype(int)
        high = np.ceil(points.max(0) + margin).astype(int) + 1
        return (
            slice(int(np.clip(low[1], 0, self.height)), int(np.clip(high[1], 0, self.height))),
            slice(int(np.clip(low[0], 0, self.width)), int(np.clip(high[0], 0, self.width))),
        )

    def mask(self, points: Array, window: tuple[slice, slice], soft: float = 0) -> Array:
        """The mask of an outline within a window, with soft edges if wished."""
        rows, columns = window
        image = Image.new("L", (columns.stop - columns.start, rows.stop - rows.start))
        ImageDraw.Draw(image).polygon(flat(points - (columns.start, rows.start)), fill=255)
        mask = np.asarray(image, np.float32) / 255
        return blur(mask, soft) if soft else mask

    def lay(self, window: tuple[slice, slice], colour: Array, mask: Array) -> None:
        """Blend a colour or a coloured patch into a window."""
        part = self.picture[window]
        self.picture[window] = part + (colour - part) * mask[..., None]

    def fill(
        self,
        points: Sequence[Sequence[float]] | Array,
        first: Colour,
        second: Colour | None = None,
        axis: int = 1,
        grain: float = 0.05,
        soft: float = 0,
        alpha: float = 1,
    ) -> None:
        """Fill an outline with a gradient from ``first`` to ``second`` (down, or across for axis 0)."""
        outline = np.asarray(points, np.float64)
        window = self._window(outline, 3 * soft)
        if window[0].stop - window[0].start < 2 or window[1].stop - window[1].start < 2:
            return
        place = (self.x, self.y)[axis][window]
        low, high = outline[:, axis].min(), outline[:, axis].max()
        t = smoothstep(low, high + 1e-3, place)[..., None]
        a, b = rgb(first), rgb(first if second is None else second)
        patch = (a * (1 - t) + b * t) * (1 + grain * self.grain[window][..., None])
        self.lay(window, patch, alpha * self.mask(outline, window, soft))

    def box(
        self,
        x: float,
        y: float,
        w: float,
        h: float,
        first: Colour,
        second: Colour | None = None,
        axis: int = 1,
        grain: float = 0.05,
        alpha: float = 1,
    ) -> None:
        """Fill a rectangle; see ``fill``."""
        corners = [(x, y), (x + w, y), (x + w, y + h), (x, y + h)]
        self.fill(corners, first, second, axis, grain, alpha=alpha)

    def line(self, points: Sequence[Sequence[float]], width: float, colour: Colour, alpha: float = 1) -> None:
        """Draw a straight or broken line as thin filled pieces."""
        p = np.asarray(points, np.float64)
        for a, b in pairwise(p):
            side = np.array([-(b - a)[1], (b - a)[0]]) / (np.linalg.norm(b - a) + 1e-9) * width / 2
            self.fill([a + side, b + side, b - side, a - side], colour, grain=0.03, alpha=alpha)

    def shade(self, points: Sequence[Sequence[float]] | Array, amount: float, soft: float = 10) -> None:
        """Darken an outline softly: a cast shadow."""
        outline = np.asarray(points, np.float64)
        window = self._window(outline, 3 * soft)
        if min(s.stop - s.start for s in window) < 2:
            return
        mask = self.mask(outline, window, soft)[..., None]
        self.picture[window] *= 1 - amount * mask * np.array([1.0, 0.95, 0.85])

    def ellipse(self, cx: float, cy: float, rx: float, ry: float, turn: float = 0, steps: int = 40) -> Array:
        """The outline of an ellipse."""
        t = np.linspace(0, 2 * np.pi, steps, endpoint=False)
        a, b = rx * np.cos(t), ry * np.sin(t)
        return np.stack(
            [cx + a * np.cos(turn) - b * np.sin(turn), cy + a * np.sin(turn) + b * np.cos(turn)], 1
        )

    def ball(
        self,
        centre: tuple[float, float],
        radii: tuple[float, float],
        lit: Colour,
        dark: Colour,
        gloss: float = 0.5,
        grain: float = 0.06,
        turn: float = 0,
    ) -> None:
        """A shaded ellipsoid lit from the upper left, with a highlight and some reflected light."""
        outline = self.ellipse(*centre, *radii, turn)
        window = self._window(outline, 2)
        x, y = self.x[window] - centre[0], self.y[window] - centre[1]
        u = (x * np.cos(turn) + y * np.sin(turn)) / radii[0]
        v = (y * np.cos(turn) - x * np.sin(turn)) / radii[1]
        self.solid(window, u, v, smoothstep(1.0, 0.97, np.hypot(u, v)), lit, dark, gloss, grain)

    def solid(
        self,
        window: tuple[slice, slice],
        u: Array,
        v: Array,
        mask: Array,
        lit: Colour,
        dark: Colour,
        gloss: float,
        grain: float,
    ) -> None:
        """Shade a round surface whose normal has the components ``u`` (right) and ``v`` (down)."""
        texture = self.grain[window]
        depth = np.sqrt(np.clip(1 - u**2 - v**2, 0, 1))
        light = np.clip(u * LIGHT[0] + v * LIGHT[1] + depth * LIGHT[2] + 0.05 * texture, -1, 1)
        bounce = 0.22 * np.clip(u * 0.5 + v * 0.7, 0, 1) ** 2
        t = smoothstep(-0.35, 0.95, light)[..., None]
        patch = (rgb(dark) * (1 - t) + rgb(lit) * t) * (1 + grain * texture[..., None]) + rgb(lit) * bounce[
            ..., None
        ]
        shine = np.clip(light, 0, 1) ** 28 * gloss
        self.lay(window, patch + shine[..., None], mask)

    def image(self, contrast: float = 1.0) -> Image.Image:
        """The finished picture at its final size with a slight overall texture."""
        fine = 1 + 0.007 * noise(self.rng, self.width, self.height, 6, 1)[..., None]
        return finish((self.picture * fine - 0.5) * contrast + 0.5, self.width // 2, self.height // 2)


def sky(
    scene: Scene, bottom: float, high: Colour, low: Colour, cover: float = 0.1, warm: Colour = "fff4e2"
) -> None:
    """A sky with fractal clouds down to the row ``bottom``; the clouds are lit from the upper left."""
    width, height = scene.width, scene.height
    t = np.clip(scene.y / bottom, 0, 1)[..., None]
    scene.picture[:] = rgb(high) * (1 - t) + rgb(low) * t
    cloud = noise(scene.rng, width, height, (520, 230), 6)
    cloud = cloud + 0.45 * (1 - np.abs(noise(scene.rng, width, height, (260, 130), 5)))
    mask = smoothstep(cover, cover + 1.1, cloud) * (1 - 0.4 * t[..., 0])
    soft = blur(cloud, 6)
    beyond = np.pad(soft, ((26, 0), (26, 0)), mode="edge")[:height, :width]
    light = np.clip(0.66 + 0.55 * (soft - beyond) - 0.1 * (cloud - cover), 0, 1)[..., None]
    puff = rgb("8d9bb4") * (1 - light) + rgb(warm) * light
    scene.picture += (puff - scene.picture) * (0.95 * mask)[..., None]
