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
from demo.parts import method_controls
from demo.parts.method_controls import MethodControls
from demo.runs.limits import LIMITS

FIRST_SIZE = 256  # px: quick on two cores; a visitor can ask for more
FEATURED = ("method", "gamma", "size", "iterations", "encoder", "seed")
LOCAL_LAYERS = ("vgg19-slim", "vgg19", "vgg19-random")  # all have VGG-19's layer names
FIELDS = {f.name: f for f in dataclasses.fields(nstlib.Settings)}
DEFAULTS = nstlib.Settings().replace(size=min(FIRST_SIZE, LIMITS.size))


@dataclass(frozen=True)
class Controls:
    """All components of the settings. by_name: one per field, but for the method's own group."""

    method: MethodControls
    by_name: dict[str, gr.components.Component]
    preset: gr.Dropdown

    @property
    def inputs(self) -> set[gr.components.Component]:
        return {*self.method.inputs, *self.by_name.values()}

    def settings(self, values: dict[Any, Any]) -> nstlib.Settings:
        """What the visitor chose. Raises ValueError in words fit for a visitor."""
        fields = {name: _read(FIELDS[name], values[part]) for name, part in self.by_name.items()}
        fields["method"] = self.method.text(values)
        fields["gamma"] = _read(FIELDS["gamma"], values[self.method.gamma])
        return within_limits(nstlib.Settings().replace(**fields))


def within_limits(settings: nstlib.Settings) -> nstlib.Settings:
    """The settings, if this place allows them. Raises ValueError that says what it allows."""
    if settings.size > LIMITS.size:
        raise ValueError(f"size may be at most {LIMITS.size} px here, got {settings.size}")
    if settings.iterations > LIMITS.steps:
        raise ValueError(f"a run may take at most {LIMITS.steps} steps here, got {settings.iterations}")
    if settings.encoder not in LIMITS.encoders:
        raise ValueError(f"encoders on offer here are {', '.join(LIMITS.encoders)}, got {settings.encoder}")
    return settings


def fitting(preset: str) -> nstlib.Settings:
    """A preset as this place can run it: a size of its own stays, the usual one becomes `FIRST_SIZE`."""
    found, usual = nstlib.PRESETS[preset], nstlib.Settings()
    size = DEFAULTS.size if found.size == usual.size else min(found.size, LIMITS.size)
    return found.replace(size=size, iterations=min(found.iterations, LIMITS.steps))


def build() -> Controls:
    """Lays all controls out, in the current Blocks."""
    method = method_controls.build(str(DEFAULTS.method), DEFAULTS.gamma)
    parts: dict[str, gr.components.Component] = {}
    with gr.Row(elem_classes="nst-tight"):
        names = [name for name, preset in nstlib.PRESETS.items() if preset.encoder in LIMITS.encoders]
        preset = gr.Dropdown(names, value=names[0], label="Preset", min_width=120, elem_id="preset")
        parts["size"] = gr.Slider(
            64,
            LIMITS.size,
            value=DEFAULTS.size,
            step=32,
            label="Size, px",
            min_width=160,
            elem_id="size",
            buttons=[],
        )
    with gr.Accordion("More settings", open=False, elem_id="more"):
        with gr.Row(elem_classes="nst-tight"):
            parts["iterations"] = _number("iterations", "Steps", high=LIMITS.steps)
            parts["seed"] = _number("seed", "Seed")
            dice = gr.Button("⚄ Roll", size="sm", min_width=70, scale=0, elem_id="dice")
        parts["encoder"] = gr.Dropdown(
            [(_encoder_label(name), name) for name in LIMITS.encoders],
            value=DEFAULTS.encoder,
            label="Encoder",
            info=_help("encoder"),
            elem_id="encoder",
        )
        for name in FIELDS:
            if name not in FEATURED:
                parts[name] = _control(FIELDS[name])
    controls = Controls(method, parts, preset)
    _connect(controls, dice)
    return controls


def _connect(controls: Controls, dice: gr.Button) -> None:
    quiet: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    parts = controls.by_name
    dice.click(lambda: random.randrange(2**31), None, parts["seed"], **quiet)
    shown = [
        *controls.method.inputs,
        controls.method.gamma_slider,
        *(part for name, part in parts.items() if name != "seed"),
    ]
    # `select`, not `input`: a dropdown also sends `input` when it merely loses the focus.
    controls.preset.select(lambda name: _preset_values(name, parts), controls.preset, shown, **quiet)
    layers = [parts["style_layers"], parts["content_layers"]]
    parts["encoder"].change(  # type: ignore[attr-defined]
        lambda name: [gr.update(choices=layer_names(name), value=[])] * 2, parts["encoder"], layers, **quiet
    )


def _preset_values(name: str, parts: dict[str, Any]) -> list[Any]:
    preset, usual = nstlib.PRESETS[name], nstlib.Settings()
    values = [
        *method_controls.unspell(str(preset.method)),
        preset.gamma,
        method_controls.position(preset.gamma),
    ]
    for field in parts:
        if field == "seed":
            continue
        value = getattr(preset, field)
        if field == "size":  # the visitor's own size stays, unless the preset is about size
            values.append(gr.skip() if value == usual.size else min(value, LIMITS.size))
        elif field in ("style_layers", "content_layers"):
            values.append(gr.update(choices=layer_names(preset.encoder), value=list(value)))
        else:
            values.append(min(value, LIMITS.steps) if field == "iterations" else _shown(value))
    return values


def layer_names(encoder: str) -> list[str]:
    """The layers a visitor may choose, without loading weights that may not be there."""
    if encoder in LOCAL_LAYERS:
        return list(nstlib.load_encoder("vgg19-random").layers)
    if encoder == "resnet50":
        return [
            "relu1",
            *(f"block{b}_{i + 1}" for b, n in ((2, 3), (3, 4), (4, 6), (5, 3)) for i in range(n)),
        ]
    return [f"relu{b}_{i + 1}" for b, n in enumerate((2, 2, 3, 3, 3), 1) for i in range(n)]  # VGG-16


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


def _encoder_label(name: str) -> str:
    return {
        "vgg19-slim": "vgg19-slim: small, built in",
        "vgg19-random": "vgg19-random: untrained, a control",
        "vgg19": "vgg19: downloads 548 MB once",
        "vgg16": "vgg16: downloads 528 MB once",
        "resnet50": "resnet50: downloads 98 MB once",
    }.get(name, name)


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
