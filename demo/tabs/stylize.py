"""The Stylize tab: a preview follows every change; Refine optimises it, and the image forms as you watch."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import gradio as gr
from PIL import Image

from demo.components import curves, messages, reproduce
from demo.components.common import QUIET, Update
from demo.components.inputs import Inputs
from demo.runs import files
from demo.runs.animation import Animation
from demo.runs.engine import Terms, frames
from demo.runs.preview import one_pass, quick
from demo.runs.results import Result
from demo.runs.stop_flags import STOP_FLAGS
from demo.tabs.result_view import ResultView
from demo.tabs.run_bar import RunBar

TAB = "stylize"


class Stylize:
    """The tab: what a user asks for and where it is shown. It lays itself out in the current `gr.Tab`."""

    def __init__(self, inputs: Inputs, first: Result) -> None:
        self.inputs = inputs
        self.view = ResultView(first)
        self.bar = RunBar(TAB, "Refine", messages.READY)
        self.view.add_tools(inputs.content)
        self.curve = gr.HTML(curves.draw([], 0), elem_id="curve")

    def connect(self) -> None:
        """Connects Refine, and the preview that follows every change. The view must be complete."""
        view = self.view
        history = [view.animation, view.history, view.gallery]
        self.bar.connect(self.run, self.inputs.all | view.inputs, [*view.outputs, *history, self.curve])
        brushed = self.inputs.second.brushed
        changes = [part.change for part in self.inputs.all - {brushed}]
        gr.on(
            [*changes, brushed.input],
            self.follow,
            self.inputs.all | view.inputs,
            [self.bar.status, *view.outputs, view.animation],
            trigger_mode="always_last",  # the newest change; those between are dropped
            **QUIET,  # no queue: its bookkeeping takes as long as a small image
        )

    def follow(self, values: dict[Any, Any], request: gr.Request) -> Update:
        """One pass, if the controls ask for something different from what is shown and no run works."""
        nothing: Update = {self.bar.status: gr.skip()}
        missing = messages.missing(values[self.inputs.content], values[self.inputs.style])
        if missing or STOP_FLAGS.is_running(
            request.session_hash, TAB
        ):  # the reason of a refusal stays readable
            return nothing
        try:
            start, job, shown = time.perf_counter(), self.inputs.job(values), values[self.view.shown]
            detail = float(values[self.inputs.controls.detail])
            wanted = job.recipe(detail=detail)
            if shown is not None and shown.request == wanted.request:
                return nothing
            made = quick(job)
            pixels, library = one_pass(made, detail)
        except Exception as error:
            paths = (values[image] for image in self.inputs.images)
            return {self.bar.status: messages.alert(messages.explain(error, *paths))}
        height, width = pixels.shape[:2]
        words = f"One pass: {width} × {height} px in {time.perf_counter() - start:.2f} s. "
        if made.settings.size < job.settings.size:
            words += f"One pass of this method has at most {made.settings.size} px here. "
        result = Result(pixels, made.recipe(detail=detail), library, str(job.content), wanted.request)
        return {
            self.bar.status: messages.note(f"{words}<b>Refine</b> improves it."),
            self.view.animation: gr.update(interactive=False),
            **self.view.show(result, values),
        }

    def run(self, values: dict[Any, Any], is_stopped: Callable[[], bool]) -> Iterator[Update]:
        """The updates of one run. The last one makes the tab ready for the next."""
        view, bar, job = self.view, self.bar, self.inputs.job(values)
        yield {
            **bar.show(bar.stop, messages.note("Reading the images …")),
            self.curve: curves.draw([], 0),
            view.animation: gr.update(interactive=False),
        }
        detail, strength = float(values[self.inputs.controls.detail]), values[view.strength]
        terms: Terms = []
        animation, result, stopped = Animation(), None, False
        before: Result | None = values[view.shown]
        if before is not None and before.request == job.recipe(detail=detail).request:
            animation.add(before.pixels)
        with closing(frames(job)) as run:
            for frame in run:
                terms += frame.terms
                if frame.pixels is not None:
                    last, recipe = frame, job.recipe(frame.index, detail)
                    result = Result(frame.pixels, recipe, frame.recipe, str(job.content), recipe.request)
                    animation.add(frame.pixels)
                    yield {
                        bar.status: messages.running(frame, job.settings),
                        view.image: Image.fromarray(result.blended(strength)),
                        self.curve: curves.draw(terms, frame.total),
                    }
                if stopped := is_stopped() and not frame.done:
                    break
        if result is None:
            yield bar.show(bar.start, messages.note("Stopped before the first image."))
            return
        with files.outbox() as folder:
            name = reproduce.result_name(result.recipe).removesuffix(".png") + ".webp"
            path = animation.save(folder / name, result.pixels)
            yield {
                **bar.show(bar.start, messages.finished(last, stopped)),
                self.curve: curves.draw(terms, last.total),
                view.animation: gr.update(value=path, interactive=True),
                **view.show(result, values),
                **view.keep_result(result, values),
            }
