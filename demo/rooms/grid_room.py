"""What Compare and Look inside share: choose a kind, press the button, a grid fills cell by cell.

Size and steps are those of the page. A transfer is there at once, by one pass; its optimisation replaces it.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

import nstlib
from demo.parts import messages, method_controls
from demo.parts.controls import Controls
from demo.parts.grid import OPEN_LARGE, Cell, Grid, fill
from demo.parts.sheet import sheet
from demo.rooms.room import QUIET, Buttons, Update, connect
from demo.runs import files
from demo.runs.desk import DESK
from demo.runs.limits import LIMITS
from demo.runs.painter import live, one_pass

REDRAW_EVERY = 0.8  # seconds
TO_STYLIZE = "() => document.querySelector('.nst-rooms [role=tab]').click()"
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
    buttons: Buttons
    status: gr.HTML
    view: gr.HTML
    download: gr.DownloadButton

    def run(self, values: dict[Any, Any], request: gr.Request) -> Iterator[Update]:
        """The updates of one run, the last of which leaves the room ready for the next."""
        content, style = values[self.content], values[self.style]
        over = self.buttons.show(self.buttons.start)
        try:
            settings = self.controls.settings(values)
            grid = self.plan(values[self.kind], settings, content, style, LIMITS.seconds)
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
        total, stopped = len(grid.jobs()), ""
        with DESK.run(request.session_hash, self.name) as flag:
            begun, drawn, number = time.perf_counter(), 0.0, 1
            deadline = begun + LIMITS.seconds
            for cell in grid.jobs():
                if time.perf_counter() < deadline and not flag.is_set() and draft(cell):
                    yield {self.status: messages.note(f"At once: {cell.label}"), self.view: grid.html()}
            for cell in fill(grid, deadline):
                now, number = time.perf_counter(), grid.jobs().index(cell) + 1
                if flag.is_set():
                    stopped = f"<b>Stopped</b> at image {number} of {total}."
                    break
                if now - drawn >= REDRAW_EVERY or not cell.active:
                    drawn = now
                    yield {
                        self.status: progress(number, total, cell, now - begun),
                        self.view: grid.html(),
                    }
            if not stopped and time.perf_counter() > deadline:
                stopped = f"<b>Time is up</b> ({LIMITS.seconds:g} s) at image {number} of {total}."
        done = f"<b>Done</b> in {messages.duration(time.perf_counter() - begun)}."
        yield from self._result(grid, stopped or done)

    def _result(self, grid: Grid, words: str) -> Iterator[Update]:
        for cell in grid.jobs():
            cell.note = "" if cell.share == 1 else cell.note
        with files.outbox() as folder:
            path = files.save_png(sheet(grid), grid.recipe(), folder / f"{self.name}.png")
            yield {
                self.status: messages.note(words, "done"),
                self.view: grid.html(),
                self.download: gr.update(value=path, interactive=True),
                **self.buttons.show(self.buttons.start),
            }


def draft(cell: Cell) -> bool:
    """Fills a transfer's cell by one pass, where the decoder knows the encoder; says whether it did."""
    job = cell.job
    if job is None or job.kind != "transfer" or job.settings.encoder != "vgg19-slim":
        return False
    try:
        quick = live(job)
    except ValueError:  # too slow here: the run shows it
        return False
    cell.draft(one_pass(quick)[0], "one pass")
    return True


def progress(number: int, total: int, cell: Cell, seconds: float) -> str:
    """The status line while picture `number` of `total` forms, `seconds` after the first began."""
    share = (number - 1 + cell.share) / total
    left = f"about {messages.duration(seconds * (1 - share) / share)} left" if share else "just started"
    return messages.bar(share, f"<b>Picture {number}</b> of {total}: {cell.label} · {left}", "")


def choose(event: gr.EventData) -> list[Any]:
    """The tile's method and γ as values of the controls. Raises gr.Error for what is no tile's."""
    try:
        settings = nstlib.Settings(method=event.method, gamma=event.gamma)
        values = method_controls.unspell(str(settings.discrepancy))
        if nstlib.method(method_controls.spell(*values)) != settings.discrepancy:
            raise ValueError("a method that the controls cannot show")
    except (AttributeError, TypeError, ValueError, IndexError) as error:
        raise gr.Error("This tile cannot be opened.", print_exception=False) from error
    return [*values, settings.gamma, method_controls.position(settings.gamma)]


def build(
    name: str,
    label: str,
    plan: Planner,
    kinds: dict[str, str],
    used: dict[str, str],
    content: gr.Image,
    style: gr.Image,
    controls: Controls,
    empty: Grid,
) -> GridRoom:
    """Lays the room out, in the current tab. kinds: {shown: value}; used: {value: what is shown, and which
    choices it takes}; empty: the grid before the first run."""
    first = next(iter(kinds.values()))
    kind = gr.Radio(list(kinds.items()), value=first, label="What to show", elem_id=f"{name}-kind")
    words = gr.Markdown(used[first], elem_id=f"{name}-used")
    kind.change(used.get, kind, words, **QUIET)
    with gr.Row(elem_classes="nst-head"):
        with gr.Column(scale=1, min_width=200):
            buttons = Buttons.build(label, name)
        with gr.Column(scale=3, min_width=260):
            status = gr.HTML(messages.note("Ready."), elem_id=f"{name}-status", elem_classes="nst-statusbox")
    view = gr.HTML(empty.html(), elem_id=f"{name}-grid", js_on_load=OPEN_LARGE)
    download = gr.DownloadButton(
        "Download as one PNG", interactive=False, elem_id=f"{name}-download", size="md"
    )
    room = GridRoom(name, plan, content, style, controls, kind, buttons, status, view, download)
    connect(buttons, name, status, room.run, {content, style, kind, *controls.inputs}, [view, download])
    method = controls.method
    view.select(choose, None, [*method.inputs, method.gamma_slider], **QUIET).success(
        None, js=TO_STYLIZE, api_visibility="private"
    )
    return room
