"""The choices of a run as components, built from the fields of `nstlib.Settings`, and read back into one.

A new field of Settings appears by itself, folded away: its help, bounds and choices become the control's.
"""

import dataclasses
import math
import random
from dataclasses import dataclass
from typing import Any

import gradio as gr

import nstlib
from demo.parts import method_controls, presets
from demo.parts.encoders import LABELS, layer_names
from demo.parts.method_controls import MethodControls
from demo.runs.limits import LIMITS
from demo.runs.recipes import DETAIL

FIRST_METHOD = "poly"  # whose one pass is the most striking
FEATURED = (
    "method",
    "gamma",
    "size",
    "colours",
    "style_scale",
    "iterations",
    "encoder",
    "seed",
    "style_weights",
)
FIELDS = {f.name: f for f in dataclasses.fields(nstlib.Settings)}
DEFAULTS = presets.fitting(presets.FIRST).replace(method=FIRST_METHOD)


@dataclass(frozen=True)
class Controls:
    """All components of the settings. by_name: one per field, but for the method's own group and the weights
    of several styles (see second.py). detail: of the photograph's in one pass; no setting of a run."""

    method: MethodControls
    by_name: dict[str, gr.components.Component]
    preset: gr.Dropdown
    detail: gr.Slider

    @property
    def inputs(self) -> set[gr.components.Component]:
        return {*self.method.inputs, *self.by_name.values()}

    def settings(self, values: dict[Any, Any]) -> nstlib.Settings:
        """What the visitor chose. Raises ValueError in words fit for a visitor."""
        fields = {name: _read(FIELDS[name], values[part]) for name, part in self.by_name.items()}
        fields["method"] = self.method.text(values)
        fields["gamma"] = _read(FIELDS["gamma"], values[self.method.gamma])
        return within_limits(nstlib.Settings().replace(**fields))

    def show(self, settings: nstlib.Settings) -> dict[Any, Any]:
        """The inverse: a value for every component. Raises ValueError for a method they cannot show."""
        spelled = method_controls.unspell(str(settings.discrepancy))
        if str(nstlib.method(method_controls.spell(*spelled))) != str(settings.discrepancy):
            raise ValueError(f"the controls cannot show the method {settings.method}")
        shown: dict[Any, Any] = dict(zip(self.method.inputs, (*spelled, settings.gamma), strict=True))
        shown[self.method.gamma_slider] = method_controls.position(settings.gamma)
        for name, part in self.by_name.items():
            value = getattr(settings, name)
            if name in ("style_layers", "content_layers"):
                shown[part] = gr.update(choices=layer_names(settings.encoder), value=list(value))
            else:
                shown[part] = _shown(value)
            if isinstance(part, gr.Slider) and part.minimum is not None and part.maximum is not None:
                shown[part] = min(max(value, part.minimum), part.maximum)
        return shown


def within_limits(settings: nstlib.Settings) -> nstlib.Settings:
    """The settings, if this place allows them. Raises ValueError that says what it allows."""
    if settings.size > LIMITS.size:
        raise ValueError(f"size may be at most {LIMITS.size} px here, got {settings.size}")
    if settings.iterations > LIMITS.steps:
        raise ValueError(f"a run may take at most {LIMITS.steps} steps here, got {settings.iterations}")
    if settings.encoder not in LIMITS.encoders:
        raise ValueError(f"encoders on offer here are {', '.join(LIMITS.encoders)}, got {settings.encoder}")
    return settings


def build() -> Controls:
    """Lays all controls out, in the current Blocks."""
    method = method_controls.build(str(DEFAULTS.method), DEFAULTS.gamma)
    parts: dict[str, gr.components.Component] = {}
    with gr.Row(elem_classes="nst-tight"):
        parts["size"] = gr.Slider(
            64,
            LIMITS.size,
            value=DEFAULTS.size,
            step=32,
            label="Size, px",
            min_width=150,
            elem_id="size",
            buttons=[],
        )
        parts["colours"] = gr.Dropdown(
            [("the style's", "style"), ("the photograph's", "luminance"), ("in between", "content")],
            value=DEFAULTS.colours,
            label="Colours",
            min_width=150,
            elem_id="colours",
        )
    with gr.Row(elem_classes="nst-tight"):
        parts["style_scale"] = gr.Slider(
            0.25,
            4,
            value=1,
            step=0.05,
            label="Size of strokes",
            min_width=150,
            elem_id="style-scale",
            buttons=[],
        )
        detail = gr.Slider(
            0,
            1,
            value=DETAIL,
            step=0.05,
            label="Fine detail, in one pass",
            min_width=150,
            elem_id="detail",
            buttons=[],
        )
    preset = gr.Dropdown(
        presets.choices(), value=presets.FIRST, label="How to refine: a preset", elem_id="preset"
    )
    with gr.Accordion("More settings", open=False, elem_id="more"):
        with gr.Row(elem_classes="nst-tight"):
            parts["iterations"] = _number("iterations", "Steps", high=LIMITS.steps)
            parts["seed"] = _number("seed", "Seed")
            dice = gr.Button("⚄ Roll", size="sm", min_width=70, scale=0, elem_id="dice")
        parts["encoder"] = gr.Dropdown(
            [(LABELS.get(name, name), name) for name in LIMITS.encoders],
            value=DEFAULTS.encoder,
            label="Encoder",
            info=_help("encoder"),
            elem_id="encoder",
        )
        for name in FIELDS:
            if name not in FEATURED:
                parts[name] = _control(FIELDS[name])
    controls = Controls(method, parts, preset, detail)
    _connect(controls, dice)
    return controls


