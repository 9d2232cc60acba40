"""What every room has: a start button, two faces of Stop, a status line, and the events between them."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from demo.parts import messages
from demo.runs.desk import DESK

HEAVY: dict[str, Any] = {"concurrency_id": "heavy", "concurrency_limit": 1}  # one run at a time, of any room
QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
Update = dict[Any, Any]


@dataclass(frozen=True)
class Buttons:
    """Start, and two that look alike: `leave` cancels while waiting in line, `stop` ends a run politely."""

    start: gr.Button
    leave: gr.Button
    stop: gr.Button

    @classmethod
    def build(cls, label: str, room: str) -> "Buttons":
        stop: dict[str, Any] = {"value": "Stop", "variant": "stop", "visible": False, "min_width": 110}
        start = gr.Button(label, variant="primary", elem_id=f"{room}-start", elem_classes="nst-go")
        leave = gr.Button(elem_id=f"{room}-leave", elem_classes="nst-go", **stop)
        return cls(start, leave, gr.Button(elem_id=f"{room}-stop", elem_classes="nst-go", **stop))

    @property
    def all(self) -> list[gr.Button]:
        return [self.start, self.leave, self.stop]

    def show(self, which: gr.Button) -> Update:
        return {button: gr.update(visible=button is which) for button in self.all}


def connect(
    buttons: Buttons,
    room: str,
    status: gr.HTML,
    run: Callable[..., Iterator[Update]],
    inputs: set[Any],
    outputs: list[Any],
) -> None:
    """Wires a room: Start → line → run; Stop before and during it."""

    def not_started() -> Update:
        return {status: messages.note("Nothing was started."), **buttons.show(buttons.start)}

    def stop(request: gr.Request) -> str:
        DESK.stop(request.session_hash, room)
        return messages.note("Stopping after this step …")

    # in the browser alone, so that it is seen at once
    turns = [{"__type__": "update", "visible": button is buttons.leave} for button in buttons.all]
    seen = json.dumps([messages.note("Waiting for a free place …"), *turns])
    shown = [status, *buttons.all]
    waiting = buttons.start.click(None, None, shown, js=f"() => {seen}", api_visibility="private")
    running = waiting.then(
        run,
        inputs,
        [status, *buttons.all, *outputs],
        show_progress="minimal",
        show_progress_on=status,
        api_visibility="private",
        **HEAVY,
    )
    # Only what never reached `run` fails: the visitor left the line, or Gradio refused (a full queue, a
    # value out of range), which it explains itself.
    running.failure(not_started, None, [status, *buttons.all], **QUIET)
    buttons.leave.click(not_started, None, [status, *buttons.all], cancels=[running], **QUIET)
    buttons.stop.click(stop, None, status, **QUIET)
