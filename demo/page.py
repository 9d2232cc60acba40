"""The page: the images and settings that all tabs share, beside the tabs."""

import gradio as gr

from demo import api
from demo.components import theme
from demo.components.common import PRIVATE, QUIET
from demo.components.controls import DEFAULTS
from demo.components.inputs import Inputs, check, first
from demo.guard.blocks import GuardedBlocks
from demo.runs.engine import Job
from demo.runs.preview import one_pass
from demo.runs.results import Result
from demo.tabs import compare, idea, inside
from demo.tabs.history import History
from demo.tabs.stylize import Stylize

TITLE = """# Style transfer is distribution alignment
Give one image the style of another in four ways, and watch it form. Each way is a different answer to one
question: *what is a style?*"""


def _first_result() -> Result:
    """What the page opens with: one pass of the first pair with the default settings."""
    job = Job(DEFAULTS, first("contents"), first("styles"))
    pixels, library = one_pass(job)
    return Result(pixels, job.recipe(), library, first("contents"), job.recipe().request)


def build() -> GuardedBlocks:
    """The whole app, ready for `queue` and `launch`."""
    blocks = GuardedBlocks(title="Style transfer is distribution alignment", analytics_enabled=False)
    with blocks:
        with gr.Row(elem_classes="nst-top"):
            gr.Markdown(TITLE, elem_classes="nst-title")
            # page.js does both, in the browser
            gr.Button("Choices", size="sm", scale=0, min_width=90, elem_id="choices")
            gr.Button("Projector", size="sm", scale=0, min_width=90, elem_id="projector")
        with gr.Row(equal_height=False, elem_classes="nst-page"):
            left = gr.Column(scale=7, min_width=320, elem_classes="nst-show")
            with gr.Column(scale=5, min_width=320, elem_classes="nst-choose"):
                inputs = Inputs()
            with left, gr.Tabs(elem_classes="nst-tabs"):
                with gr.Tab("Stylize", id="stylize"):
                    stylize = Stylize(inputs, _first_result())
                    History(stylize, blocks)
                with gr.Tab("Compare", id="compare"):
                    compare.build(inputs)
                with gr.Tab("Look inside", id="inside"):
                    inside.build(inputs)
                with gr.Tab("The idea", id="idea") as tab:
                    idea.build(inputs.controls.method, tab)
        for image in inputs.images:
            image.upload(check, image, [image, stylize.bar.status], **QUIET)
        blocks.load(None, js=theme.ON_LOAD, **PRIVATE)
        api.build()
    return blocks