def _connect(controls: Controls, dice: gr.Button) -> None:
    quiet: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    parts = controls.by_name
    dice.click(lambda: random.randrange(2**31), None, parts["seed"], **quiet)
    everything = [*controls.method.inputs, controls.method.gamma_slider, *parts.values()]

    def chosen(values: dict[Any, Any]) -> dict[Any, Any]:
        try:
            return controls.show(presets.over(values[controls.preset], controls.settings(values)))
        except (ValueError, KeyError):  # a control holds nonsense: the run says so
            return {parts["seed"]: gr.skip()}

    # `select`, not `input`: a dropdown also sends `input` when it merely loses the focus.
    controls.preset.select(chosen, {*controls.inputs, controls.preset}, everything, **quiet)
    layers = [parts["style_layers"], parts["content_layers"]]
    parts["encoder"].select(  # type: ignore[attr-defined]
        lambda name: [gr.update(choices=layer_names(name), value=[])] * 2, parts["encoder"], layers, **quiet
    )


def _control(field: Any) -> gr.components.Component:
    """The control of one field of Settings, from its type and metadata."""
    default, meta = getattr(DEFAULTS, field.name), field.metadata
    label = (
        field.name.replace("_", " ").capitalize().replace("Tv", "Total variation").replace("Lr", "Step size")
    )
    options: dict[str, Any] = {"label": label, "info": meta["help"], "elem_id": f"set-{field.name}"}
    if meta["choices"]:
        return gr.Dropdown(list(meta["choices"]), value=default, **options)
    if isinstance(default, bool):
        return gr.Checkbox(default, **options)
    if "tuple[str" in str(field.type):
        layers = layer_names(DEFAULTS.encoder)
        return gr.Dropdown(layers, value=list(default), multiselect=True, allow_custom_value=True, **options)
    if "tuple" in str(field.type) or isinstance(default, str):
        return gr.Textbox(_shown(default), placeholder="e.g. 1, 1, 0.5", **options)
    if default is None:  # a number that may be left out; a number box would turn empty into 0
        return gr.Textbox("", placeholder="automatic", **options)
    if field.type is int and meta["high"] is not None and meta["high"] <= 20:
        return gr.Slider(meta["low"], meta["high"], value=default, step=1, buttons=[], **options)
    return gr.Number(default, precision=0 if field.type is int else None, **options)


def _number(name: str, label: str, high: float | None = None) -> gr.Number:
    meta = FIELDS[name].metadata
    return gr.Number(
        getattr(DEFAULTS, name),
        label=label,
        precision=0,
        minimum=meta["low"],
        maximum=high or meta["high"],
        min_width=90,
        elem_id=name,
    )


def _help(name: str) -> str:
    return str(FIELDS[name].metadata["help"])


def _shown(value: Any) -> Any:
    if value is None:
        return ""
    return (
        ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in value)
        if isinstance(value, tuple)
        else value
    )


def _read(field: Any, value: Any) -> Any:
    """A component's value as the field wants it. Raises ValueError naming the field."""
    if "tuple[float" in str(field.type):
        try:
            return tuple(
                float(word) for word in str(value or "").replace(";", ",").split(",") if word.strip()
            )
        except ValueError:
            raise ValueError(f"{field.name} must be numbers separated by commas, got {value!r}") from None
    if "tuple" in str(field.type):
        return tuple(value or ())
    optional = "None" in str(field.type)
    if value is None or (optional and not str(value).strip()):
        if optional:
            return None
        raise ValueError(f"{field.name} is empty: give it a value")
    if optional and isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            raise ValueError(f"{field.name} must be a number or left empty, got {value!r}") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{field.name} must be a finite number, got {value}")
    return int(value) if field.type is int and value == int(value) else value
