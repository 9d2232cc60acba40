"""What Compare and Look inside share: choose a kind, press the button, and a grid fills cell by cell.

Size and steps are those of the controls. A preview by one pass shows every transfer at once; the optimised
image replaces it.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

import nstlib
from demo.components import messages
from demo.components.common import PRIVATE, QUIET, Update
from demo.components.grid import SCRIPT, Cell, Grid, fill, sheet
from demo.components.inputs import Inputs
from demo.components.method_controls import MethodControls
from demo.components.presets import EMBEDDED
from demo.runs import files
from demo.runs.limits import LIMITS
from demo.runs.preview import one_pass, quick
from demo.tabs.run_bar import RunBar

REDRAW_EVERY = 0.8  # seconds
TO_STYLIZE = "() => document.querySelector('.nst-tabs [role=tab]').click()"
# (kind, settings, content, style) → the grid to fill
Planner = Callable[[str, nstlib.Settings, str | None, str | None], Grid]
Kinds = dict[str, tuple[str, str]]  # kind: (label, what it shows and which choices it uses)


class GridTab:
    """One tab, laid out in the current `gr.Tab`. empty: the grid before the first run."""

    def __init__(
        self, name: str, label: str, plan: Planner, kinds: Kinds, empty: Grid, inputs: Inputs
    ) -> None:
        self.name, self.plan, self.inputs, controls = name, plan, inputs, inputs.controls
        first, choices = next(iter(kinds)), [(label, kind) for kind, (label, _) in kinds.items()]
        self.kind = gr.Radio(choices, value=first, label="What to show", elem_id=f"{name}-kind")
        words = gr.Markdown(kinds[first][1], elem_id=f"{name}-used")
        self.kind.change(lambda kind: kinds[kind][1], self.kind, words, **QUIET)
        self.bar = RunBar(name, label, "Ready.")
        self.view = gr.HTML(empty.html(), elem_id=f"{name}-grid", js_on_load=SCRIPT)
        self.download = gr.DownloadButton(
            "Download as one PNG", interactive=False, elem_id=f"{name}-download", size="md"
        )
        used = {inputs.content, inputs.style, self.kind, *controls.inputs}
        self.bar.connect(self.run, used, [self.view, self.download])

        def open_tile(event: gr.EventData) -> Update:
            return tile_values(controls.method, event)

        opened = self.view.select(open_tile, None, controls.method.outputs, **QUIET)
        opened.success(None, js=TO_STYLIZE, **PRIVATE)

    def run(self, values: dict[Any, Any], is_stopped: Callable[[], bool]) -> Iterator[Update]:
        """The updates of one run. The last one makes the tab ready for the next."""
        inputs, bar = self.inputs, self.bar
        settings = inputs.controls.settings(values)
        grid = self.plan(values[self.kind], settings, values[inputs.content], values[inputs.style])
        yield {
            **bar.show(bar.stop, messages.note("Reading the images …")),
            self.view: grid.html(),
            self.download: gr.update(interactive=False),
        }
        begun, drawn, number, total, words = time.perf_counter(), 0.0, 1, len(grid.jobs()), ""
        deadline = begun + LIMITS.seconds
        for cell in grid.jobs():
            if time.perf_counter() < deadline and not is_stopped() and preview(cell):
                yield {bar.status: messages.note(f"Preview: {cell.label}"), self.view: grid.html()}
        for cell in fill(grid, deadline):
            now, number = time.perf_counter(), grid.jobs().index(cell) + 1
            if is_stopped():
                words = f"<b>Stopped</b> at image {number} of {total}."
                break
            if now - drawn >= REDRAW_EVERY or not cell.active:
                drawn = now
                yield {bar.status: progress(number, total, cell, now - begun), self.view: grid.html()}
        if not words and time.perf_counter() > deadline:
            words = f"<b>Time is up</b> ({LIMITS.seconds:g} s) at image {number} of {total}."
        for cell in grid.jobs():
            cell.note = "" if cell.share == 1 else cell.note
        words = words or f"<b>Done</b> in {messages.duration(time.perf_counter() - begun)}."
        with files.outbox() as folder:
            path = files.save_png(sheet(grid), grid.recipe(), folder / f"{self.name}.png")
            yield {
                **bar.show(bar.start, messages.note(words, "done")),
                self.view: grid.html(),
                self.download: gr.update(value=path, interactive=True),
            }


def preview(cell: Cell) -> bool:
    """Fills the cell of a transfer by one pass, where that is possible and quick. Returns whether it did."""
    job = cell.job
    if job is None or not cell.is_transfer or job.settings.encoder != EMBEDDED:
        return False
    try:
        job = quick(job)
    except ValueError:  # too slow here: only the run shows it
        return False
    cell.show_draft(one_pass(job)[0], "one pass")
    return True


def progress(number: int, total: int, cell: Cell, seconds: float) -> str:
    """The status line while image `number` of `total` forms, `seconds` after the first began."""
    words = f"<b>Image {number}</b> of {total}: {cell.label}"
    return messages.progress(words, (number - 1 + cell.share) / total, seconds)


def tile_values(controls: MethodControls, event: Any) -> Update:
    """The method and γ of a tile as values of the controls. Raises gr.Error for anything else."""
    try:
        return controls.show(nstlib.Settings(method=event.method, gamma=event.gamma))
    except (AttributeError, TypeError, ValueError, IndexError) as error:
        raise gr.Error("This tile cannot be opened.", print_exception=False) from error
