"""The part that Compare and Look inside share: a grid whose cells fill one by one when the tab is opened.

The controls set the size and the steps. One pass first fills the cells of all transfers, then the optimised
images replace them. A tile can be opened in Stylize without a new run.
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
from demo.components.presets import EMBEDDED
from demo.guard.blocks import GuardedBlocks
from demo.runs import files
from demo.runs.limits import LIMITS
from demo.runs.preview import one_pass, quick
from demo.runs.results import Result
from demo.runs.stop_flags import Flag
from demo.tabs.history import History
from demo.tabs.run_bar import RunBar

REDRAW_EVERY = 0.8  # seconds
TO_STYLIZE = "() => document.querySelector('.nst-tabs [role=tab]').click()"
# (kind, settings, content, style) → the grid to fill
Planner = Callable[[str, nstlib.Settings, str | None, str | None], Grid]
Kinds = dict[str, tuple[str, str]]  # kind: (label, text on what it shows and which choices it uses)


class GridTab:
    """One of the two tabs, laid out in the current `gr.Tab`.

    grid: the last grid of the session, whose tiles can be opened. made: (kind, count of changes) of its run.
    """

    def __init__(self, name: str, plan: Planner, kinds: Kinds, inputs: Inputs, page: GuardedBlocks) -> None:
        self.name, self.plan, self.inputs, self.kinds = name, plan, inputs, kinds
        first, choices = next(iter(kinds)), [(label, kind) for kind, (label, _) in kinds.items()]
        self.kind = gr.Radio(choices, value=first, label="What to show", elem_id=f"{name}-kind")
        self.words = gr.Markdown(kinds[first][1], elem_id=f"{name}-used")
        self.bar = RunBar(name, ("Start", "Stop"), "Ready.", page)
        self.view = gr.HTML("", elem_id=f"{name}-grid", js_on_load=SCRIPT)
        self.download = gr.DownloadButton(
            "Download as one PNG", interactive=False, elem_id=f"{name}-download", size="md"
        )
        self.grid, self.made = gr.State(), gr.State()

    def connect(self, tab: gr.Tab, history: History) -> None:
        """Makes the grid fill when the tab is opened, and its tiles open in Stylize."""
        inputs, kinds, count = self.inputs, self.kinds, self.inputs.asks.count
        used = {inputs.content, inputs.style, self.kind, count, *inputs.controls.inputs}
        self.bar.connect(self.run, used, [self.view, self.download, self.grid, self.made])

        def may_start(kind: str, count: float, made: Any, request: gr.Request) -> Update:
            bar, session, is_new = self.bar, request.session_hash, made != (kind, count)
            may = bar.may_start(session) if is_new else 0
            update: Update = {self.words: kinds[kind][1], bar.may: may}
            if is_new and not may and not bar.is_under_way(session):
                words = f"<b>Start</b> makes these images. {bar.why()}"
                update |= bar.show(bar.start, messages.note(words), "Start")
            return update

        known, shown = [self.kind, count, self.made], [self.words, self.bar.may, *self.bar.outputs]
        opened = gr.on([tab.select, self.kind.change], may_start, known, shown, **QUIET)
        self.bar.start_by_itself(opened, 0)

        def open_tile(values: dict[Any, Any], event: gr.EventData, request: gr.Request) -> Update:
            return history.restore(tile(values[self.grid], event), values, request)

        opened = self.view.select(open_tile, {self.grid, *history.inputs}, history.outputs, **QUIET)
        opened.success(None, js=TO_STYLIZE, **PRIVATE)

    def run(self, values: dict[Any, Any], flag: Flag) -> Iterator[Update]:
        """Yields the updates of one run. The last update makes the tab ready for the next run."""
        inputs, bar = self.inputs, self.bar
        settings = inputs.controls.settings(values)
        grid = self.plan(values[self.kind], settings, values[inputs.content], values[inputs.style])
        yield {
            **bar.show(bar.stop, messages.note("Reading the images …")),
            self.view: grid.html(),
            self.download: gr.update(interactive=False),
            self.made: (values[self.kind], values[inputs.asks.count]),
            self.grid: grid,
        }
        begun, drawn, number, total, words = time.perf_counter(), 0.0, 1, len(grid.jobs()), ""
        deadline = begun + LIMITS.seconds
        for cell in grid.jobs():
            if time.perf_counter() < deadline and not flag.stop.is_set() and preview(cell):
                yield {bar.status: messages.note(f"Preview: {cell.label}"), self.view: grid.html()}
        for cell in fill(grid, deadline):
            now, number = time.perf_counter(), grid.jobs().index(cell) + 1
            if flag.stop.is_set():
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
                **bar.show(bar.start, messages.note(words, "done"), "Again"),
                self.view: grid.html(),
                self.download: gr.update(value=path, interactive=True),
            }


def preview(cell: Cell) -> bool:
    """Fills the cell by one pass if it is a transfer and one pass is fast. Returns whether it did."""
    job = cell.job
    if job is None or not cell.is_transfer or job.settings.encoder != EMBEDDED:
        return False
    try:
        job = quick(job)
    except ValueError:  # too slow here: only the run makes an image
        return False
    cell.show_draft(one_pass(job)[0], "one pass")
    return True


def progress(number: int, total: int, cell: Cell, seconds: float) -> str:
    """The status line while image `number` of `total` is made, `seconds` after the start of the run."""
    words = f"<b>Image {number}</b> of {total}: {cell.label}"
    return messages.progress(words, (number - 1 + cell.share) / total, seconds)


def tile(grid: Grid | None, event: Any) -> Result:
    """The result in the clicked tile. Raises gr.Error if the tile holds no result of a transfer."""
    try:
        assert grid is not None and event.place >= 0
        cell = grid.cells[event.place]
        assert cell.is_transfer and cell.job and cell.pixels is not None
        return Result(cell.pixels, cell.job.recipe(cell.step), cell.recipe, str(cell.job.content), None)
    except (AssertionError, AttributeError, TypeError, IndexError) as error:
        raise gr.Error("This tile cannot be opened yet.", print_exception=False) from error
