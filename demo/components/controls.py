"""Components for the fields of `nstlib.Settings`, and the settings that a user has chosen with them.

A new field of Settings gets a control under More settings automatically, with its help, bounds and choices.
"""

import dataclasses
from typing import Any

import gradio as gr

import nstlib
from demo.components import presets
from demo.components.common import PRIVATE, QUIET, Asks, Update, slider
from demo.components.method_controls import MethodControls
from demo.components.presets import EMBEDDED, LABELS, is_present, layer_names
from demo.runs.limits import LIMITS

FIRST_METHOD = "linear"  # faces stay recognisable
LARGEST_STROKES = 2.0
SMALLEST = 64  # px
FIELDS = {f.name: f for f in dataclasses.fields(nstlib.Settings)}
DEFAULTS = presets.adapted(presets.FIRST).replace(method=FIRST_METHOD)
ELSEWHERE = ("method", "gamma", "style_weights")  # their controls are in MethodControls and SecondStyle
HIDDEN = ("dtype", "memory")  # their automatic values are best here


class Controls:
    """All components of the settings. The constructor lays out the first ones in the current Blocks, and
    `add_options` lays out the others.

    method: the controls of the method and γ. by_name: the components of the other fields.
    """

    def __init__(self) -> None:
        self.method = MethodControls(str(DEFAULTS.method), DEFAULTS.gamma)
        self.by_name: dict[str, Any] = {}
        with gr.Row():
            self.by_name["size"] = slider("Size, px", SMALLEST, LIMITS.size, DEFAULTS.size, 32, "size")
            self.by_name["colours"] = gr.Dropdown(
                [("the style's", "style"), ("the content's", "luminance"), ("in between", "content")],
                value=DEFAULTS.colours,
                label="Colours",
                min_width=150,
                elem_id="colours",
            )

    def add_options(self) -> None:
        """Lays out the settings that few users need. Those that change an image most come first."""
        with gr.Accordion("More settings", open=False, elem_id="more"):
            self.preset = gr.Dropdown(
                presets.choices(), value=presets.FIRST, label="Optimisation", elem_id="preset"
            )
            for name, label in (("iterations", "Steps"), ("seed", "Seed")):
                self.by_name[name] = gr.Number(
                    getattr(DEFAULTS, name), label=label, precision=0, elem_id=name
                )
            strokes = slider("Size of strokes", 0.25, LARGEST_STROKES, 1, 0.05, "style-scale")
            self.by_name["style_scale"] = strokes
            self.method.add_options()
            self.by_name["encoder"] = gr.Dropdown(
                [(LABELS.get(name, name), name) for name in LIMITS.encoders],
                value=DEFAULTS.encoder,
                label="Encoder",
                info=FIELDS["encoder"].metadata["help"],
                elem_id="encoder",
            )
            for name in FIELDS:
                if name not in (*ELSEWHERE, *HIDDEN, *self.by_name):
                    self.by_name[name] = _control(FIELDS[name])
        self.inputs = {*self.method.inputs, *self.by_name.values()}
        self.outputs = [*self.method.outputs, *self.by_name.values()]

    def connect(self, asks: Asks) -> None:
        """Counts what the user changes here."""
        self.method.connect(asks)
        for part in self.by_name.values():
            asks.after(part.input, *([part.release] if isinstance(part, gr.Slider) else []))
        # `select`, not `input`: a dropdown also sends `input` when it merely loses the focus.
        preset = {*self.inputs, self.preset}, [*self.outputs, self.preset]
        asks.after(self.preset.select(self._apply_preset, *preset, **QUIET).then)
        self.by_name["iterations"].input(None, None, self.preset, js="() => null", **PRIVATE)
        encoder, *layers = (self.by_name[name] for name in ("encoder", "style_layers", "content_layers"))
        encoder.select(
            lambda name: [gr.update(choices=layer_names(name), value=[])] * 2, encoder, layers, **QUIET
        )

    def settings(self, values: dict[Any, Any]) -> nstlib.Settings:
        """The settings that the user chose. Raises a ValueError with a message for the user."""
        chosen = {name: values[part] for name, part in self.by_name.items()}
        chosen |= {"method": self.method.method(values), "gamma": values[self.method.gamma]}
        return check_limits(nstlib.Settings().parse(**chosen))

    def show(self, settings: nstlib.Settings) -> Update:
        """The value of every component. Raises ValueError if the components cannot show the method."""
        shown = self.method.show(settings) | {self.preset: preset_of(settings)}
        for name, part in self.by_name.items():
            value = _shown(getattr(settings, name))
            if name in ("style_layers", "content_layers"):
                layers = list(getattr(settings, name))
                value = gr.update(choices=layer_names(settings.encoder), value=layers)
            elif isinstance(part, gr.Slider):
                value = min(max(value, part.minimum), part.maximum)
            shown[part] = value
        return shown

    def _apply_preset(self, values: dict[Any, Any]) -> Update:
        try:
            return self.show(presets.apply(values[self.preset], self.settings(values)))
        except (ValueError, KeyError):  # a control holds an unusable value: the run reports it
            return {self.by_name["seed"]: gr.skip()}


