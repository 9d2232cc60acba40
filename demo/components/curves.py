"""Draws the loss of every term as an SVG on a log scale. The fixed size avoids flicker."""

import math
from html import escape

from demo.runs.engine import Terms

POINTS = 160  # per curve; more would not be visible


def draw(terms: Terms, total: int) -> str:
    """HTML of the chart for a run of `total` steps; empty if no loss is positive."""
    stride, terms = math.ceil(total / POINTS) or 1, [(n, _palette_in_one(values)) for n, values in terms]
    points = [(n, values) for n, values in terms if (n - 1) % stride == 0 or n == total]
    losses = [value for _, values in points for value in values.values() if value > 0]
    if not losses:
        return ""
    low = math.floor(2 * math.log10(max(min(losses), max(losses) * 1e-5))) / 2
    high = math.ceil(2 * math.log10(max(losses))) / 2 + 1e-9

    def y(exponent: float) -> float:
        return min(1000.0, 1000 * (high - exponent) / (high - low))

    def curve(name: str) -> str:
        places = [
            f"{1000 * (n - 1) / max(1, total - 1):.1f},{y(math.log10(values[name])):.1f}"
            for n, values in points
            if values.get(name, 0) > 0
        ]
        return f'<polyline class="{colour(name)}" points="{" ".join(places)}"/>'

    names = dict.fromkeys(name for _, values in points for name in values)
    ticks = range(math.ceil(low), math.floor(high) + 1)
    grid = "".join(f'<line x1="0" x2="1000" y1="{y(tick):.0f}" y2="{y(tick):.0f}"/>' for tick in ticks)
    labels = "".join(f'<span style="top:{y(tick) / 10:.1f}%">{10.0**tick:g}</span>' for tick in ticks)
    legend = "".join(
        f'<li class="{colour(name)}"><i></i>{escape(name.removeprefix("style/").replace("/", " "))} '
        f"<b>{terms[-1][1].get(name, 0):#.3g}</b></li>"
        for name in names
    )
    return (
        '<figure class="nst-curve" role="img" aria-label="Loss of every term over the steps, log scale">'
        '<div class="plot"><svg viewBox="0 0 1000 1000" preserveAspectRatio="none" aria-hidden="true">'
        f'<g class="grid">{grid}</g>{"".join(map(curve, names))}</svg>'
        f'<div class="ticks" aria-hidden="true">{labels}</div></div><figcaption><ul>{legend}</ul>'
        f'<span class="axis">step 1 … {total}; a jump is a larger size</span></figcaption></figure>'
    )


def _palette_in_one(values: dict[str, float]) -> dict[str, float]:
    """Adds up the terms of the palette, because one curve is enough for them."""
    parts = [value for name, value in values.items() if name.startswith("palette/")]
    others = {name: value for name, value in values.items() if not name.startswith("palette/")}
    return others | ({"palette": sum(parts)} if parts else {})


def colour(name: str) -> str:
    """The CSS class of a term: c-s1 … c-s5 for style, by the depth of the layer; c-content; or c-tv."""
    if not name.startswith("style/"):
        return "c-content" if name.startswith("content/") else "c-tv"
    digits = [character for character in name if character.isdigit()]
    return f"c-s{min(max(int(digits[0]), 1), 5)}" if digits else "c-s1"
