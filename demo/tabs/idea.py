"""The tab "The idea": moving points, words and a formula show what a style is for the chosen method."""

import os
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import torch

import nstlib
from demo.components import point_clouds
from demo.components.common import PRIVATE, QUIET
from demo.components.method_controls import ALL, METHODS, MethodControls, to_method

WORDS = """## {title}
{words}

$$ {formula} $$

- **It stores** {stores}: {numbers:,} numbers in all.
- **It does not see** {blind}.
- **It costs** ${cost}$ per layer and step, with $N_l$ channels at $M_l$ positions.
- **Derivation**: {link}."""
TWO_SAMPLES = Path(point_clouds.__file__).with_name("two_samples.html").read_text(encoding="utf-8")
FRAME = (  # an iframe, because notebooks and the documentation show the same file
    f'<iframe srcdoc="{escape(TWO_SAMPLES)}" title="Two samples: drag their points" loading="lazy" '
    'style="width: 100%; height: 570px; border: 0; background: #fff"></iframe>'
)
SOURCE = "https://github.com/nstlib/nstlib/blob/main"  # NSTLIB_SOURCE_URL replaces it
IF_OPEN = "(asks) => document.querySelector('#point-clouds')?.offsetParent ? asks + 1 : asks"
AUXILIARY = {"frequencies", "phases", "directions", "matrices", "offsets", "range", "trace", "noise"}
DELIMITERS: list[dict[str, Any]] = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": "$", "right": "$", "display": False},
]


@lru_cache(maxsize=64)
def numbers(method: str) -> int:
    """Counts the numbers that a method stores for a style, in all style layers of the embedded encoder."""
    encoder, total = nstlib.load_encoder(), 0
    discrepancy = nstlib.method(method)
    for layer in encoder.style_layers:
        n = encoder.channels[layer]
        stored = discrepancy.summary(torch.rand(n, 64))
        for name in stored.keys() - AUXILIARY:
            symmetric = stored[name].shape == (n, n) and name != "quantiles"
            total += n * (n + 1) // 2 if symmetric else stored[name].numel()
    return total


def describe(method: str) -> str:
    """Markdown for a method, or for both parts of a fusion."""
    parts = [(part.name, share) for part, share in nstlib.method(method).components()]
    words = [
        WORDS.format(numbers=numbers(name), link=_link(METHODS[name]["notebook"]), **METHODS[name])
        for name, _ in parts
    ]
    if len(parts) == 1:
        return words[0]
    shares = ", ".join(f"{round(100 * share)} % {ALL[name]}" for name, share in parts)
    return (
        f"## A fusion: {shares}\nA sum of two distances, which are scaled to equal strength first. For "
        "example, the linear method added to the Gram matrix is a polynomial kernel with c > 0.\n\n"
        + "\n\n---\n\n".join(words)
    )


def _link(place: str) -> str:
    """A link to a section of a notebook. Its anchor is the heading with dashes in place of spaces."""
    notebook, _, section = place.partition("#")
    path = f"notebooks/{notebook}.ipynb"
    base = os.environ.get("NSTLIB_SOURCE_URL", SOURCE)
    return f"[{path}, “{section}”]({base.rstrip('/')}/{path}#{section.replace(' ', '-')})"


def forces(gamma: float) -> str:
    """Shows γ as two forces on an image: two arrows whose lengths have the ratio 1 : γ."""
    share = gamma / (1 + gamma)
    more, less = f"{gamma:.3g} times as hard", f"{1 / gamma:.3g} times as weakly"
    pull = "with the same force" if gamma == 1 else f"{more if gamma > 1 else less}"
    return (
        f'<figure class="nst-forces" style="--style:{share:.3f}"><div class="line" aria-hidden="true">'
        '<span>content</span><i class="content"></i><em></em><i class="style"></i><span>style</span></div>'
        f"<figcaption><b>γ = {gamma:g}</b>: the style pulls {pull} as the content. At its start, "
        "every run measures both forces, so that γ means the same for every method and every pair of "
        "images. The image comes to rest where both forces cancel.</figcaption></figure>"
    )


def everything(*values: Any) -> list[Any]:
    """The point clouds, the words and the forces for the values of the controls."""
    *options, gamma = values
    method = to_method(*options)
    balance = forces(gamma) if gamma and gamma > 0 else gr.skip()  # γ's box may be empty meanwhile
    return [point_clouds.figure(method), describe(method), balance]


def build(method: MethodControls, tab: gr.Tab) -> None:
    """Lays out the current tab. While the tab is open, it follows the method and γ."""
    gr.Markdown(
        "A network of feature detectors looks at an image and responds, at every position, with a list of "
        "numbers. Without the positions, these are a point cloud: a sample of a **distribution**. This "
        "distribution is the style, and style transfer moves the points of one image until they are "
        "distributed as those of another. The methods differ in *how they compare two distributions*."
    )
    shown = everything(*(part.value for part in method.inputs))
    drawing = gr.HTML(shown[0], elem_id="point-clouds", js_on_load=point_clouds.PLAY)
    gr.Markdown(
        "This drawing is an example and does not show your images: it has sixty positions and only two "
        "detectors. The points follow the gradient of the same "
        "discrepancy that a transfer uses. Choose a different method to see what it aligns and what it "
        "ignores."
    )
    with gr.Accordion("Drag the points yourself", open=False):
        gr.HTML(FRAME, elem_id="two-samples")
    words = gr.Markdown(shown[1], elem_id="idea", latex_delimiters=DELIMITERS)
    outputs = [drawing, words, gr.HTML(shown[2], elem_id="forces")]
    # While the tab is closed, the server does not redraw it, because the server is busy with images.
    asks = gr.Number(0, visible="hidden", elem_id="idea-asks")
    tab.select(None, asks, asks, js="(asks) => asks + 1", **PRIVATE)
    gr.on([part.change for part in method.inputs], None, asks, asks, js=IF_OPEN, **PRIVATE)
    asks.change(everything, method.inputs, outputs, trigger_mode="always_last", **QUIET)
