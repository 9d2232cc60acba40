"""The Stylize tab makes one pass after every change, and begins the optimisation a second later."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from demo.components import curves, messages, reproduce
from demo.components.common import QUIET, Update
from demo.components.inputs import Inputs, own_size
from demo.guard.blocks import GuardedBlocks
from demo.runs import files
from demo.runs.engine import Frame, Job
from demo.runs.limits import LIMITS
from demo.runs.paused import PAUSED, Work
from demo.runs.preview import USUAL, one_pass, quick
from demo.runs.results import Result
from demo.runs.stop_flags import STOP_FLAGS, Flag
from demo.tabs.result_view import ResultView
from demo.tabs.run_bar import RunBar

TAB = "stylize"
REST = 1.0  # seconds without a change, after which the optimisation begins
FINER = 4  # times as many steps, if the image cannot be larger


@dataclass
class Newest:
    """The last change of a session: (count of changes, job). A preview stores it before it computes anything,
    so that a run that waits, or begins at this moment, uses the newest job."""

    change: tuple[float, Job] | None = None


class Stylize:
    """The tab: the shown result, its tools and the run bar. `add_more` lays out what few users need."""

    def __init__(self, inputs: Inputs, first: Result, page: GuardedBlocks) -> None:
        self.inputs, self.newest = inputs, gr.State(Newest())
        self.view = ResultView(first)
        self.bar = RunBar(TAB, ("Finer", "Pause"), messages.READY, page)
        self.view.add_tools()

    def add_more(self) -> None:
        self.view.add_more()
        self.curve = gr.HTML("", elem_id="curve", visible=False)
        self.outputs = [*self.view.outputs, self.view.animation, self.curve]

    def connect(self) -> None:
        """Connects the buttons, and the preview after every change."""
        view, inputs, bar = self.view, self.inputs, self.bar
        inputs.connect(bar.status)
        view.connect(inputs.content, inputs.asks)
        read = inputs.all | view.inputs | {self.newest, inputs.asks.count}
        bar.connect(self.run, read, [*self.outputs, view.history, view.gallery])
        bar.watch(inputs.asks.count)
        followed = inputs.asks.count.change(
            self.follow,
            read,
            [bar.status, bar.start, bar.may, *self.outputs],
            trigger_mode="always_last",  # only the newest change; earlier ones are dropped
            **QUIET,  # no queue: its bookkeeping takes as long as a small image
        )
        bar.start_by_itself(followed, REST)

    def follow(self, values: dict[Any, Any], request: gr.Request) -> Update:
        """Makes one pass if the controls do not ask for the shown image.

        This ends a run in progress.
        """
        view, bar, count = self.view, self.bar, values[self.inputs.asks.count]
        missing = messages.missing(values[self.inputs.content], values[self.inputs.style])
        nothing: Update = {bar.may: 0}
        if missing:  # keep the status, which says why an image was refused
            return nothing
        moving, session = count % 1 > 0, request.session_hash
        try:
            job, shown = self.inputs.job(values), values[view.shown]
            values[self.newest].change = count, job
            asked, flag = job.recipe(), STOP_FLAGS.find(session, TAB)
            if asked == (flag.asked if flag else shown and shown.asked):
                waits = not (flag or moving or shown.recipe.step)
                return {bar.may: bar.may_start(session) if waits else 0}
            flag = STOP_FLAGS.stop(session, TAB, replaced=True)
            made = quick(job, USUAL if moving else None)
            pixels, library = one_pass(made)
        except Exception as error:
            STOP_FLAGS.replace(session, TAB)  # wait: the run's last status must come first
            paths = (values[image] for image in self.inputs.images)
            return {bar.may: 0, bar.status: messages.alert(messages.explain(error, *paths))}
        if flag:
            flag.ended.wait(2)  # wait: the run's last image must come first
        result = Result(pixels, made.recipe(), library, str(job.content), None if moving else asked)
        may = 0 if moving else bar.may_start(session)
        words = f"Preview, {pixels.shape[1]} × {pixels.shape[0]} px. "
        words += "The optimisation begins …" if may or moving else f"<b>Refine</b> optimises it. {bar.why()}"
        return {
            bar.status: messages.note(words),
            bar.start: gr.update(value="Refine"),
            bar.may: may,
            view.animation: gr.update(interactive=False),
            self.curve: gr.update(visible=False),
            **view.show(result, values),
        }

    def jobs(self, values: dict[Any, Any]) -> tuple[Job, Job]:
        """Returns (job of the controls, job to run). The second refines the first if its result is shown."""
        newest, shown, job = values[self.newest].change, values[self.view.shown], self.inputs.job(values)
        if newest and newest[0] > values[self.inputs.asks.count]:
            job = newest[1]
        made = shown and shown.asked == job.recipe() and shown.recipe
        if not made or not made.step:
            return job, job
        steps, size = made.settings.iterations, made.settings.size
        if made.step >= steps:
            steps, least = max(steps, job.settings.iterations), max(size, job.settings.size)
            size = min(2 * least, own_size(job.content))
            if size <= least:
                size, steps = least, min(FINER * steps, LIMITS.steps)
        return job, replace(job, settings=job.settings.replace(iterations=steps, size=size))

    def run(self, values: dict[Any, Any], flag: Flag) -> Iterator[Update]:
        """Yields the updates of one run. The last update makes the tab ready for the next run."""
        view, bar = self.view, self.bar
        wanted, job = self.jobs(values)
        flag.asked = wanted.recipe()
        yield {
            **bar.show(bar.stop, messages.note("Reading the images …")),
            view.animation: gr.update(interactive=False),
        }
        work, result, frame, kept = PAUSED.take(flag.session, job), None, None, False
        try:
            for frame in work.run:
                work.terms += frame.terms
                update: Update = {bar.status: messages.running(frame)}
                if frame.pixels is not None:
                    work.animation.add(frame.pixels)
                if frame.pixels is not None and messages.is_shown(frame, job.settings):
                    recipe = job.recipe(frame.index)
                    result = Result(frame.pixels, recipe, frame.recipe, str(job.content), flag.asked)
                    update |= {self.curve: self.draw_curve(work, frame), **view.draw(result, values)}
                if not (flag.stop.is_set() or frame.done):  # the last image and its download are sent below
                    yield update
                if flag.stop.is_set() and not frame.done:
                    kept = not flag.replaced and PAUSED.keep(flag.session, work)
                    break
        finally:
            if not kept:
                work.run.close()
        if flag.replaced:  # the preview of the new settings has set the status
            yield bar.show(bar.start, "")
        elif result is None or frame is None:
            yield bar.show(bar.start, messages.note("Paused before the first image."), "Continue")
        else:
            with files.outbox() as folder:
                name = reproduce.result_name(result.recipe).removesuffix(".png") + ".webp"
                path = work.animation.save(folder / name, result.pixels)
                words = messages.finished(frame, paused=not frame.done)
                yield {
                    **bar.show(bar.start, words, "Finer" if frame.done else "Continue"),
                    view.animation: gr.update(value=path, interactive=True),
                    self.curve: self.draw_curve(work, frame),
                    **view.show(result, values),
                    **view.keep_result(result, values),
                }

    def draw_curve(self, work: Work, frame: Frame) -> Any:
        return gr.update(value=curves.draw(work.terms, frame.total), visible=True)
