"""Starts the app once for all tests that need it, as its users do: `python app.py`, on a free port."""

import atexit
import functools
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONTENT = ROOT / "examples" / "contents" / "harbour.jpg"
STYLE = ROOT / "examples" / "styles" / "waves.jpg"
START_SECONDS = 90  # a busy machine may need long to import torch


@functools.cache
def address() -> str:
    """The URL of a running app."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    log = Path(tempfile.mkdtemp()) / "app.log"
    environment = os.environ | {
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": tempfile.mkdtemp(),
        "NSTLIB_MAX_SIZE": "320",
        "NSTLIB_MAX_SECONDS": "60",
        "no_proxy": "127.0.0.1,localhost",
    }
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=file, stderr=file
        )
    atexit.register(process.kill)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the app ended at its start:\n{log.read_text()}"
        try:
            with urllib.request.urlopen(url, timeout=5):
                return url
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"the app did not answer in {START_SECONDS} s:\n{log.read_text()}")
