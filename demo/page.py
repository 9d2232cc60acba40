"""Lays out the page: the tabs, and beside them the images and settings that all tabs share."""

import gradio as gr

from demo import api
from demo.components import theme
from demo.components.common import PRIVATE
from demo.components.inputs import Inputs
from demo.guard.blocks import GuardedBlocks
from demo.runs import ready
from demo.runs.limits import LIMITS
from demo.tabs import compare, idea, inside
from demo.tabs.grid_tab import GridTab
from demo.tabs.history import History
from demo.tabs.stylize import Stylize

NAME = "Style transfer is distribution alignment"
TITLE = f"""# {NAME}
Give your photo the style of a painting in four ways. Each is a different answer to one question: *what is a
style?*"""


def build() -> GuardedBlocks:
    """Returns the whole app, ready for `queue` and `launch`."""
    blocks = GuardedBlocks(title=NAME, analytics_enabled=False)
    with blocks:
        with gr.Row(elem_classes="nst-top"):
            gr.Markdown(TITLE, elem_classes="nst-title")
            if LIMITS.web:  # the static page, which has no queue
                look = {"size": "sm", "scale": 0, "min_width": 130, "elem_id": "in-browser"}
                gr.Button("Run in your browser", link=LIMITS.web, link_target="_blank", **look)
            # page.js handles this button, in the browser
            gr.Button("Projector", size="sm", scale=0, min_width=90, elem_id="projector")
        with gr.Row(equal_height=False, elem_classes="nst-page"):
            left = gr.Column(scale=7, min_width=320, elem_classes="nst-show")
            with gr.Column(scale=5, min_width=320, elem_classes="nst-choose"):
                inputs = Inputs()
            with left, gr.Tabs(elem_classes="nst-tabs"):
                with gr.Tab("Stylize", id="stylize"):
                    stylize = Stylize(inputs, ready.open_result(ready.FIRST), blocks)
                with gr.Tab("Compare", id="compare") as compare_tab:
                    comparison = GridTab("compare", compare.plan, compare.KINDS, inputs, blocks)
                with gr.Tab("Look inside", id="inside") as inside_tab:
                    layers = GridTab("inside", inside.plan, inside.KINDS, inputs, blocks)
                with gr.Tab("The idea", id="idea") as tab:
                    idea.build(inputs.controls.method, tab)
            with gr.Column(elem_classes="nst-more"):
                history = History(stylize)
                stylize.add_more()
        stylize.connect()
        history.connect(blocks)
        comparison.connect(compare_tab, history)
        layers.connect(inside_tab, history)
        blocks.load(None, js=theme.ON_LOAD, **PRIVATE)
        api.build()
    return blocks
