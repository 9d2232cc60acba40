"""The bar that starts and stops the runs of a tab, with its status line and its events."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from demo.components import messages
from demo.components.common import HEAVY, PRIVATE, QUIET, Update
from demo.guard.blocks import GuardedBlocks
from demo.runs.gpu import ZERO
from demo.runs.stop_flags import STOP_FLAGS, Flag

Run = Callable[[dict[Any, Any], Flag], Iterator[Update]]  # (values, stop flag) → updates


class RunBar:
    """Three buttons and the status line: `start` begins a run, `leave` cancels it while it waits, and `stop`
    ends it while it works. labels: those of `start` and `stop`.
    """

    def __init__(self, tab: str, labels: tuple[str, str], ready: str, page: GuardedBlocks) -> None:
        self.tab, self.page = tab, page
        look: dict[str, Any] = {"elem_classes": "nst-go"}
        hidden = look | {"variant": "stop", "visible": False}
        with gr.Row(elem_classes="nst-run"):
            with gr.Column(scale=1, min_width=130):
                self.start = gr.Button(labels[0], variant="primary", elem_id=f"{tab}-start", **look)
                self.leave = gr.Button("Leave the queue", elem_id=f"{tab}-leave", **hidden)
                self.stop = gr.Button(labels[1], elem_id=f"{tab}-stop", **hidden)
            with gr.Column(scale=3, min_width=180):
                status = messages.note(ready)
                self.status = gr.HTML(status, elem_id=f"{tab}-status", elem_classes="nst-statusbox")
        self.may = gr.Number(0, visible="hidden", elem_id=f"{tab}-may")
        self.outputs = [self.status, self.start, self.leave, self.stop]

    def show(self, which: gr.Button, status: str, label: str = "") -> Update:
        """Shows only one of the buttons, and a status line. label: the new label of the button."""
        update: Update = {self.status: status} if status else {}
        for button in self.outputs[1:]:
            more = {"value": label} if label and button is which else {}
            update[button] = gr.update(visible=button is which, **more)
        return update

    def may_start(self, session: str | None) -> int:
        """Whether a run may start by itself: no other session has a run, and no GPU must be booked."""
        return int(not ZERO and self.page.is_idle(session))

    def why(self) -> str:
        """Why no run starts by itself, as HTML."""
        words = "It books a GPU." if ZERO else "Another page uses this app now: you wait for your turn."
        return words + messages.browser_link()

    def is_under_way(self, session: str | None) -> bool:
        """Whether a run of this tab and session waits or works."""
        return self.page.has_run(session, self.number)

    def watch(self, count: gr.Number) -> None:
        """After a change of the count, Start is not pressed automatically for some seconds."""
        count.change(None, None, None, js=f"() => window.nst.changed('{self.tab}-start')", **PRIVATE)

    def start_by_itself(self, event: Any, seconds: float) -> None:
        """Presses Start `seconds` after the last change (see `watch`) if `event` has set `may` to 1."""
        js = f"(may) => window.nst.rest('{self.tab}-start', may, {1000 * seconds:g})"
        event.then(None, self.may, js=js, **PRIVATE)

    def connect(self, run: Run, inputs: set[Any], outputs: list[Any]) -> None:
        """Connects the buttons: `start` puts `run` into the queue, `leave` takes it out, and `stop` ends it.

        The last update of `run` shows Start again.
        """

        def guarded(values: dict[Any, Any], request: gr.Request) -> Iterator[Update]:
            try:
                with STOP_FLAGS.run(request.session_hash, self.tab) as flag:
                    yield from run(values, flag)
            except Exception as error:
                images = [value for part, value in values.items() if isinstance(part, gr.Image)]
                yield self.show(self.start, messages.alert(messages.explain(error, *images)))

        def not_started() -> Update:
            return self.show(self.start, messages.note("Nothing was started."))

        def stop(request: gr.Request) -> str:
            STOP_FLAGS.stop(request.session_hash, self.tab)
            return messages.note("Stopping after this step …")

        # The browser itself shows that the run waits, so that it appears at once.
        visible = [{"__type__": "update", "visible": button is self.leave} for button in self.outputs[1:]]
        waits = f"<span>Waiting for your turn …</span>{messages.browser_link()}"
        seen = json.dumps([messages.note(waits), *visible])
        js = f"() => {{ window.nst.started('{self.tab}-start'); return {seen}; }}"
        running = self.start.click(None, None, self.outputs, js=js, **PRIVATE).then(
            guarded,
            inputs,
            [*self.outputs, *outputs],
            show_progress="minimal",
            show_progress_on=self.status,
            **PRIVATE,
            **HEAVY,
        )
        self.number = running["id"]
        # `guarded` catches all errors of `run`. A failure means that no run began: the user left the queue,
        # or Gradio refused the run (a full queue, a value out of range) and showed the reason.
        running.failure(not_started, None, self.outputs, **QUIET)
        self.leave.click(None, None, None, cancels=[running])
        self.stop.click(stop, None, self.status, **QUIET)
