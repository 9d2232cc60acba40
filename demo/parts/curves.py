"""The loss curve of every term: an SVG of fixed size on a log scale, redrawn without flicker or script."""

import math
from html import escape

POINTS = 160  # per curve: more cannot be seen
EMPTY = '<p class="nst-curve-hint">The loss of every term appears here while the picture forms.</p>'

Terms = list[tuple[int, dict[str, float]]]


class History:
    """The terms of a run, thinned as it grows so that a long run stays cheap to draw."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.stride = max(1, math.ceil(total / POINTS))
        self.points: Terms = []
        self.latest: dict[str, float] = {}

    def add(self, terms: Terms) -> None:
        for index, values in terms:
            self.latest = values
            if (index - 1) % self.stride == 0 or index == self.total:
                self.points.append((index, values))

    def names(self) -> list[str]:
        return list(dict.fromkeys(name for _, values in self.points for name in values))


def draw(history: History | None) -> str:
    """HTML of the chart; with None, or nothing to draw yet, the same box with a hint."""
    values = [v for _, terms in history.points for v in terms.values() if v > 0] if history else []
    if history is None or not values:
        return _frame("", "", EMPTY, "")
    low, high = math.log10(max(min(values), max(values) * 1e-5)), math.log10(max(values))
    low, high = math.floor(low * 2) / 2, math.ceil(high * 2) / 2 + 1e-9
    names = history.names()
    lines = "".join(_line(history, name, low, high) for name in names)
    ticks = [t for t in range(math.ceil(low), math.floor(high) + 1)]
    grid = "".join(
        f'<line x1="0" x2="1000" y1="{_y(t, low, high):.0f}" y2="{_y(t, low, high):.0f}"/>' for t in ticks
    )
    labels = "".join(f'<span style="top:{_y(t, low, high) / 10:.1f}%">{_power(t)}</span>' for t in ticks)
    legend = "".join(
        f'<li class="{colour(name)}"><i></i>{escape(_short(name))} '
        f"<b>{_value(history.latest.get(name, 0))}</b></li>"
        for name in names
    )
    return _frame(f'<g class="grid">{grid}</g>{lines}', labels, "", legend, history.total)


def _frame(inside: str, labels: str, hint: str, legend: str, total: int = 0) -> str:
    axis = f"step 1 … {total}; a jump is a larger size" if total else "step"
    return (
        '<figure class="nst-curve" role="img" aria-label="Loss of every term over the steps, log scale">'
        '<div class="plot"><svg viewBox="0 0 1000 1000" preserveAspectRatio="none" aria-hidden="true">'
        f"{inside}</svg>"
        f'<div class="ticks" aria-hidden="true">{labels}</div>{hint}</div>'
        f'<figcaption><ul>{legend}</ul><span class="axis">{axis}</span></figcaption></figure>'
    )


def _line(history: History, name: str, low: float, high: float) -> str:
    span = max(1, history.total - 1)
    points = [
        f"{1000 * (index - 1) / span:.1f},{_y(math.log10(terms[name]), low, high):.1f}"
        for index, terms in history.points
        if terms.get(name, 0) > 0
    ]
    return f'<polyline class="{colour(name)}" points="{" ".join(points)}"/>'


def _y(exponent: float, low: float, high: float) -> float:
    return min(1000.0, 1000 * (high - exponent) / (high - low))


def _power(exponent: int) -> str:
    return {0: "1", 1: "10", -1: "0.1", -2: "0.01", -3: "0.001"}.get(exponent, f"1e{exponent}")


def _value(value: float) -> str:
    return (
        f"{value:.3f}"
        if value >= 0.0995 or value == 0
        else f"{value:.4f}"[:6]
        if value >= 1e-4
        else f"{value:.0e}"
    )


def _short(name: str) -> str:
    return name.removeprefix("style/").replace("content/", "content ")


def colour(name: str) -> str:
    """The CSS class of a term: content, tv, or style by the depth of its layer."""
    if not name.startswith("style/"):
        return "c-content" if name.startswith("content/") else "c-tv"
    digits = [ch for ch in name if ch.isdigit()]
    return f"c-s{min(max(int(digits[0]), 1), 5)}" if digits else "c-s1"
