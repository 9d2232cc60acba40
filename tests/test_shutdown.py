"""The app ends quickly and quietly at SIGTERM, whatever it is doing, and removes its files.

Ctrl-C ends the app of test_space.py.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "attack"))

from app_server import CONTENT, ROOT, STYLE, running
from client import Client

PATIENCE = 60.0  # seconds until a state is reached on a busy machine


def wait_for(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < deadline, "the state was not reached"
        time.sleep(0.01)


def assert_ends(process: subprocess.Popen[bytes], log: Path, folder: Path, number: int, code: int) -> None:
    process.send_signal(number)
    assert process.wait(timeout=PATIENCE) == code
    words = log.read_text()
    assert not any(word in words for word in ("Traceback", "terminate called", "Error")), words
    assert not list(folder.glob("nstlib-app-*"))


def test_an_argument_that_is_not_known_ends_the_start() -> None:
    process = subprocess.run(
        [sys.executable, "app.py", "--share"], cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False
    )
    assert process.returncode == 2 and "--port" in process.stderr and "--share" in process.stderr


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads a process's signals from /proc")
@pytest.mark.parametrize("state", ["first imports", "temporary folder made"])
def test_a_stop_during_start_up(state: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=ROOT,
            env=os.environ | {"TMPDIR": str(tmp_path), "GRADIO_SERVER_PORT": "0"},
            stdout=file,
            stderr=file,
        )

    def handles_sigterm() -> bool:
        status = Path(f"/proc/{process.pid}/status").read_text()
        caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
        return bool(int(caught.split()[1], 16) & 1 << (signal.SIGTERM - 1))

    wait_for(handles_sigterm)
    if state != "first imports":
        wait_for(lambda: bool(list(tmp_path.glob("nstlib-app-*"))))
    assert_ends(process, log, tmp_path, signal.SIGTERM, 0)


def test_a_stop_during_a_run_a_comparison_and_a_pass(tmp_path: Path) -> None:
    app = running("working", TMPDIR=str(tmp_path), GRADIO_TEMP_DIR="", OMP_NUM_THREADS="1")
    users = [Client(app.url) for _ in range(3)]
    pair = users[0].upload(*((path.name, path.read_bytes()) for path in (CONTENT, STYLE)))
    run = users[0].stylize(*pair, iterations=3000, size=256)
    for _ in range(4):  # until it shows images
        next(run)
    assert users[1].ask(*pair, size=256, iterations=3000)[0] == 200
    live = users[2].event("follow")

    def follow() -> None:
        with contextlib.suppress(OSError):  # the app ends meanwhile
            users[2].call(live, users[2].usual(live))

    threading.Thread(target=follow, daemon=True).start()
    assert_ends(app.process, app.log, tmp_path, signal.SIGTERM, 0)
