"""Room 3, Look inside: what each layer remembers. The paper's Figure 1, and content reconstructions."""

import gradio as gr

import nstlib
from demo.parts.controls import Controls
from demo.parts.grid import Cell, Grid
from demo.parts.method_controls import NAMES
from demo.rooms import grid_room
from demo.runs.engine import Job
from nstlib.images import image_size

KINDS = {
    "Style, deeper and deeper": "style",
    "Style, all four methods": "methods",
    "Content, layer by layer": "content",
}
SIZE, STEPS = 128, 80


def plan(
    kind: str, settings: nstlib.Settings, content: str | None, style: str | None, seconds: float
) -> Grid:
    """The grid of a reconstruction, with nothing run yet. Raises ValueError where the picture is missing."""
    encoder = nstlib.load_encoder(settings.encoder, pooling=settings.pooling)
    if kind == "content":
        if not content:
            raise ValueError("Choose a content picture first: drop a file, or take one of the examples.")
        pairs = [(f"relu{block}_2", f"relu{block}_1") for block in range(1, 6)]
        found = [next((name for name in pair if name in encoder.layers), "") for pair in pairs]
        layers = [name for name in found if name] or list(encoder.layers[::3])[:5]
        cells = [
            Cell(layer, f"What {layer} remembers of the content", _content(settings, content, layer, seconds))
            for layer in layers
        ]
        return Grid("Content, rebuilt from one layer", cells, len(cells), _shape(content))
    if not style:
        raise ValueError("Choose a style picture first: drop a file, or take one of the examples.")
    layers = list(settings.style_layers or encoder.style_layers)
    methods = list(NAMES) if kind == "methods" else [str(settings.method)]
    cells = []
    for method in methods:
        for depth, layer in enumerate(layers, 1):
            label = ("up to " if depth > 1 else "") + layer
            job = Job(settings.replace(method=method), None, style, "style", depth, seconds)
            shown = f"{NAMES[method].split(' (')[0].split('-')[0]}: {label}" if len(methods) > 1 else label
            cells.append(Cell(shown, f"A texture with the {method} statistics of the style, {label}", job))
    return Grid(
        f"Style, rebuilt from its statistics: {', '.join(methods)}", cells, len(layers), _shape(style)
    )


def _shape(path: str) -> float:
    width, height = image_size(path)
    return float(min(max(height / width, 0.5), 1.5))


def _content(settings: nstlib.Settings, content: str, layer: str, seconds: float) -> Job:
    return Job(settings, content, None, "content", layer, seconds)


def build(content: gr.Image, style: gr.Image, controls: Controls) -> grid_room.GridRoom:
    """Lays the room out, in the current tab."""
    gr.Markdown(
        "From pure noise, a picture is rebuilt that agrees with yours only in what some layers remember. "
        "Shallow layers keep colours and fine strokes; deep ones keep larger shapes."
    )
    empty = Grid("", [Cell(f"layer {i}", "") for i in range(1, 6)], 5, 1.0)
    return grid_room.build("inside", "Look inside", plan, KINDS, content, style, controls, SIZE, STEPS, empty)
