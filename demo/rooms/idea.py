"""Room 4, The idea: what the chosen method takes a style to be, in moving points, words, formula, numbers."""

import math
import os
from html import escape
from typing import Any

import gradio as gr

import nstlib
from demo.parts import clouds
from demo.parts.ideas import IDEAS
from demo.parts.method_controls import ALL, FUSION, OTHER, MethodControls, spell
from demo.rooms.room import QUIET

SOURCE = "https://github.com/nstlib/nstlib/blob/main"  # NSTLIB_SOURCE_URL names another home
SHOWN = {"linear", "bn", "gaussian", "poly"}  # methods whose memories are always compared
NUMBER_SIDE = 256  # px: the picture whose size the numbers are compared with
ASK = "(asks) => document.querySelector('#clouds')?.offsetParent ? asks + 1 : asks"
DECADES = (2, 3, 4, 5, 6)  # of the scale of numbers kept: 100 … 1,000,000


def numbers(name: str, c: float = 0.0) -> int:
    """How many numbers the method keeps of a style, over all style layers of the embedded encoder."""
    encoder = nstlib.load_encoder("vgg19-slim")
    widths = [encoder.channels[layer] for layer in encoder.style_layers]
    each = {
        "linear": lambda n: n,
        "bn": lambda n: 2 * n,
        "poly": lambda n: n * (n + 1) // 2 + (n if c else 0),
        "gaussian": lambda n: min(512, max(64, 2 * n)),
        "laplace": lambda n: min(512, max(64, 2 * n)),
        "cubic": lambda n: min(128, max(64, n)),
        "wasserstein": lambda n: n * (n + 1) // 2 + n,
        "coral": lambda n: n * (n + 1) // 2,
        "cmd": lambda n: 5 * n,
        "sliced": lambda n: 128 * min(64, max(16, n)),
        "energy": lambda n: 128 * min(64, max(16, n)),
    }
    return sum(each[name](n) for n in widths)


def describe(name: str, other: str, c: float | None, first: str, second: str, mix: float) -> str:
    """Markdown for the chosen method, or for both parts of a fusion."""
    name = other if name == OTHER else name
    if name != FUSION:
        return _one(name)
    share = f"{round(100 * (1 - mix))} % {ALL[first]}, {round(100 * mix)} % {ALL[second]}"
    both = _one(first) if first == second else f"{_one(first)}\n\n---\n\n{_one(second)}"
    return (
        f"## A fusion: {share}\nTwo answers at once: the two distances are brought to the same strength and "
        "added. The linear method added to the Gram matrix is nothing but a polynomial kernel with c > 0."
        f"\n\n{both}"
    )


def _one(name: str) -> str:
    idea = IDEAS[name]
    return (
        f"## {ALL[name]}\n{idea.words}\n\n$$ {idea.formula} $$\n\n"
        f"- **It remembers** {idea.remembers}: {numbers(name):,} numbers in all.\n"
        f"- **It cannot see** {idea.blind}.\n"
        f"- **It costs** ${idea.cost}$ per layer and step, with $N_l$ channels at $M_l$ positions.\n"
        f"- **Where it comes from**: {_link(idea.notebook)}."
    )


def _link(place: str) -> str:
    """A link to a section of a notebook; headings are anchors, with dashes for spaces."""
    notebook, _, section = place.partition("#")
    path = f"notebooks/{notebook}.ipynb"
    base = os.environ.get("NSTLIB_SOURCE_URL", SOURCE)
    return f"[{path}, “{section}”]({base.rstrip('/')}/{path}#{section.replace(' ', '-')})"


