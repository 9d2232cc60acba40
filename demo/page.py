"""The page: the pictures and choices on the left, shared by all rooms on the right."""

from typing import Any

import gradio as gr

from demo import api, controls, pictures, stylize

TITLE = """# Style transfer is distribution alignment
Give one picture the style of another, four ways, and watch it form. Each way is a different answer to one
question: *what is a style?*"""
QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}


def build() -> gr.Blocks:
    """The whole app, ready for `queue` and `launch`."""
    with gr.Blocks(title="Style transfer, demystified", analytics_enabled=False, delete_cache=(1800, 7200)) as blocks:
        gr.Markdown(TITLE, elem_classes="nst-title")
        with gr.Row(equal_height=False):
            with gr.Column(scale=5, min_width=320):
                with gr.Row(elem_classes="nst-pair"):
                    content = pictures.build("contents", "Content", "harbour", "The content picture")
                    style = pictures.build("styles", "Style", "waves", "The style picture")
                choices = controls.build()
            with gr.Column(scale=7, min_width=320), gr.Tabs(elem_classes="nst-rooms"):
                with gr.Tab("Stylize", id="stylize"):
                    room = stylize.build(content, style, choices)
        for picture in (content, style):
            picture.upload(pictures.check, picture, [picture, room.status], **QUIET)
        api.build()
    return blocks
