"""The page: the pictures and choices shared by all rooms, beside the rooms."""

import gradio as gr

from demo import api
from demo.guard.blocks import GuardedBlocks
from demo.parts import controls, pictures, second, theme
from demo.rooms import canvas, compare, idea, inside, stylize, visit
from demo.rooms.room import QUIET
from demo.runs.engine import Job
from demo.runs.painter import one_pass
from demo.runs.results import Result

TITLE = """# Style transfer is distribution alignment
Give one picture the style of another, four ways, and watch it form. Each way is a different answer to one
question: *what is a style?*"""


KINDS, FIRST = ("contents", "styles"), ("harbour", "strokes")


def _first() -> Result:
    """What is there when the page opens: the first pair as the controls stand, by one pass."""
    content, style = (pictures.example(kind, name) for kind, name in zip(KINDS, FIRST, strict=True))
    assert content and style
    job = Job(controls.DEFAULTS, content, style)
    pixels, library = one_pass(job)
    return Result(pixels, job.recipe(), library, content, job.recipe().wish)


def build() -> GuardedBlocks:
    """The whole app, ready for `queue` and `launch`."""
    blocks = GuardedBlocks(title="Style transfer, demystified", analytics_enabled=False)
    with blocks:
        with gr.Row(elem_classes="nst-top"):
            gr.Markdown(TITLE, elem_classes="nst-title")
            # both by page.js, in the browser alone
            gr.Button("Choices", size="sm", scale=0, min_width=90, elem_id="choices")
            gr.Button("Projector", size="sm", scale=0, min_width=90, elem_id="projector")
        with gr.Row(equal_height=False, elem_classes="nst-page"):
            rooms = gr.Column(scale=7, min_width=320, elem_classes="nst-show")
            with gr.Column(scale=5, min_width=320, elem_classes="nst-choose"):
                with gr.Row(elem_classes="nst-pair"):
                    content = pictures.build("contents", "Content", FIRST[0], "The content picture")
                    style = pictures.build("styles", "Style", FIRST[1], "The style picture")
                choices = controls.build()
                more = second.build()
            with rooms, gr.Tabs(elem_classes="nst-rooms"):
                with gr.Tab("Stylize", id="stylize"):
                    room = stylize.build(content, style, more, choices, canvas.build(_first()))
                    visit.build(room, blocks)
                with gr.Tab("Compare", id="compare"):
                    compare.build(content, style, choices)
                with gr.Tab("Look inside", id="inside"):
                    inside.build(content, style, choices)
                with gr.Tab("The idea", id="idea") as tab:
                    idea.build(choices.method, tab)
        for picture in (content, style, more.picture):
            picture.upload(pictures.check, picture, [picture, room.status], **QUIET)
        blocks.load(None, js=theme.ON_LOAD, api_visibility="private")
        api.build()
    return blocks
