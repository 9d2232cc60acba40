"""How threads wait is chosen before torch is imported, and never against the user."""

import os
import subprocess
import sys

import pytest
from app_server import ROOT

from nstlib.threads import WAITING, limit_spinning


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A process where torch is not imported and nothing is set."""
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(os, "environ", {})
    return monkeypatch


def chosen() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


def test_waiting_threads_soon_sleep(fresh: pytest.MonkeyPatch) -> None:
    limit_spinning()
    assert chosen() == WAITING


@pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"])
def test_the_users_own_setting_is_kept(name: str, fresh: pytest.MonkeyPatch) -> None:
    os.environ[name] = "7"
    limit_spinning()
    assert chosen() == {name: "7"}


def test_nothing_is_set_after_torch(fresh: pytest.MonkeyPatch) -> None:
    fresh.setitem(sys.modules, "torch", object())
    limit_spinning()
    assert chosen() == {}


@pytest.mark.parametrize("package", ["nstlib", "demo"])
def test_imports_set_it_before_torch(package: str) -> None:
    code = (
        "import sys, importlib.abc\n"
        "class Watch(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'torch': import os; print(os.environ.get('GOMP_SPINCOUNT')); sys.exit()\n"
        "sys.meta_path.insert(0, Watch())\n"
        f"import {package}, torch"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", *WAITING)}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=ROOT
    )
    assert result.stdout.strip() == WAITING["GOMP_SPINCOUNT"]
