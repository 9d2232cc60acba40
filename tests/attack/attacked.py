"""The attacked app and what it must not give away (see conftest.py, which starts it)."""

import os
from dataclasses import dataclass
from pathlib import Path

from app_server import App
from visitor import Visitor

CANARY = "the-canary-sings-" + os.urandom(6).hex()


@dataclass(frozen=True)
class Host:
    """The attacked app. secrets: files of its server outside its own folder; trap: made if gs is called."""

    app: App
    secrets: tuple[Path, ...]
    trap: Path

    def visitor(self) -> Visitor:
        return Visitor(self.app.url)