def fit_limits(settings: nstlib.Settings, download: bool = False) -> tuple[nstlib.Settings, list[str]]:
    """Returns the nearest settings that this host allows, and a sentence for every change.

    download: whether an encoder is allowed although its weights are not downloaded yet.
    """
    most = {"size": LIMITS.size, "iterations": LIMITS.steps, "style_scale": LARGEST_STROKES}
    words = {"size": "Size (px)", "iterations": "The number of steps", "style_scale": "The size of strokes"}
    changes: dict[str, Any] = {name: high for name, high in most.items() if getattr(settings, name) > high}
    notes = [
        f"{words[name]} may be at most {high:g} here, not {getattr(settings, name):g}."
        for name, high in changes.items()
    ]
    usable = [name for name in LIMITS.encoders if download or is_present(name)]
    if settings.encoder not in usable:
        notes.append(f"The encoders on offer here are {', '.join(usable)}, not {settings.encoder}.")
        changes["encoder"] = EMBEDDED
    return settings.replace(**changes), notes


def check_limits(settings: nstlib.Settings) -> nstlib.Settings:
    """Returns the settings if this host allows them. Raises a ValueError that says what is allowed."""
    if notes := fit_limits(settings, download=True)[1]:
        raise ValueError(" ".join(notes))
    return settings


def _control(field: Any) -> gr.components.Component:
    """The control of one field of Settings, from its type and metadata."""
    default, meta = getattr(DEFAULTS, field.name), field.metadata
    label = (
        field.name.replace("_", " ").capitalize().replace("Tv", "Total variation").replace("Lr", "Step size")
    )
    options: dict[str, Any] = {"label": label, "info": meta["help"], "elem_id": f"set-{field.name}"}
    if meta["choices"]:
        return gr.Dropdown(list(meta["choices"]), value=default, **options)
    if "tuple[str" in str(field.type):
        layers = layer_names(DEFAULTS.encoder)
        return gr.Dropdown(layers, value=list(default), multiselect=True, allow_custom_value=True, **options)
    if isinstance(default, tuple | str | None):
        hint = "automatic" if default is None else "e.g. 1, 1, 0.5"  # an empty number box would become 0
        return gr.Textbox(_shown(default), placeholder=hint, **options)
    if field.type is int and meta["high"] <= 20:
        return gr.Slider(meta["low"], meta["high"], value=default, step=1, buttons=[], **options)
    return gr.Number(default, precision=0 if field.type is int else None, **options)


def preset_of(settings: nstlib.Settings) -> str | None:
    """The preset that would change nothing in these settings, or None."""
    return next((name for name in nstlib.PRESETS if presets.apply(name, settings) == settings), None)


def _shown(value: Any) -> Any:
    """The value of a setting in the form that its component shows."""
    if isinstance(value, tuple):
        return ", ".join(f"{item:g}" if isinstance(item, float) else str(item) for item in value)
    return "" if value is None else value
