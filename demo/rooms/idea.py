"""Room 4, The idea: what the chosen method takes a style to be, in words, a formula and numbers."""

import os
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

import nstlib
from demo.parts.method_controls import FUSION, NAMES, MethodControls

SOURCE = "https://github.com/nstlib/nstlib/blob/main"  # NSTLIB_SOURCE_URL names another home
NUMBER_SIDE = 256  # px: the picture whose size the numbers are compared with


@dataclass(frozen=True)
class Idea:
    """One method. formula, cost: LaTeX. blind: what it cannot see. notebook: file#section
    that derives it."""

    words: str
    formula: str
    remembers: str
    blind: str
    cost: str
    notebook: str


IDEAS = {
    "linear": Idea(
        "Ask of every feature detector: *how strongly do you fire on average?* Two pictures share a style "
        "when all the averages agree.",
        r"\mathrm{MMD}^2 = \lVert \mu_F - \mu_S \rVert^2, \qquad k(x, y) = x^{\mathsf T} y",
        "the mean of every channel",
        "how much a detector varies, and which detectors fire together",
        r"O(N_l M_l)",
        "04_four_styles_of_style#Linear",
    ),
    "poly": Idea(
        "Ask of every *pair* of detectors: *how often do you fire together?* This is the Gram matrix of "
        "Gatys, Ecker and Bethge, and the paper's discovery is that comparing Gram matrices **is** comparing "
        "two distributions.",
        r"\mathrm{MMD}^2 = \Bigl\lVert \tfrac{1}{M_l} F F^{\mathsf T}"
        r" - \tfrac{1}{M_l'} S S^{\mathsf T} \Bigr\rVert^2"
        r" + 2c \, \lVert \mu_F - \mu_S \rVert^2, \qquad k(x, y) = (x^{\mathsf T} y + c)^2",
        "the Gram matrix: one number for every pair of channels",
        "everything beyond second moments: two very different crowds can have the same Gram matrix",
        r"O(N_l^2 M_l)",
        "03_gram_is_mmd#The derivation",
    ),
    "gaussian": Idea(
        "Ask how *crowded* feature space is around every point, seen through a blur of width σ. In principle "
        "this notices every difference between two distributions.",
        r"\mathrm{MMD}^2 = \overline{k(f, f')} + \overline{k(s, s')} - 2\,\overline{k(f, s)}, \qquad "
        r"k(x, y) = e^{-\lVert x - y \rVert^2 / 2\sigma^2}",
        "averages of random cosines, a fingerprint of the whole distribution",
        "details much finer or much coarser than its blur σ",
        r"O(N_l D M_l)",
        "02_two_sample_problem#The Gaussian kernel",
    ),
    "bn": Idea(
        "Ask of every detector two things: *how strongly do you fire on average, and how much does that "
        "vary?* These are the numbers batch normalisation keeps, and they suffice for a surprisingly good "
        "style.",
        r"d = \frac{1}{N_l} \sum_i (\mu_{F,i} - \mu_{S,i})^2 + (\sigma_{F,i} - \sigma_{S,i})^2",
        "the mean and the deviation of every channel",
        "which detectors fire together",
        r"O(N_l M_l)",
        "04_four_styles_of_style#BN statistics",
    ),
}


def numbers(name: str, c: float = 0.0) -> int:
    """How many numbers the method keeps of a style, over all style layers of the embedded encoder."""
    encoder = nstlib.load_encoder("vgg19-slim")
    widths = [encoder.channels[layer] for layer in encoder.style_layers]
    each = {
        "linear": lambda n: n,
        "bn": lambda n: 2 * n,
        "poly": lambda n: n * (n + 1) // 2 + (n if c else 0),
        "gaussian": lambda n: min(512, max(64, 2 * n)),
    }
    return sum(each[name](n) for n in widths)


def describe(name: str, c: float | None, first: str, second: str, mix: float) -> str:
    """Markdown for the chosen method, or for both parts of a fusion."""
    if name != FUSION:
        return _one(name)
    share = f"{round(100 * (1 - mix))} % {NAMES[first]}, {round(100 * mix)} % {NAMES[second]}"
    both = _one(first) if first == second else f"{_one(first)}\n\n---\n\n{_one(second)}"
    return (
        f"## A fusion: {share}\nTwo answers at once: the two distances are brought to the same strength and "
        "added. The linear method added to the Gram matrix is nothing but a polynomial kernel with c > 0."
        f"\n\n{both}"
    )


def _one(name: str) -> str:
    idea = IDEAS[name]
    return (
        f"## {NAMES[name]}\n{idea.words}\n\n$$ {idea.formula} $$\n\n"
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


def memory(name: str, c: float | None, first: str, second: str) -> str:
    """Bars: how many numbers each method keeps, against the picture itself."""
    chosen = {first, second} if name == FUSION else {name}
    picture = 3 * NUMBER_SIDE * NUMBER_SIDE * 3 // 4
    rows = [(NAMES[key], numbers(key, c or 0), key in chosen) for key in ("linear", "bn", "gaussian", "poly")]
    rows.append((f"The picture itself, at {NUMBER_SIDE} px", picture, False))
    bars = "".join(
        f'<li class="{"chosen" if on else ""}"><span>{escape(label)}</span>'
        f'<i style="width:{max(100 * count / picture, 0.3):.2f}%"></i><b>{count:,}</b></li>'
        for label, count, on in rows
    )
    caption = "<figcaption>What is kept of a style, in numbers</figcaption>"
    return f'<figure class="nst-memory">{caption}<ul>{bars}</ul></figure>'


def build(method: MethodControls) -> None:
    """Lays the room out, in the current tab; it follows the method chosen on the left."""
    gr.Markdown(
        "A network of feature detectors looks at a picture and answers, at every position, with a list of "
        "numbers. Forget *where* each answer came from and a cloud of points is left: a **distribution**. "
        "That cloud is the style, and moving one picture's cloud onto another's is style transfer. The "
        "methods differ in *how they compare two clouds*."
    )
    parts: list[Any] = [method.method, method.c, method.first, method.second, method.mix]
    values: list[Any] = [part.value for part in parts]
    text = gr.Markdown(
        describe(*values),
        elem_id="idea",
        latex_delimiters=[
            {"left": "$$", "right": "$$", "display": True},
            {"left": "$", "right": "$", "display": False},
        ],
    )
    bars = gr.HTML(memory(*values[:4]))
    for part in parts:
        part.change(describe, parts, text, queue=False, show_progress="hidden", api_visibility="private")
        part.change(memory, parts[:4], bars, queue=False, show_progress="hidden", api_visibility="private")
