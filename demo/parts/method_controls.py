"""The method and γ: the two choices a visitor meets first. Components ⇄ the text `nstlib.method` reads."""

import math
from dataclasses import dataclass
from typing import Any

import gradio as gr

import nstlib

FUSION, OTHER = "fusion", "other"
NAMES = {  # the paper's four
    "linear": "Linear",
    "poly": "Polynomial (Gram)",
    "gaussian": "Gaussian",
    "bn": "Batch-norm statistics",
}
OTHERS = {
    "wasserstein": "Wasserstein",
    "sliced": "Sliced Wasserstein",
    "energy": "Energy distance",
    "laplace": "Laplace kernel",
    "cubic": "Cubic kernel",
    "coral": "Covariances (CORAL)",
    "cmd": "Central moments",
}
ALL = NAMES | OTHERS
# γ lives on a logarithmic slider; the number beside it is what a run uses.
LOG_LOW, LOG_HIGH = -1.3, 1.7  # γ from 0.05 to 50
TO_NUMBER = "(x) => Number(Math.pow(10, x).toPrecision(2))"
TO_SLIDER = f"(g) => Math.max({LOG_LOW}, Math.min({LOG_HIGH}, Math.log10(Math.max(g || 1, 0.001))))"


@dataclass(frozen=True)
class MethodControls:
    """The components, and how to read them."""

    method: gr.Radio
    other: gr.Dropdown
    c: gr.Number
    factor: gr.Slider
    first: gr.Dropdown
    second: gr.Dropdown
    mix: gr.Slider
    gamma: gr.Number
    gamma_slider: gr.Slider

    @property
    def inputs(self) -> list[gr.components.Component]:
        parts = [self.method, self.other, self.c, self.factor, self.first, self.second, self.mix]
        return [*parts, self.gamma]

    def text(self, values: dict[Any, Any]) -> str:
        """The method as `nstlib.method` spells it, e.g. "bn:0.7+poly(c=1):0.3"."""
        return spell(*(values[component] for component in self.inputs[:-1]))


def spell(
    name: str, other: str, c: float | None, factor: float | None, first: str, second: str, mix: float
) -> str:
    """Controls → the text of a method. other: what `OTHER` stands for. mix: the second's share, 0 … 1."""
    if name != FUSION:
        return _part(other if name == OTHER else name, c, factor)
    a, b = _part(first, c, factor), _part(second, c, factor)
    return f"{a}:{round(1 - mix, 3):g}+{b}:{round(mix, 3):g}"


def _part(name: str, c: float | None, factor: float | None) -> str:
    if name == "poly" and c:
        return f"poly(c={c:g})"
    if name == "gaussian" and factor and factor != 1:
        return f"gaussian(factor={factor:g})"
    return name


def unspell(text: str) -> tuple[str, str, float, float, str, str, float]:
    """The inverse of `spell`, for methods that the controls can show."""
    parts = nstlib.method(text).parts()
    found: dict[str, float] = {"c": 0.0, "factor": 1.0}
    names = []
    for part, _ in parts[:2]:
        names.append(str(part).partition("(")[0])
        for key in found:
            found[key] = float(getattr(part, key, found[key]))
    other = next(iter(OTHERS))
    if len(parts) == 1:
        name, other = (names[0], other) if names[0] in NAMES else (OTHER, names[0])
        return name, other, found["c"], found["factor"], "bn", "poly", 0.3
    share = parts[1][1] / (parts[0][1] + parts[1][1])
    return FUSION, other, found["c"], found["factor"], names[0], names[1], share


def position(gamma: float) -> float:
    """Where γ is on its logarithmic slider."""
    return min(max(math.log10(gamma), LOG_LOW), LOG_HIGH)


def visibility(name: str, first: str, second: str) -> list[Any]:
    """Updates of (other, c, factor, the fusion's row): only what the method uses is shown."""
    used = {first, second} if name == FUSION else {name}
    return [
        gr.update(visible=name == OTHER),
        gr.update(visible="poly" in used),
        gr.update(visible="gaussian" in used),
        gr.update(visible=name == FUSION),
    ]


def build(method: str, gamma: float) -> MethodControls:
    """Lays the controls out, in the current Blocks."""
    name, chosen, c, factor, first, second, mix = unspell(method)
    choices = [(label, key) for key, label in ALL.items()]
    radio = gr.Radio(
        [*choices[: len(NAMES)], ("Another", OTHER), ("Fusion of two", FUSION)],
        value=name,
        label="Method: what counts as style",
        elem_id="method",
        elem_classes="nst-choices",
    )
    other = gr.Dropdown(
        choices[len(NAMES) :],
        value=chosen,
        label="Another discrepancy",
        info="Not the paper's; the same γ, the same run",
        visible=name == OTHER,
        elem_id="other-method",
    )
    used = {first, second} if name == FUSION else {name}
    with gr.Group(visible=name == FUSION) as fusion:
        with gr.Row(elem_classes="nst-tight"):
            one = gr.Dropdown(choices, value=first, label="First", min_width=120)
            two = gr.Dropdown(choices, value=second, label="Second", min_width=120)
        share = gr.Slider(0.05, 0.95, value=mix, step=0.05, label="Mix: share of the second", buttons=[])
    offset = gr.Number(
        c,
        label="Offset c",
        info="0 is Gatys' Gram matrix; more adds the mean",
        minimum=0,
        visible="poly" in used,
    )
    width = gr.Slider(
        0.25,
        4,
        value=factor,
        step=0.05,
        label="Bandwidth factor",
        info="1 is the paper's rule; less looks closer, more looks wider",
        visible="gaussian" in used,
        buttons=[],
    )
    with gr.Row(elem_classes="nst-gamma"):
        slider = gr.Slider(
            LOG_LOW,
            LOG_HIGH,
            value=position(gamma),
            step=0.02,
            label="Balance γ:  more content  ⟵  ⟶  more style",
            elem_id="gamma-slider",
            scale=4,
            min_width=180,
            buttons=[],
        )
        number = gr.Number(gamma, label="γ", elem_id="gamma", scale=1, min_width=76, step=0.1)
    slider.input(None, slider, number, js=TO_NUMBER, api_visibility="private")
    # `input`, not `change`: the rounded number must not pull the slider back while it is dragged.
    number.input(None, number, slider, js=TO_SLIDER, api_visibility="private")
    for component in (radio, one, two):
        component.change(
            visibility,
            [radio, one, two],
            [other, offset, width, fusion],
            queue=False,
            show_progress="hidden",
            api_visibility="private",
        )
    return MethodControls(radio, other, offset, width, one, two, share, number, slider)
