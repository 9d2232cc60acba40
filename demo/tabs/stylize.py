"""The Stylize tab: a preview follows every change; Refine optimises it, and the image forms as you watch."""

import time
from collections.abc import Iterator
from typing import Any

import gradio as gr
from PIL import Image

from demo.components import curves, messages, reproduce
from demo.components.common import QUIET, Update
from demo.components.controls import Controls
from demo.components.second_style import SecondStyle
from demo.runs import files
from demo.runs.animation import Animation
from demo.runs.engine import Job, frames
from demo.runs.preview import one_pass, quick
from demo.runs.results import Result
from demo.runs.stop_flags import STOP_FLAGS
from demo.tabs.result_view import ResultView, share
from demo.tabs.run_bar import RunBar

TAB = "stylize"


class Stylize:
    """The tab: what a user asks for and where it is shown. It lays itself out in the current `gr.Tab`."""

    def __init__(
        self, content: gr.Image, style: gr.Image, second: SecondStyle, controls: Controls, first: Result
    ) -> None:
        self.content, self.style, self.second, self.controls = content, style, second, controls
        self.view = ResultView(first)
        self.bar = RunBar(TAB, "Refine", messages.READY)
        self.view.add_tools(content)
        self.curve = gr.HTML(curves.draw(None), elem_id="curve")
        self.inputs = {content, style, controls.detail, *second.inputs, *controls.inputs}

    def connect(self) -> None:
        """Connects Refine, and the preview that follows every change. The view must be complete."""
        view = self.view
        history = [view.animation, view.history, view.gallery]
        self.bar.connect(self.run, self.inputs | view.inputs, [*view.outputs, *history, self.curve])
        changes = [part.change for part in self.inputs - {self.second.brushed}]
        gr.on(
            [*changes, self.second.brushed.input],
            self.follow,
            self.inputs | view.inputs,
            [self.bar.status, *view.outputs, view.animation],
            trigger_mode="always_last",  # the newest change; those between are dropped
            **QUIET,  # no queue: its bookkeeping takes as long as a small image
        )

    def job(self, values: dict[Any, Any]) -> Job:
        """What the user asks for. Raises ValueError that a user can read."""
        content, style = values[self.content], values[self.style]
        if problem := messages.missing(content, style):
            raise ValueError(problem)
        second, weights, region = self.second.read(values)
        settings = self.controls.settings(values).replace(style_weights=weights)
        return Job(settings, content, style, second=second, where=region)

    def explain(self, error: Exception, values: dict[Any, Any]) -> str:
        paths = (values[self.content], values[self.style], values[self.second.image])
        return messages.alert(messages.explain(error, *paths))

    def follow(self, values: dict[Any, Any], request: gr.Request) -> Update:
        """One pass, if the controls ask for something different from what is shown and no run works."""
        nothing: Update = {self.bar.status: gr.skip()}
        missing = messages.missing(values[self.content], values[self.style])
        if missing or STOP_FLAGS.is_running(
            request.session_hash, TAB
        ):  # the reason of a refusal stays readable
            return nothing
        try:
            start, job, shown = time.perf_counter(), self.job(values), values[self.view.shown]
            detail = float(values[self.controls.detail])
            wanted = job.recipe(detail=detail)
            if shown is not None and shown.request == wanted.request:
                return nothing
            made = quick(job)
            pixels, library = one_pass(made, detail)
        except Exception as error:
            return {self.bar.status: self.explain(error, values)}
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

    def run(self, values: dict[Any, Any], request: gr.Request) -> Iterator[Update]:
        """The updates of one run. The last one makes the tab ready for the next."""
        try:
            job = self.job(values)
            yield {
                **self.bar.show(self.bar.stop, messages.note("Reading the images …")),
                self.curve: curves.draw(None),
                self.view.animation: gr.update(interactive=False),
            }
            yield from self._stream(job, values, request)
        except Exception as error:
            yield self.bar.show(self.bar.start, self.explain(error, values))

    def _stream(self, job: Job, values: dict[Any, Any], request: gr.Request) -> Iterator[Update]:
        losses, animation = curves.LossHistory(job.settings.iterations), Animation()
        detail, strength = float(values[self.controls.detail]), share(values[self.view.strength])
        before: Result | None = values[self.view.shown]
        if before is not None and before.request == job.recipe(detail=detail).request:
            animation.add(before.pixels)
        result: Result | None = None
        stopped = False
        with STOP_FLAGS.run(request.session_hash, TAB) as flag:
            run: Any = frames(job)
            try:
                for frame in run:
                    losses.add(frame.terms)
                    if frame.pixels is not None:
                        last, recipe = frame, job.recipe(frame.index, detail)
                        result = Result(frame.pixels, recipe, frame.recipe, str(job.content), recipe.request)
                        animation.add(frame.pixels)
                        yield {
                            self.bar.status: messages.running(frame, job.settings),
                            self.view.image: Image.fromarray(result.blended(strength)),
                            self.curve: curves.draw(losses),
                        }
                    if flag.is_set() and not frame.done:
                        stopped = True
                        break
            finally:
                run.close()
        if result is None:
            yield self.bar.show(self.bar.start, messages.note("Stopped before the first image."))
            return
        with files.outbox() as folder:
            name = reproduce.result_name(result.recipe).removesuffix(".png") + ".webp"
            path = animation.save(folder / name, result.pixels)
            yield {
                **self.bar.show(self.bar.start, messages.finished(last, stopped)),
                self.curve: curves.draw(losses),
                self.view.animation: gr.update(value=path, interactive=True),
                **self.view.show(result, values),
                **self.view.keep_result(result, values),
            }
