"""Room 1, Stylize: one pass follows every change; Refine optimises, and the picture forms as you watch."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr
from PIL import Image

from demo.parts import curves, messages, reproduce
from demo.parts.controls import Controls
from demo.parts.second import Second
from demo.rooms import tools
from demo.rooms.canvas import Canvas
from demo.rooms.room import QUIET, Buttons, Update, connect
from demo.runs import files
from demo.runs.desk import DESK
from demo.runs.engine import Frame, Job, frames
from demo.runs.film import Film
from demo.runs.limits import LIMITS
from demo.runs.painter import live, one_pass
from demo.runs.results import Result

ROOM = "stylize"


@dataclass(frozen=True)
class Room:
    """What is asked for, and where it is shown."""

    content: gr.Image
    style: gr.Image
    second: Second
    controls: Controls
    canvas: Canvas
    tools: tools.Tools
    buttons: Buttons
    status: gr.HTML
    curve: gr.HTML

    @property
    def inputs(self) -> set[Any]:
        """What a picture depends on."""
        return {self.content, self.style, self.controls.detail, *self.second.inputs, *self.controls.inputs}

    def job(self, values: dict[Any, Any]) -> Job:
        """What the visitor asks for. Raises ValueError in words fit for a visitor."""
        content, style = values[self.content], values[self.style]
        if problem := messages.missing(content, style):
            raise ValueError(problem)
        second, weights, where = self.second.read(values)
        settings = self.controls.settings(values).replace(style_weights=weights)
        return Job(settings, content, style, seconds=LIMITS.seconds, second=second, where=where)

    def troubled(self, error: Exception, values: dict[Any, Any]) -> Update:
        given = (values[self.content], values[self.style], values[self.second.picture])
        return {self.status: messages.alert(messages.explain(error, *given))}

    def follow(self, values: dict[Any, Any], request: gr.Request) -> Update:
        """One pass, if what is asked for is not what is shown, and no run is being watched."""
        shown: Result | None = values[self.canvas.shown]
        missing = messages.missing(values[self.content], values[self.style])
        if missing or DESK.running(request.session_hash, ROOM):  # why a picture was refused stays to be read
            return {self.status: gr.skip()}
        try:
            start, job = time.perf_counter(), self.job(values)
            detail = float(values[self.controls.detail])
            wish = job.recipe(detail=detail).wish
            if shown is not None and shown.wish == wish:
                return {self.status: gr.skip()}
            quick = live(job)
            pixels, library = one_pass(quick, detail)
        except Exception as error:
            return self.troubled(error, values)
        assert job.content
        height, width = pixels.shape[:2]
        made = f"One pass: {width} × {height} px in {time.perf_counter() - start:.2f} s. "
        if quick.settings.size < job.settings.size:
            made += f"{quick.settings.size} px is the most for one pass of this method here. "
        result = Result(pixels, quick.recipe(detail=detail), library, job.content, wish)
        return {
            self.status: messages.note(f"{made}<b>Refine</b> optimises it."),
            self.canvas.film: gr.update(interactive=False),
            **self.canvas.present(result, values),
        }

    def run(self, values: dict[Any, Any], request: gr.Request) -> Iterator[Update]:
        """The updates of one run, the last of which leaves the room ready for the next."""
        over = self.buttons.show(self.buttons.start)
        try:
            job = self.job(values)
            yield {
                self.status: messages.note("Looking at the pictures …"),
                self.curve: curves.draw(None),
                self.canvas.film: gr.update(interactive=False),
                **self.buttons.show(self.buttons.stop),
            }
            yield from self._stream(job, values, request)
        except Exception as error:
            yield self.troubled(error, values) | over

    def _stream(self, job: Job, values: dict[Any, Any], request: gr.Request) -> Iterator[Update]:
        history, film = curves.History(job.settings.iterations), Film()
        before: Result | None = values[self.canvas.shown]
        if before is not None and before.wish == job.recipe(detail=float(values[self.controls.detail])).wish:
            film.add(before.seen(1.0))
        shown: Frame | None = None
        stopped = False
        with DESK.run(request.session_hash, ROOM) as flag:
            run = frames(job)
            try:
                for frame in run:
                    history.add(frame.terms)
                    if frame.pixels is not None:
                        shown = frame
                        film.add(frame.pixels)
                        yield {
                            self.status: messages.running(frame, job.settings),
                            self.canvas.picture: Image.fromarray(
                                self._result(job, frame, values).seen(values[self.canvas.strength])
                            ),
                            self.curve: curves.draw(history),
                        }
                    if flag.is_set() and not frame.done:
                        stopped = True
                        break
            finally:
                run.close()  # type: ignore[attr-defined]
        if shown is None:
            nothing = messages.note("Stopped before the first picture.")
            yield {self.status: nothing, **self.buttons.show(self.buttons.start)}
            return
        yield from self._finish(job, shown, film, history, values, stopped)

    def _result(self, job: Job, frame: Frame, values: dict[Any, Any]) -> Result:
        assert job.content and frame.pixels is not None
        recipe = job.recipe(frame.index, float(values[self.controls.detail]))
        return Result(frame.pixels, recipe, frame.recipe, job.content, recipe.wish)

    def _finish(
        self,
        job: Job,
        frame: Frame,
        film: Film,
        history: curves.History,
        values: dict[Any, Any],
        stopped: bool,
    ) -> Iterator[Update]:
        result = self._result(job, frame, values)
        with files.outbox() as folder:
            name = reproduce.named(result.recipe).removesuffix(".png") + ".webp"
            yield {
                self.status: messages.finished(frame, stopped),
                self.curve: curves.draw(history),
                self.canvas.film: gr.update(value=film.save(folder / name, result.pixels), interactive=True),
                **self.canvas.present(result, values),
                **self.canvas.kept(result, values),
                **self.buttons.show(self.buttons.start),
            }


def build(content: gr.Image, style: gr.Image, second: Second, controls: Controls, canvas: Canvas) -> Room:
    """Lays the buttons and the curve out, in the current tab, and connects the room."""
    with gr.Row(elem_classes="nst-head"):
        with gr.Column(scale=1, min_width=140):
            buttons = Buttons.build("Refine", ROOM)
        with gr.Column(scale=3, min_width=220):
            status = gr.HTML(messages.note(messages.READY), elem_id="status", elem_classes="nst-statusbox")
    below = tools.build(canvas, content)
    curve = gr.HTML(curves.draw(None), elem_id="curve")
    room = Room(content, style, second, controls, canvas, below, buttons, status, curve)
    watched = room.inputs | canvas.inputs
    outputs = [*canvas.outputs, canvas.film, *canvas.keeping, curve]
    connect(buttons, ROOM, status, room.run, watched, outputs)
    return room


def follows(room: Room) -> None:
    """The picture follows every change: the newest wish, those between are forgotten."""
    brush = room.second.brushed
    changes = [part.change for part in room.inputs - {brush}]  # type: ignore[attr-defined]
    gr.on(
        [*changes, brush.input],
        room.follow,
        room.inputs | room.canvas.inputs,
        [room.status, *room.canvas.outputs, room.canvas.film],
        trigger_mode="always_last",
        **QUIET,  # no queue: its bookkeeping takes as long as a small picture
    )
