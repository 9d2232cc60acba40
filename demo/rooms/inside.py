"""Room 3, Look inside: what each layer remembers. The paper's Figure 1, and content reconstructions."""

import gradio as gr

import nstlib
from demo.parts import messages
from demo.parts.controls import Controls
from demo.parts.grid import Cell, Grid, given
from demo.parts.method_controls import NAMES
from demo.rooms import grid_room
from demo.runs.engine import Job
from demo.runs.files import picture_info
from demo.runs.limits import LIMITS

KINDS = {
    "Style, deeper and deeper": "style",
    "Style, all four methods": "methods",
    "Content, layer by layer": "content",
}
FROM_NOISE = (
    "From pure noise, a picture is rebuilt that agrees with yours only in what some layers remember. "
)
STEPS = 80  # at least: noise is far from everything
NOT_USED = (
    f" Size, encoder, seed and steps ({STEPS} at least) are yours; γ, α, palette, start and levels have no "
    "part in this."
)
USED = {
    "style": f"{FROM_NOISE}Here: your style, by your method, ever more layers. Shallow layers keep colours "
    f"and fine strokes; deep ones keep larger shapes. The content is not used.{NOT_USED}",
    "methods": f"{FROM_NOISE}Here: your style, by the paper's four methods (one a row), ever more layers "
    f"(one a column). The content and the method chosen are not used.{NOT_USED}",
    "content": f"{FROM_NOISE}Here: your content, one layer at a time. Deep layers keep what is where, and "
    f"forget its exact colours. The style and the method are not used.{NOT_USED}",
}


def plan(
    kind: str, settings: nstlib.Settings, content: str | None, style: str | None, seconds: float
) -> Grid:
    """The grid of a reconstruction, with nothing run yet. Raises ValueError where the picture is missing."""
    encoder = nstlib.load_encoder(settings.encoder, pooling=settings.pooling)
    if kind == "content":
        if not content:
            raise ValueError(messages.missing(content, "here"))
        pairs = [(f"relu{block}_2", f"relu{block}_1") for block in range(1, 6)]
        found = [next((name for name in pair if name in encoder.layers), "") for pair in pairs]
        layers = [name for name in found if name] or list(encoder.layers[::3])[:5]
        cells = [
            Cell(
                layer,
                f"What {layer} remembers of the content",
                Job(settings, content, None, "content", layer, seconds),
            )
            for layer in layers
        ]
        beside = [given("Content", "The content picture", content, settings.size)]
        return Grid("Content, rebuilt from one layer", cells, 3, _shape(content), beside)
    if not style:
        raise ValueError(messages.missing("here", style))
    beside = [given("Style", "The style picture", style, settings.size)]
    layers = list(settings.style_layers or encoder.style_layers)
    heads = [("up to " if depth else "") + layer for depth, layer in enumerate(layers)]
    methods = list(NAMES) if kind == "methods" else [str(settings.method)]
    cells = [
        Cell(
            head,
            f"A texture with the {method} statistics of the style, {head}",
            Job(settings.replace(method=method), None, style, "style", depth, seconds),
        )
        for method in methods
        for depth, head in enumerate(heads, 1)
    ]
    title = f"Style, rebuilt from its statistics: {', '.join(methods)}"
    if kind == "style":
        return Grid(title, cells, 3, _shape(style), beside)
    sides = [NAMES[method].split(" (")[0] for method in methods]
    return Grid(title, cells, len(layers), _shape(style), beside, heads, sides)


def patient(
    kind: str, settings: nstlib.Settings, content: str | None, style: str | None, seconds: float
) -> Grid:
    """The plan with `STEPS` at least."""
    steps = min(max(settings.iterations, STEPS), LIMITS.steps)
    return plan(kind, settings.replace(iterations=steps), content, style, seconds)


def _shape(path: str) -> float:
    width, height, _ = picture_info(path)
    return float(min(max(height / width, 0.5), 1.5))


def build(content: gr.Image, style: gr.Image, controls: Controls) -> grid_room.GridRoom:
    """Lays the room out, in the current tab."""
    empty = Grid("", [Cell(f"layer {i}", "") for i in range(1, 6)], 3, 1.0, [Cell("Style", "")])
    return grid_room.build("inside", "Look inside", patient, KINDS, USED, content, style, controls, empty)
