"""The attacked app, the files that it must not give away, and what an attack may cost (see conftest.py)."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from app_server import App
from client import Client, cpu_seconds, memory

CANARY = "the-canary-" + os.urandom(6).hex()


@dataclass(frozen=True)
class Host:
    """The attacked app. secrets: files of its server outside its own folder; trap: exists once gs ran."""

    app: App
    secrets: tuple[Path, ...]
    trap: Path

    def client(self) -> Client:
        return Client(self.app.url)

    @contextmanager
    def bounded(self, seconds: float = 6.0, megabytes: float = 500.0) -> Iterator[None]:
        """Asserts what an attack costs the app's own process at most: CPU time, and memory at its peak."""
        process = self.app.process.pid
        if not Path(f"/proc/{process}/clear_refs").exists():
            yield
            pytest.skip("the attack was answered; its cost is read from /proc, which this system lacks")
        Path(f"/proc/{process}/clear_refs").write_text("5")  # the peak starts anew
        before, held = cpu_seconds(process), memory(process)
        yield
        spent, grown = cpu_seconds(process) - before, memory(process, "VmHWM") - held
        assert spent < seconds and grown < megabytes, f"{spent:.1f} s of CPU time, {grown:.0f} MB"
