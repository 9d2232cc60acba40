"""The Look inside tab shows what each layer stores: the paper's Figure 1, and content reconstructions."""

import nstlib
from demo.components import messages
from demo.components.grid import Cell, Grid, input_cell, shape_of
from demo.components.method_controls import NAMES
from demo.runs.engine import Job
from demo.runs.limits import LIMITS
from demo.tabs.grid_tab import Kinds

STEPS = 80  # at least, because a run begins with noise
FROM_NOISE = "Rebuilds an image from noise that agrees with yours only in what some layers store. Here: "
USES = (
    f" Uses your size, encoder, seed and steps (at least {STEPS}). Ignores γ, α, palette, start and levels."
)
KINDS: Kinds = {
    "style": (
        "Style, deeper and deeper",
        f"{FROM_NOISE}your style, by your method, with more and more layers. Shallow layers store colours "
        f"and fine strokes; deep layers store larger shapes. Ignores the content.{USES}",
    ),
    "methods": (
        "Style, all four methods",
        f"{FROM_NOISE}your style, by the paper's four methods (rows), with more and more layers (columns). "
        f"Ignores the content and your method.{USES}",
    ),
    "content": (
        "Content, layer by layer",
        f"{FROM_NOISE}your content, one layer at a time. Deep layers store where things are, but not their "
        f"exact colours. Ignores the style and your method.{USES}",
    ),
}


def plan(kind: str, settings: nstlib.Settings, content: str | None, style: str | None) -> Grid:
    """The grid of a reconstruction before any run. Raises ValueError if its image is missing."""
    settings = settings.replace(iterations=min(max(settings.iterations, STEPS), LIMITS.steps))
    source = content if kind == "content" else style
    if not source:
        raise ValueError(messages.missing(content or kind != "content", style or kind == "content"))
    encoder = nstlib.load_encoder(settings.encoder, pooling=settings.pooling)
    beside = [input_cell("Content" if kind == "content" else "Style", source, settings.size)]
    shape = shape_of(source)
    if kind == "content":
        layers = [
            next((name for name in (f"relu{block}_2", f"relu{block}_1") if name in encoder.layers), "")
            for block in range(1, 6)
        ]
        layers = list(filter(None, layers)) or list(encoder.layers[::3])[:5]
        cells = [
            Cell(layer, f"The content as {layer} stores it", Job(settings, content, None, "content", layer))
            for layer in layers
        ]
        return Grid("Content, rebuilt from one layer", cells, 3, shape, beside)
    layers = list(settings.style_layers or encoder.style_layers)
    heads = [layers[0], *(f"up to {layer}" for layer in layers[1:])]
    methods = list(NAMES) if kind == "methods" else [str(settings.method)]
    cells = [
        Cell(
            head,
            f"A texture with the {method} statistics of the style, {head}",
            Job(settings.replace(method=method), None, style, "style", depth),
        )
        for method in methods
        for depth, head in enumerate(heads, 1)
    ]
    title = f"Style, rebuilt from its statistics: {', '.join(methods)}"
    if kind == "style":
        return Grid(title, cells, 3, shape, beside)
    sides = [NAMES[method].split(" (")[0] for method in methods]
    return Grid(title, cells, len(layers), shape, beside, heads, sides)
