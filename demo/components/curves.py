"""The loss curve of every term: an SVG of fixed size on a log scale, which is redrawn without flicker."""

import math
from html import escape

from demo.runs.engine import Terms

POINTS = 160  # per curve: more cannot be seen
EMPTY = '<p class="nst-curve-hint">The loss of every term appears here while the image forms.</p>'


class LossHistory:
    """The terms of a run, thinned out so that a long run stays cheap to draw."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.points: Terms = []
        self.latest: dict[str, float] = {}

    def add(self, terms: Terms) -> None:
        stride = math.ceil(self.total / POINTS)
        for index, values in terms:
            self.latest = values
            if (index - 1) % stride == 0 or index == self.total:
                self.points.append((index, values))


def draw(history: LossHistory | None) -> str:
    """HTML of the chart. Without anything to draw, it is the same box with a hint."""
    values = [v for _, terms in history.points for v in terms.values() if v > 0] if history else []
    if history is None or not values:
        return _chart("", "", EMPTY, "", "step")
    largest = max(values)
    low = math.floor(2 * math.log10(max(min(values), largest * 1e-5))) / 2
    high = math.ceil(2 * math.log10(largest)) / 2 + 1e-9

    def y(exponent: float) -> float:
        return min(1000.0, 1000 * (high - exponent) / (high - low))

    def curve(name: str) -> str:
        points = [
            f"{1000 * (index - 1) / max(1, history.total - 1):.1f},{y(math.log10(terms[name])):.1f}"
            for index, terms in history.points
            if terms.get(name, 0) > 0
        ]
        return f'<polyline class="{colour(name)}" points="{" ".join(points)}"/>'

    names = dict.fromkeys(name for _, terms in history.points for name in terms)
    ticks = range(math.ceil(low), math.floor(high) + 1)
    grid = "".join(f'<line x1="0" x2="1000" y1="{y(tick):.0f}" y2="{y(tick):.0f}"/>' for tick in ticks)
    labels = "".join(f'<span style="top:{y(tick) / 10:.1f}%">{10.0**tick:g}</span>' for tick in ticks)
    legend = "".join(
        f'<li class="{colour(name)}"><i></i>{escape(name.removeprefix("style/").replace("/", " "))} '
        f"<b>{history.latest.get(name, 0):#.3g}</b></li>"
        for name in names
    )
    lines = f'<g class="grid">{grid}</g>{"".join(map(curve, names))}'
    return _chart(lines, labels, "", legend, f"step 1 … {history.total}; a jump is a larger size")


def _chart(lines: str, labels: str, hint: str, legend: str, axis: str) -> str:
    return (
        '<figure class="nst-curve" role="img" aria-label="Loss of every term over the steps, log scale">'
        '<div class="plot"><svg viewBox="0 0 1000 1000" preserveAspectRatio="none" aria-hidden="true">'
        f'{lines}</svg><div class="ticks" aria-hidden="true">{labels}</div>{hint}</div>'
        f'<figcaption><ul>{legend}</ul><span class="axis">{axis}</span></figcaption></figure>'
    )


def colour(name: str) -> str:
    """The CSS class of a term: content, tv, or style by the depth of its layer."""
    if not name.startswith("style/"):
        return "c-content" if name.startswith("content/") else "c-tv"
    digits = [character for character in name if character.isdigit()]
    return f"c-s{min(max(int(digits[0]), 1), 5)}" if digits else "c-s1"
