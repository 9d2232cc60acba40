"""The page: the pictures and choices shared by all rooms, beside the rooms."""

import gradio as gr

from demo import api
from demo.door.house import House
from demo.parts import controls, pictures, second
from demo.rooms import canvas, compare, idea, inside, stylize, visit
from demo.rooms.room import QUIET
from demo.runs.engine import Job
from demo.runs.painter import one_pass
from demo.runs.results import Result

TITLE = """# Style transfer is distribution alignment
Give one picture the style of another, four ways, and watch it form. Each way is a different answer to one
question: *what is a style?*"""

# Start, leave and stop take turns: the focus goes from the one that disappears to the one that comes.
KEEP_FOCUS = """() => {
  let last = null;
  document.addEventListener("focusin", (event) => { last = event.target.closest?.(".nst-go"); });
  new MutationObserver(() => {
    if (!last || (last.isConnected && last.offsetParent) || document.activeElement !== document.body) return;
    const next = [...document.querySelectorAll(".nst-go")].find(
      (button) => button.offsetParent && button.id.split("-")[0] === last.id.split("-")[0]);
    next?.focus();
  }).observe(document.body, { childList: true, subtree: true, attributes: true, attributeFilter: ["class"] });
}"""

# Gradio gives example thumbnails no name: say what each shows, once they are there.
NAME_EXAMPLES = """() => {
  const name = () => document.querySelectorAll(".nst-picture .gallery-item").forEach((item) => {
    const picture = item.querySelector("img");
    if (!picture) return;
    const file = decodeURIComponent(picture.src).split("/").pop().replace(/\\.\\w+$/, "");
    picture.alt = "Example: " + file.replaceAll("_", " ");
  });
  [0, 500, 2000, 6000].forEach((wait) => setTimeout(name, wait));
}"""


KINDS, FIRST = ("contents", "styles"), ("harbour", "strokes")


def _first() -> Result:
    """What is there when the page opens: the first pair as the controls stand, by one pass."""
    content, style = (pictures.example(kind, name) for kind, name in zip(KINDS, FIRST, strict=True))
    assert content and style
    job = Job(controls.DEFAULTS, content, style)
    pixels, library = one_pass(job)
    return Result(pixels, job.recipe(), library, content, job.recipe().wish)


def build() -> House:
    """The whole app, ready for `queue` and `launch`."""
    blocks = House(title="Style transfer, demystified", analytics_enabled=False, delete_cache=(1800, 7200))
    with blocks:
        gr.Markdown(TITLE, elem_classes="nst-title")
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
                with gr.Tab("The idea", id="idea"):
                    idea.build(choices.method)
        for picture in (content, style, more.picture):
            picture.upload(pictures.check, picture, [picture, room.status], **QUIET)
        for js in (NAME_EXAMPLES, KEEP_FOCUS):
            blocks.load(None, js=js, api_visibility="private")
        api.build()
    return blocks
