"""The private parts of Gradio that the guard uses, all of them in demo/guard/blocks.py."""

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from app_server import ROOT
from gradio import queueing, route_utils, routes, state_holder
from gradio.block_function import BlockFunction

from demo.guard import blocks

WHY = "Gradio has changed here: read demo/guard/blocks.py again before you add its version to TESTED"


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (queueing.Queue.push, "self body request username"),
        (queueing.Queue.get_events, "self"),
        (queueing.Event.__init__, "self session_hash fn request username"),
        (queueing.EventQueue.__init__, "self concurrency_id concurrency_limit"),
        (state_holder.StateHolder.update, "self session_id"),
        (state_holder.StateHolder.set_blocks, "self blocks"),
        (gr.processing_utils.save_file_to_cache, "file_path cache_dir"),
        (gr.Blocks.queue, "self status_update_rate api_open max_size default_concurrency_limit"),
        (gr.Blocks.preprocess_data, "self block_fn inputs state explicit_call"),
        (gr.Blocks.postprocess_data, "self block_fn predictions state"),
        (
            gr.Blocks.process_api,
            "self block_fn inputs state request iterator session_hash event_id event_data in_event_listener "
            "simple_format explicit_call root_path oauth_token",
        ),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_what_the_guard_overrides_has_the_parameters_that_it_expects(function: Any, parameters: str) -> None:
    assert list(inspect.signature(function).parameters) == parameters.split(), WHY


@pytest.mark.parametrize(
    ("caller", "calls"),
    [
        (routes.App.create_app, "blocks._queue.push("),
        (routes.App.create_app, "lifespan"),
        (queueing.Queue.start_processing, "self.get_events()"),
        (queueing.Queue.push, "event_queue.queue.append(event)"),
        (queueing.Queue.push, "self.event_ids_to_events[event._id] = event"),
        (queueing.Queue.get_events, "event_queue.queue[0]"),
        (route_utils.call_process_api, "app.get_blocks().process_api("),
        (route_utils.restore_session_state, "app.state_holder[session_hash]"),
        (state_holder.StateHolder.__getitem__, "self.update(session_id)"),
        (state_holder.StateHolder.__getitem__, "= SessionState(self.blocks)"),
        (route_utils.restore_session_state, "= SessionState(app.get_blocks())"),
        (state_holder.SessionState.__init__, "copy(blocks.default_config)"),
        (queueing.Queue.start_processing, "asyncio.sleep(self.sleep_when_free)"),
        (gr.Blocks.process_api, "await self.preprocess_data("),
        (gr.Blocks.process_api, "await self.postprocess_data("),
    ],
    ids=lambda value: getattr(value, "__qualname__", value),
)
def test_gradio_still_calls_what_the_guard_overrides(caller: Any, calls: str) -> None:
    assert calls in inspect.getsource(caller), WHY


def test_the_attributes_that_the_guard_reads_are_there() -> None:
    with gr.Blocks() as page:
        gr.Button("x").click(lambda: None, None, gr.Image(), concurrency_id="heavy", concurrency_limit=1)
    queue = page._queue
    assert isinstance(queue.event_ids_to_events, dict) and len(queue) == 0, WHY
    assert {
        "event_queue_per_concurrency_id",
        "pending_messages_per_session",
        "pending_event_ids_session",
    } < set(vars(queue)), WHY
    assert vars(queueing.EventQueue("heavy", 1)).keys() > {
        "queue",
        "concurrency_limit",
        "current_concurrency",
    }
    event = vars(queueing.Event("ann", next(iter(page.fns.values())), None, None))  # type: ignore[arg-type]
    assert event.keys() > {"session_hash", "request", "enqueue_time", "_id"}, WHY
    assert all(isinstance(known, set) for known in page.temp_file_sets), WHY
    function: BlockFunction = page.fns[0]
    assert {"fn", "_id", "api_name", "inputs", "outputs", "targets", "trigger_mode"} < set(vars(function)), (
        WHY
    )
    holder = state_holder.StateHolder()
    assert {"capacity", "session_data", "time_last_used", "lock"} <= set(vars(holder)), WHY
    assert "state_holder" in vars(page.app) and page.app.middleware_stack is None, WHY


def test_a_session_holds_no_description_of_the_page_and_the_queue_sleeps_at_rest() -> None:
    """Each costs CPU time: the one 25 ms for every new session, the other 5 % of a core all the time."""
    with blocks.GuardedBlocks() as page:
        name = gr.Textbox("ann")
        name.change(lambda: None, None, name)
    session = blocks.Session(page)
    assert session[name._id] is name and name._id in session, WHY
    session[name._id] = name
    session._update_config(name._id)
    session._update_value_in_config(name._id, "bob")
    assert not any(session.config_values.values()), WHY
    assert page.queue()._queue.sleep_when_free >= 0.01, WHY


def test_all_runs_stand_in_one_line() -> None:
    """FairQueue takes the next run from one line."""
    from demo import page

    runs = [fn for fn in page.build().fns.values() if fn.fn and fn.queue]
    assert len(runs) >= 5 and {fn.concurrency_id for fn in runs} == {"heavy"}


def test_the_files_of_the_page_itself_are_marked_before_the_first_sweep() -> None:
    """They lie in the folder that is swept, and every page needs them."""
    from demo import page
    from demo.runs.store import Store

    built, place = page.build(), Store(blocks.CACHE, 1e9, 1e9)
    place.protect_present()
    config = str(built.get_config_file())
    own = [path for path in re.findall(r"'path': '([^']+)'", config) if path.startswith(str(blocks.CACHE))]
    assert len(own) >= 3 and set(own) <= place._protected


def test_private_attributes_of_gradio_are_used_in_one_file() -> None:
    private = {
        "_queue",
        "_id",
        "_index",
        "event_ids_to_events",
        "pending_messages_per_session",
        "state_holder",
    }
    private |= {
        "GRADIO_CACHE",
        "processing_utils",
        "utils",
        "temp_file_sets",
        "temp_files",
        "upload_file_set",
        "default_config",
        "blocks_config",
        "fns",
    }
    for path in sorted((ROOT / "demo").rglob("*.py")):
        if path == Path(blocks.__file__):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & private
        modules = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        assert not used, f"{path.name} uses {used}"
        assert not [name for name in modules if re.match(r"gradio\.", name or "")], path.name


def test_a_public_host_does_not_start_on_a_version_that_was_not_tested(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    blocks.check_version(blocks.TESTED[0], public=True)
    with pytest.raises(SystemExit, match="NSTLIB_UNTESTED_GRADIO"):
        blocks.check_version("6.99.0", public=True)
    monkeypatch.setenv("NSTLIB_UNTESTED_GRADIO", "1")
    blocks.check_version("6.99.0", public=True)
    monkeypatch.delenv("NSTLIB_UNTESTED_GRADIO")
    blocks.check_version("6.99.0", public=False)
    assert caplog.text.count("6.99.0 was not tested") == 2
    pinned = re.search(r"^gradio==(.+)$", (ROOT / "requirements.txt").read_text(), re.M)
    assert pinned and pinned[1] in blocks.TESTED
