"""Starts the app once for all tests that need it, as its users do: `python app.py`, on a free port."""

import atexit
import contextlib
import functools
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONTENT = ROOT / "examples" / "contents" / "harbour.jpg"
STYLE = ROOT / "examples" / "styles" / "waves.jpg"
SITE = "https://web.example/"  # of the static page
START_SECONDS = 240  # a busy machine may need long to import torch


@dataclass(frozen=True)
class App:
    """A running app: its URL, its process, its log, the folder of its uploads and results."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    files: Path


def address() -> str:
    """The URL of the app that most tests share."""
    return running().url


def free_port() -> int:
    """A port below those that systems give to outgoing connections: none takes it before the app does."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@functools.cache
def running(name: str = "home", folder: Path = ROOT, **environment: str) -> App:
    """The app called `name`, started in `folder` with more environment variables at its first use. The one at
    home knows slow runs (see app_with_slow_runs.py)."""
    url = f"http://127.0.0.1:{(port := free_port())}/"
    log = Path(tempfile.mkdtemp()) / "app.log"
    files = tempfile.mkdtemp(prefix=f"app-{name}-")
    everything = os.environ | {
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_TEMP_DIR": files,
        "NSTLIB_MAX_SIZE": "320",
        "NSTLIB_SIZE": "64",
        "NSTLIB_WEB": SITE,
        "no_proxy": "127.0.0.1,localhost",
        **environment,
    }
    with log.open("w") as file:
        arguments = ["app.py", "--port", str(port)]
        if name == "home":
            arguments = [str(Path(__file__).with_name("app_with_slow_runs.py"))]
            everything["GRADIO_SERVER_PORT"] = str(port)
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=folder, env=everything, stdout=file, stderr=file
        )
    atexit.register(process.kill)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the app ended at its start:\n{log.read_text()}"
        try:
            with urllib.request.urlopen(url, timeout=5):
                return App(url, process, log, Path(files))
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"the app did not answer in {START_SECONDS} s:\n{log.read_text()}")
