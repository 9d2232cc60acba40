"""Settings for pytest: files are shared among processes, and notebooks are checked by `--nbval`.

Where more than one file is asked for, pytest-xdist runs two to four of them at a time, each in one process
with one thread; `-n 0` keeps all in one process, as `--pdb` does.

Outputs of notebooks are compared strictly, except what cannot be equal on two machines: images (nbval's own
rule), warnings on stderr, HTML, figure sizes, addresses of objects and numbers printed after the sign ≈ (an
assert in the same cell says what of them holds).
"""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job; tests send Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)

PROCESSES = min(4, os.cpu_count() or 1)
IN_WORKER = "PYTEST_XDIST_WORKER" in os.environ  # this is one of several processes
# These files take longest and come first, so that none of them runs alone at the end.
LONGEST = ("test_browser", "test_web", "test_tiles", "07_does_training_matter", "test_values",
           "test_command_line", "test_feedforward", "06_balance_and_fusion")  # fmt: skip
# Files that need the same running app go to one process, which starts it once.
APPS = {
    "home": ("test_browser", "test_browser_access", "test_app", "test_home"),
    "attacked": ("test_values", "test_crowd", "test_files", "test_hostile_images", "test_origins",
                 "test_decoding"),
}  # fmt: skip
collect_ignore = ["notebooks/student"]  # open exercises fail
SANITISER = Path(__file__).parent / "notebooks" / "sanitize.cfg"


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads its options
def pytest_cmdline_main(config: Any) -> None:
    option = config.option
    one_file = len(config.args) == 1 and not Path(config.args[0].partition("::")[0]).is_dir()
    if getattr(option, "numprocesses", 0) is None and not (one_file or option.usepdb or IN_WORKER):
        option.numprocesses, option.dist, option.loadscopereorder = PROCESSES, "loadfile", False


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: Any, log: Any) -> Any:
    from xdist.scheduler import LoadFileScheduling

    class ByApp(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            name = Path(nodeid.partition("::")[0]).stem
            return next((app for app, files in APPS.items() if name in files), super()._split_scope(nodeid))

    return ByApp(config, log) if config.option.dist == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first, then the notebooks: what takes seconds fills the end."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: (place.get(item.path.stem, len(place)), item.path.suffix == ".py"))


def _nbval(option: Any) -> bool:
    return bool(getattr(option, "nbval", False) or getattr(option, "nbval_lax", False))


def pytest_configure(config: Any) -> None:
    option = config.option
    if IN_WORKER or _nbval(option):  # kernels and other processes inherit it: threads sleep while they wait
        os.environ["OMP_NUM_THREADS"] = "1" if IN_WORKER else "2"
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if not _nbval(option):
        return
    if not option.nbval_kernel_name:
        option.nbval_current_env = True  # the kernel of this environment, whatever the notebook names
    if option.nbval_sanitize_with is None:
        option.nbval_sanitize_with = str(SANITISER)
    # Seconds; the default of 60 is short for a busy machine.
    option.nbval_kernel_startup_timeout = max(300, option.nbval_kernel_startup_timeout)
    os.environ["TQDM_DISABLE"] = "1"


def pytest_collectstart(collector: Any) -> None:
    skipped = getattr(collector, "skip_compare", None)
    if isinstance(skipped, tuple):
        collector.skip_compare = (*skipped, "stderr", "text/html")
