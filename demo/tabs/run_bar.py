"""The bar that starts and stops the runs of a tab, with its status line and the events between them."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from demo.components import messages
from demo.components.common import HEAVY, PRIVATE, QUIET, Update
from demo.runs.stop_flags import STOP_FLAGS

Run = Callable[[dict[Any, Any], Callable[[], bool]], Iterator[Update]]  # (values, whether to stop) → updates


class RunBar:
    """Start, the status line, and two buttons called Stop: `leave` cancels a run that waits, `stop` ends one
    that works. It lays them out in the current tab."""

    def __init__(self, tab: str, label: str, ready: str) -> None:
        self.tab = tab
        look: dict[str, Any] = {"variant": "stop", "visible": False, "elem_classes": "nst-go"}
        with gr.Row():
            with gr.Column(scale=1, min_width=140):
                self.start = gr.Button(
                    label, variant="primary", elem_id=f"{tab}-start", elem_classes="nst-go"
                )
                self.leave = gr.Button("Stop", elem_id=f"{tab}-leave", **look)
                self.stop = gr.Button("Stop", elem_id=f"{tab}-stop", **look)
            with gr.Column(scale=3, min_width=220):
                status = messages.note(ready)
                self.status = gr.HTML(status, elem_id=f"{tab}-status", elem_classes="nst-statusbox")
        self.outputs = [self.status, self.start, self.leave, self.stop]

    def show(self, which: gr.Button, status: str) -> Update:
        """Shows one of the buttons, with a status line."""
        return {self.status: status} | {
            button: gr.update(visible=button is which) for button in self.outputs[1:]
        }

    def connect(self, run: Run, inputs: set[Any], outputs: list[Any]) -> None:
        """Start → queue → `run`; Stop before and during it. The last update of `run` shows Start again."""

        def guarded(values: dict[Any, Any], request: gr.Request) -> Iterator[Update]:
            try:
                with STOP_FLAGS.run(request.session_hash, self.tab) as flag:
                    yield from run(values, flag.is_set)
            except Exception as error:
                images = [value for part, value in values.items() if isinstance(part, gr.Image)]
                yield self.show(self.start, messages.alert(messages.explain(error, *images)))

        def not_started() -> Update:
            return self.show(self.start, messages.note("Nothing was started."))

        def stop(request: gr.Request) -> str:
            STOP_FLAGS.stop(request.session_hash, self.tab)
            return messages.note("Stopping after this step …")

        # in the browser, so that it is seen at once
        visible = [{"__type__": "update", "visible": button is self.leave} for button in self.outputs[1:]]
        seen = json.dumps([messages.note("Waiting for your turn …"), *visible])
        running = self.start.click(None, None, self.outputs, js=f"() => {seen}", **PRIVATE).then(
            guarded,
            inputs,
            [*self.outputs, *outputs],
            show_progress="minimal",
            show_progress_on=self.status,
            **PRIVATE,
            **HEAVY,
        )
        # Only a run that was never called fails: its user left the queue, or Gradio refused it (a full queue,
        # a value out of range) and explains that itself.
        running.failure(not_started, None, self.outputs, **QUIET)
        self.leave.click(not_started, None, self.outputs, cancels=[running], **QUIET)
        self.stop.click(stop, None, self.status, **QUIET)