def memory(name: str, other: str, c: float | None, first: str, second: str) -> str:
    """A figure on a log scale: how many numbers each method keeps, against the picture itself."""
    chosen = {first, second} if name == FUSION else {other if name == OTHER else name}
    picture = 3 * NUMBER_SIDE * NUMBER_SIDE * 3 // 4
    rows = [(ALL[key], numbers(key, c or 0), key in chosen) for key in sorted(SHOWN | chosen)]
    rows.sort(key=lambda row: row[1])
    rows.append((f"The picture itself, at {NUMBER_SIDE} px", picture, False))
    marks = "".join(
        f'<li class="{"chosen" if on else ""}"><span>{escape(label)}</span>'
        f'<div class="scale"><i style="left:{_place(count):.1f}%"></i></div><b>{count:,}</b></li>'
        for label, count, on in rows
    )
    ticks = "".join(f'<u style="left:{_place(10**power):.1f}%">{10**power:,}</u>' for power in DECADES)
    caption = "<figcaption>What is kept of a style, in numbers (each line is ten times the one before)"
    axis = f'<div class="axis" aria-hidden="true"><span></span><div class="scale">{ticks}</div><b></b></div>'
    return f'<figure class="nst-memory">{caption}</figcaption><ul>{marks}</ul>{axis}</figure>'


def _place(count: float) -> float:
    """Where a number lies on the scale, in percent."""
    low, high = DECADES[0], DECADES[-1]
    return 100 * (math.log10(count) - low) / (high - low)


def forces(gamma: float) -> str:
    """γ as two pulls on one picture: arrows as long as 1 and γ, of 1 + γ in all."""
    share = gamma / (1 + gamma)
    more, less = f"{gamma:.3g} times as hard", f"{1 / gamma:.3g} times as weakly"
    pull = "in the usual balance" if gamma == 1 else f"{more if gamma > 1 else less} as in the usual balance"
    return (
        f'<figure class="nst-forces" style="--style:{share:.3f}"><div class="line" aria-hidden="true">'
        '<span>content</span><i class="content"></i><em></em><i class="style"></i><span>style</span></div>'
        f"<figcaption><b>γ = {gamma:g}</b>: the style pulls {pull}. That balance, γ = 1, is measured at the "
        "start of every run, so that γ means the same for every method and every pair of pictures. Where "
        "both pulls are equal, the picture comes to rest.</figcaption></figure>"
    )


def moving(*values: Any) -> str:
    """The two clouds under the method that the controls show (see clouds.py)."""
    return clouds.played(spell(*values))


def everything(
    name: str, other: str, c: float, factor: float, first: str, second: str, mix: float, gamma: float | None
) -> list[Any]:
    """The clouds, the words, γ's forces and the memory, as the controls stand."""
    return [
        moving(name, other, c, factor, first, second, mix),
        describe(name, other, c, first, second, mix),
        forces(gamma) if gamma and gamma > 0 else gr.skip(),  # a box may be empty for a while
        memory(name, other, c, first, second),
    ]


def build(method: MethodControls, room: gr.Tab) -> None:
    """Lays the room out, in the current tab; it follows the method and γ chosen, while it is open."""
    gr.Markdown(
        "A network of feature detectors looks at a picture and answers, at every position, with a list of "
        "numbers. Forget *where* each answer came from and a cloud of points is left: a **distribution**. "
        "That cloud is the style, and moving one picture's cloud onto another's is style transfer. The "
        "methods differ in *how they compare two clouds*."
    )
    values: list[Any] = [part.value for part in method.inputs]  # type: ignore[attr-defined]
    drawing, words, balance, scale = everything(*values)
    drawn = gr.HTML(drawing, elem_id="clouds", js_on_load=clouds.PLAY)
    gr.Markdown(
        "Sixty positions and only two detectors, so that it can be drawn; the points follow the gradient of "
        "the very discrepancy that a transfer uses. Choose another method and watch what it brings together "
        "and what it leaves."
    )
    text = gr.Markdown(
        words,
        elem_id="idea",
        latex_delimiters=[
            {"left": "$$", "right": "$$", "display": True},
            {"left": "$", "right": "$", "display": False},
        ],
    )
    pulls = gr.HTML(balance, elem_id="forces")
    bars = gr.HTML(scale, elem_id="memory")
    # While the room is closed a change of the controls ends in the browser: the server has pictures to make.
    ask = gr.Number(0, visible="hidden", elem_id="idea-asks")
    room.select(None, ask, ask, js="(asks) => asks + 1", api_visibility="private")
    changes = [part.change for part in method.inputs]  # type: ignore[attr-defined]
    gr.on(changes, None, ask, ask, js=ASK, api_visibility="private")
    ask.change(everything, method.inputs, [drawn, text, pulls, bars], trigger_mode="always_last", **QUIET)
