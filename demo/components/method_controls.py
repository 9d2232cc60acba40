"""The controls of the method and γ, and their conversion to and from the text of `nstlib.method`."""

import math
import tomllib
from pathlib import Path
from typing import Any

import gradio as gr

import nstlib
from demo.components.common import PRIVATE, QUIET, Asks, slider
from demo.components.point_clouds import icon

FUSION, OTHER = "fusion", "other"
METHODS = tomllib.loads(Path(__file__).with_name("methods.toml").read_text(encoding="utf-8"))
ALL = {name: method["title"] for name, method in METHODS.items()}
NAMES = dict(list(ALL.items())[:4])  # the paper's four
OTHERS = {name: title for name, title in ALL.items() if name not in NAMES}
# The slider of γ is logarithmic. A run uses the number beside it.
LOG_LOW, LOG_HIGH = -1.3, 1.7  # γ from 0.05 to 50
TO_NUMBER = "(x) => Number(Math.pow(10, x).toPrecision(2))"
TO_SLIDER = f"(g) => Math.max({LOG_LOW}, Math.min({LOG_HIGH}, Math.log10(Math.max(g || 1, 0.001))))"


def to_method(
    name: str, other: str, c: float | None, factor: float | None, first: str, second: str, mix: float
) -> str:
    """Converts values of the controls to a method. other: the method for `OTHER`. mix: the second's share."""

    def part(name: str) -> str:
        if name == "poly" and c:
            return f"poly(c={c:g})"
        if name == "gaussian" and factor and factor != 1:
            return f"gaussian(bandwidth_factor={factor:g})"
        return name

    if name != FUSION:
        return part(other if name == OTHER else name)
    return f"{part(first)}:{round(1 - mix, 3):g}+{part(second)}:{round(mix, 3):g}"


def from_method(text: str) -> tuple[str, str, float, float, str, str, float]:
    """The inverse of `to_method`: the values of the controls. Options without a control are lost."""
    parts, weights = zip(*nstlib.method(text).components(), strict=True)
    names = [part.name for part in parts]
    c = next((float(part.c) for part in parts if hasattr(part, "c")), 0.0)
    factor = next((part.bandwidth_factor for part in parts if hasattr(part, "bandwidth_factor")), 1.0)
    other = next(iter(OTHERS))
    if len(parts) > 1:
        return FUSION, other, c, factor, names[0], names[1], weights[1] / (weights[0] + weights[1])
    name, other = (names[0], other) if names[0] in NAMES else (OTHER, names[0])
    return name, other, c, factor, "bn", "poly", 0.3


def position(gamma: float) -> float:
    """Where γ is on its logarithmic slider."""
    return min(max(math.log10(gamma), LOG_LOW), LOG_HIGH)


def is_used(name: str, first: str, second: str) -> list[bool]:
    """Whether a method uses (other, c, factor, the controls of a fusion). Unused controls are hidden."""
    used = {first, second} if name == FUSION else {name}
    return [name == OTHER, "poly" in used, "gaussian" in used, name == FUSION]


def looks(method: str) -> str:
    """What a method looks at, in a line beside a small figure."""
    names = [part.name for part, _ in nstlib.method(method).components()]
    words = f"The method <b>{' + '.join(ALL[name] for name in names)}</b> looks at "
    words += "; and ".join(METHODS[name]["stores"] for name in names)
    blind = f" It is blind to {METHODS[names[0]]['blind']}." if len(names) == 1 else ""
    return f'<div class="nst-looks">{icon(method)}<p>{words}.{blind}</p></div>'


class MethodControls:
    """The components. The constructor lays out the first ones, and `add_options` the others."""

    def __init__(self, method: str, gamma: float) -> None:
        name, other, c, factor, first, second, mix = from_method(method)
        used = is_used(name, first, second)
        choices = [(label, key) for key, label in ALL.items()]
        radio = gr.Radio(
            [*choices[: len(NAMES)], ("Other", OTHER), ("Fusion of two", FUSION)],
            value=name,
            label="Method: what counts as style",
            elem_id="method",
        )
        different = gr.Dropdown(
            choices[len(NAMES) :], value=other, label="Other method", visible=used[0], elem_id="other-method"
        )
        with gr.Group(visible=used[3]) as fusion:
            with gr.Row():
                one = gr.Dropdown(choices, value=first, label="First", min_width=120)
                two = gr.Dropdown(choices, value=second, label="Second", min_width=120)
            share = slider("Mix: share of the second", 0.05, 0.95, mix, 0.05, "mix")
        self.looks = gr.HTML(looks(method), elem_id="looks")
        with gr.Row(elem_classes="nst-gamma"):
            label, place = "Balance γ:  more content  ⟵  ⟶  more style", position(gamma)
            self.gamma_slider = slider(label, LOG_LOW, LOG_HIGH, place, 0.02, "gamma-slider", scale=4)
            self.gamma = gr.Number(gamma, label="γ", elem_id="gamma", scale=1, min_width=76, step=0.1)
        info = "1 is the paper's rule; smaller values see finer differences, larger values coarser ones"
        offset = gr.Number(
            c,
            label="Offset c of the polynomial kernel",
            info="0 is the Gram matrix; larger values add the mean",
            minimum=0,
            visible=used[1],
            render=False,
        )
        options: dict[str, Any] = {"info": info, "visible": used[2], "render": False}
        width = slider("Bandwidth factor of the Gaussian kernel", 0.25, 4, factor, 0.05, "factor", **options)
        # `input`, not `change`: the rounded number must not pull the slider back while it is dragged.
        self.gamma.input(None, self.gamma, self.gamma_slider, js=TO_SLIDER, **PRIVATE)
        # in the order of the parameters of `to_method`
        self.options: list[Any] = [radio, different, offset, width, one, two, share]
        changed = [part.change for part in (radio, different, one, two)]
        shown = [different, offset, width, fusion, self.looks]
        gr.on(changed, self._show_options, self.options, shown, **QUIET)
        self.inputs = [*self.options, self.gamma]
        self.outputs = [*self.inputs, self.gamma_slider]

    def add_options(self) -> None:
        """Lays out the options that few users need."""
        for option in self.options[2:4]:
            option.render()

    def connect(self, asks: Asks) -> None:
        """Counts the changes of these controls by the user."""
        asks.after(*(part.input for part in self.inputs), self.gamma_slider.release)
        self.gamma_slider.input(
            None,
            [self.gamma_slider, asks.count],
            [self.gamma, asks.count],
            js=f"(x, count) => [({TO_NUMBER})(x), window.nst.ask(count)]",
            trigger_mode="multiple",  # the last position counts, however fast the slider moves
            **PRIVATE,
        )

    def _show_options(self, *options: Any) -> list[Any]:
        used = is_used(options[0], *options[4:6])
        return [*(gr.update(visible=visible) for visible in used), looks(to_method(*options))]

    def method(self, values: dict[Any, Any]) -> str:
        """The method as `nstlib.method` reads it, e.g. "bn:0.7+poly(c=1):0.3"."""
        return to_method(*(values[component] for component in self.options))

    def show(self, settings: nstlib.Settings) -> dict[Any, Any]:
        """The value of every component. Raises ValueError if the components cannot show the method."""
        text = str(settings.discrepancy)
        values = from_method(text)
        if str(nstlib.method(to_method(*values))) != text:
            raise ValueError(f"the controls cannot show the method {settings.method}")
        values = (*values, settings.gamma, position(settings.gamma))
        return dict(zip(self.outputs, values, strict=True))
