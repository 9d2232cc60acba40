"""Room 1, Stylize: the picture forms before the visitor's eyes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr
from PIL import Image

from demo.parts import curves, messages, reproduce
from demo.parts.controls import Controls
from demo.rooms.room import Buttons, Update, connect
from demo.runs import files
from demo.runs.desk import DESK
from demo.runs.engine import Frame, Job, frames
from demo.runs.limits import LIMITS

ROOM = "stylize"


@dataclass(frozen=True)
class Room:
    """The components of this room."""

    content: gr.Image
    style: gr.Image
    controls: Controls
    buttons: Buttons
    status: gr.HTML
    picture: gr.Image
    slider: gr.ImageSlider
    curve: gr.HTML
    download: gr.DownloadButton
    again: gr.Button
    python: gr.Code
    command: gr.Textbox

    @property
    def outputs(self) -> list[Any]:
        return [
            self.picture, self.slider, self.curve, self.download, self.again, self.python, self.command,
        ]  # fmt: skip

    def run(self, values: dict[Any, Any], request: gr.Request) -> Iterator[Update]:
        """The updates of one run, the last of which leaves the room ready for the next."""
        content, style = values[self.content], values[self.style]
        over = self.buttons.show(self.buttons.start)
        if problem := messages.missing(content, style):
            yield {self.status: messages.alert(problem), **over}
            return
        try:
            job = Job(self.controls.settings(values), content, style, seconds=LIMITS.seconds)
            yield {
                self.status: messages.note("Looking at the pictures …"),
                self.curve: curves.draw(None),
                self.python: reproduce.python(job.settings, content, style),
                self.command: reproduce.command(job.settings, content, style),
                self.download: gr.update(interactive=False),
                self.again: gr.update(interactive=False),
                **self.buttons.show(self.buttons.stop),
            }
            yield from self._stream(job, request)
        except Exception as error:
            yield {self.status: messages.alert(messages.explain(error, content, style)), **over}

    def _stream(self, job: Job, request: gr.Request) -> Iterator[Update]:
        history = curves.History(job.settings.iterations)
        shown: Frame | None = None
        stopped = False
        with DESK.run(request.session_hash, ROOM) as flag:
            run = frames(job)
            try:
                for frame in run:
                    history.add(frame.terms)
                    if frame.pixels is not None:
                        shown = frame
                        yield {
                            self.status: messages.running(frame, job.settings),
                            self.picture: Image.fromarray(frame.pixels),
                            self.curve: curves.draw(history),
                        }
                    if flag.is_set() and not frame.done:
                        stopped = True
                        break
            finally:
                run.close()  # type: ignore[attr-defined]
        yield from self._result(job, shown, history, stopped)

    def _result(
        self, job: Job, frame: Frame | None, history: curves.History, stopped: bool
    ) -> Iterator[Update]:
        over = self.buttons.show(self.buttons.start)
        if frame is None or frame.pixels is None:
            yield {self.status: messages.note("Stopped before the first picture."), **over}
            return
        assert job.content and job.style
        with files.outbox() as folder:
            name = reproduce.file_name(job.settings, job.content, job.style)
            path = files.save_png(frame.pixels, frame.recipe | {"step": frame.index}, folder / name)
            yield {
                self.status: messages.finished(frame, stopped),
                self.picture: path,
                self.slider: (files.as_large_as(job.content, frame.pixels), path),
                self.curve: curves.draw(history),
                self.download: gr.update(value=path, interactive=True),
                self.again: gr.update(interactive=True),
                **over,
            }


def build(content: gr.Image, style: gr.Image, controls: Controls) -> Room:
    """Lays the room out, in the current tab."""
    with gr.Row(elem_classes="nst-head"):
        with gr.Column(scale=1, min_width=200):
            buttons = Buttons.build("Transfer the style", ROOM)
        with gr.Column(scale=3, min_width=260):
            status = gr.HTML(messages.note(messages.READY), elem_id="status", elem_classes="nst-statusbox")
    with gr.Tabs(elem_classes="nst-views"):
        with gr.Tab("Picture"):
            picture = gr.Image(
                label="Result",
                show_label=False,
                interactive=False,
                image_mode=None,
                type="filepath",
                format="webp",
                height=440,
                elem_id="result",
                buttons=["fullscreen"],
                alt_text="The picture that is forming, or its result",
            )
        with gr.Tab("Before and after"):
            slider = gr.ImageSlider(
                label="Before and after",
                show_label=False,
                interactive=False,
                format="png",
                height=440,
                max_height=440,
                elem_id="slider",
                buttons=["fullscreen"],
            )
    with gr.Row(elem_classes="nst-tight"):
        download = gr.DownloadButton(
            "Download PNG", interactive=False, elem_id="download", size="md", min_width=130
        )
        again = gr.Button("Use as content", interactive=False, elem_id="again", size="md", min_width=130)
    curve = gr.HTML(curves.draw(None), elem_id="curve")
    with gr.Accordion("Make this picture again", open=False):
        gr.Markdown("The PNG also carries its recipe: `nstlib.read_recipe(file)` reads it.")
        python = gr.Code(language="python", label="Python", interactive=False, lines=8, elem_id="python")
        command = gr.Textbox(
            label="Command line", interactive=False, lines=2, buttons=["copy"], elem_id="command"
        )
    room = Room(
        content, style, controls, buttons, status, picture, slider, curve, download, again, python, command
    )
    connect(buttons, ROOM, status, room.run, {content, style, *controls.inputs}, room.outputs)
    # in the browser alone: the server is not asked, and believes no path
    again.click(None, picture, content, js="(picture) => picture", api_visibility="private")
    return room
