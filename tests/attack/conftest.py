"""The app as a public host, with traps: a false Ghostscript on its PATH, and files it must not give away."""

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent))

from app_server import running
from attacked import CANARY, Host
from client import Client, noise


@pytest.fixture(scope="session")
def host() -> Iterator[Host]:
    folder = Path(tempfile.mkdtemp(prefix="attack-"))
    trap = folder / "gs-was-called"
    (folder / "bin").mkdir()
    ghostscript = folder / "bin" / "gs"
    ghostscript.write_text(f"#!/bin/sh\necho $0 $@ > {trap}\n")
    ghostscript.chmod(ghostscript.stat().st_mode | stat.S_IXUSR)
    secrets = []
    for name in ("secret.svg", "secret.txt", "secret.png", ".secret"):
        secrets.append(folder / name)
        secrets[-1].write_bytes(
            (noise(40, 40) if name.endswith("png") else b"") + f"<svg>{CANARY}</svg>".encode()
        )
    app = running(
        "attacked",
        SPACE_ID="somebody/app",
        PATH=f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        OMP_NUM_THREADS="1",
        NSTLIB_MAX_SECONDS="8",
        NSTLIB_MAX_UPLOAD="4mb",
        NSTLIB_MAX_DECODE="2",
        TMPDIR=str(folder),
    )
    attacked = Host(app, tuple(secrets), trap)
    first = attacked.client()  # one run: what is loaded once is no cost of an attack
    list(first.stylize(*first.upload(("a.ppm", noise(60, 50)), ("b.ppm", noise(50, 60)))))
    yield attacked
    assert not trap.exists(), trap.read_text()
    log = app.log.read_text(errors="replace")
    assert "Traceback" not in log, log[-3000:]
    assert len(log) < 200_000, "a client fills the log"


@pytest.fixture
def bounded(host: Host) -> Iterator[None]:
    """The whole test costs the app's own process little."""
    with host.bounded():
        yield


@pytest.fixture
def client(host: Host) -> Client:
    return host.client()


@pytest.fixture
def pair(client: Client) -> list[str]:
    return client.upload(("a.ppm", noise(60, 50)), ("b.ppm", noise(50, 60, 1)))
