"""What Compare and Look inside share: choose a kind, press the button, a grid fills cell by cell."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

import nstlib
from demo.parts import messages
from demo.parts.controls import Controls
from demo.parts.grid import Grid, fill
from demo.rooms.room import Buttons, Update, connect
from demo.runs import files
from demo.runs.desk import DESK
from demo.runs.limits import LIMITS

REDRAW_EVERY = 0.8  # seconds
Planner = Callable[[str, nstlib.Settings, str | None, str | None, float], Grid]


@dataclass(frozen=True)
class GridRoom:
    """A room of this kind. plan: (kind, settings, content, style, seconds) → the grid to fill."""

    name: str
    plan: Planner
    content: gr.Image
    style: gr.Image
    controls: Controls
    kind: gr.Radio
    size: gr.Slider
    steps: gr.Slider
    buttons: Buttons
    status: gr.HTML
    view: gr.HTML
    download: gr.DownloadButton

    def run(self, values: dict[Any, Any], request: gr.Request) -> Iterator[Update]:
        """The updates of one run, the last of which leaves the room ready for the next."""
        content, style = values[self.content], values[self.style]
        over = self.buttons.show(self.buttons.start)
        try:
            chosen = self.controls.settings(values)
            small = chosen.replace(size=int(values[self.size] or 0), iterations=int(values[self.steps] or 0))
            grid = self.plan(values[self.kind], small, content, style, LIMITS.seconds)
            yield {
                self.status: messages.note("Looking at the pictures …"),
                self.view: grid.html(),
                self.download: gr.update(interactive=False),
                **self.buttons.show(self.buttons.stop),
            }
            yield from self._stream(grid, request)
        except Exception as error:
            yield {self.status: messages.alert(messages.explain(error, content, style)), **over}

    def _stream(self, grid: Grid, request: gr.Request) -> Iterator[Update]:
        begun, drawn, total, stopped = time.perf_counter(), 0.0, len(grid.jobs()), ""
        with DESK.run(request.session_hash, self.name) as flag:
            for cell in fill(grid):
                now, number = time.perf_counter(), grid.jobs().index(cell) + 1
                if flag.is_set():
                    stopped = f"<b>Stopped</b> at picture {number} of {total}."
                    break
                if now - begun > LIMITS.seconds:
                    stopped = f"<b>Time is up</b> ({LIMITS.seconds:g} s) at picture {number} of {total}."
                    break
                if now - drawn >= REDRAW_EVERY or not cell.active:
                    drawn = now
                    yield {
                        self.status: _progress(number, total, cell.label, cell.note),
                        self.view: grid.html(),
                    }
        yield from self._result(
            grid, stopped or f"<b>Done</b> in {messages.duration(time.perf_counter() - begun)}."
        )

    def _result(self, grid: Grid, words: str) -> Iterator[Update]:
        for cell in grid.cells:
            cell.note = ""
        with files.outbox() as folder:
            path = files.save_png(grid.sheet(), grid.recipe(), folder / f"{self.name}.png")
            yield {
                self.status: messages.note(words, "done"),
                self.view: grid.html(),
                self.download: gr.update(value=path, interactive=True),
                **self.buttons.show(self.buttons.start),
            }


def _progress(number: int, total: int, label: str, note: str) -> str:
    step, _, steps = note.removeprefix("step ").partition(" of ")
    share = (number - 1 + (int(step) / int(steps) if steps.isdigit() else 1)) / total
    return messages.bar(share, f"<b>Picture {number}</b> of {total}: {label}", "")


def build(
    name: str,
    label: str,
    plan: Planner,
    kinds: dict[str, str],
    content: gr.Image,
    style: gr.Image,
    controls: Controls,
    size: int,
    steps: int,
    empty: Grid,
) -> GridRoom:
    """Lays the room out, in the current tab. kinds: {shown: value}; empty: the grid before the first run."""
    kind = gr.Radio(
        list(kinds.items()), value=next(iter(kinds.values())), label="What to show", elem_id=f"{name}-kind"
    )
    with gr.Row(elem_classes="nst-head"):
        with gr.Column(scale=1, min_width=200):
            buttons = Buttons.build(label, name)
        with gr.Column(scale=3, min_width=260):
            status = gr.HTML(messages.note("Ready."), elem_id=f"{name}-status", elem_classes="nst-statusbox")
    view = gr.HTML(empty.html(), elem_id=f"{name}-grid")
    download = gr.DownloadButton(
        "Download as one PNG", interactive=False, elem_id=f"{name}-download", size="md"
    )
    with gr.Accordion("Size and steps", open=False), gr.Row(elem_classes="nst-tight"):
        pixels = gr.Slider(
            64,
            min(320, LIMITS.size),
            value=min(size, LIMITS.size),
            step=32,
            label="Size, px",
            elem_id=f"{name}-size",
            buttons=[],
        )
        number = gr.Slider(
            10,
            min(400, LIMITS.steps),
            value=steps,
            step=10,
            label="Steps each",
            elem_id=f"{name}-steps",
            buttons=[],
        )
    room = GridRoom(
        name, plan, content, style, controls, kind, pixels, number, buttons, status, view, download
    )
    inputs = {content, style, kind, pixels, number, *controls.inputs}
    connect(buttons, name, status, room.run, inputs, [view, download])
    return room
