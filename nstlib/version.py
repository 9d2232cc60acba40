"""Helpers for all modules: the version and the environment, torch's defaults, atomic writes, old names of
arguments, and parts of messages.

Every module may import this one, because it imports no other module of the package. It imports torch only
inside functions, so that `nstlib --help` does not wait for torch.
"""

import contextlib
import difflib
import glob
import os
import platform
import re
import secrets
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

__version__ = "0.1.0"
STALE = 3600  # seconds since the last write; an older unfinished file is from a killed process
FILES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".onnx")  # endings that no new folder has
AUTOCAST = ("cpu", "cuda", "mps", "xpu")  # device types for which a caller may have enabled autocast

Parameters = ParamSpec("Parameters")
Item = TypeVar("Item")
Target = TypeVar("Target", bound=Callable[..., Any])


@contextlib.contextmanager
def use_torch_defaults(gradients: bool | None = None) -> Iterator[None]:
    """Runs a block, or a decorated function, as if the caller had changed none of torch's defaults.

    Inside, new tensors are on the CPU unless a device is given, and autocast and inference mode are off (a
    cache would keep inference tensors for later calls). The default dtype belongs to the whole process and
    cannot be changed for one thread, so the package names the dtype of every floating-point tensor.

    Args:
        gradients: whether autograd records operations; None keeps the caller's setting.
    """
    import torch

    with contextlib.ExitStack() as stack:
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        for kind in AUTOCAST:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.no_grad())
        if gradients is not None:
            stack.enter_context(torch.set_grad_enabled(gradients))
        yield


def step_with_torch_defaults(
    generate: Callable[Parameters, Iterator[Item]],
) -> Callable[Parameters, Iterator[Item]]:
    """Decorates a generator function: every step runs in `use_torch_defaults(gradients=True)`.

    Between two steps, the caller's own settings apply."""

    @wraps(generate)
    def step(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Iterator[Item]:
        items, end = generate(*args, **kwargs), object()
        del args, kwargs  # the generator holds them as long as it needs them
        while True:
            with use_torch_defaults(gradients=True):
                item: Any = next(items, end)
            if item is end:
                return
            yield item

    return step


def refuse_device(function: Target) -> Target:
    """Decorates a function that works on its encoder's device. An argument `device` raises TypeError."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if "device" in kwargs:
            what = function.__qualname__.removesuffix(".__init__")
            remedy = "it works on that of its encoder; give encoder=nstlib.load_encoder(device=…)"
            raise TypeError(f"{what} has no argument 'device': {remedy}")
        return function(*args, **kwargs)

    return call  # type: ignore[return-value]


def rename_arguments(**new_names: str) -> Callable[[Target], Target]:
    """Decorates a function or a class whose arguments were renamed: rename_arguments(old="new").

    Until the next release, the old keywords are accepted, too, and objects of a class also have the old
    attributes. Both give a DeprecationWarning.
    """

    def decorate(target: Target) -> Target:
        call, owner = (target.__init__, target) if isinstance(target, type) else (target, None)  # type: ignore[misc]
        what = target.__qualname__.removesuffix(".__init__")

        def warn(old: str) -> str:
            words = f"{old!r} of nstlib's {what} is deprecated and will be removed in the next release"
            warnings.warn(f"{words}: use {new_names[old]!r}", DeprecationWarning, stacklevel=3)
            return new_names[old]

        @wraps(call)
        def accept(*args: Any, **kwargs: Any) -> Any:
            for old in new_names.keys() & kwargs.keys():
                new = warn(old)
                if new in kwargs:
                    raise TypeError(f"{what} got {new!r} twice: {old!r} is its old name; give {new!r} alone")
                kwargs[new] = kwargs.pop(old)
            return call(*args, **kwargs)

        if owner is None:
            return accept  # type: ignore[return-value]
        owner.__init__ = accept  # type: ignore[misc]
        for name in new_names:
            setattr(owner, name, property(lambda self, name=name: getattr(self, warn(name))))  # type: ignore[misc]
        return target

    return decorate


def environment_info() -> dict[str, Any]:
    """Returns the versions and the number of CPU threads, on which pixels depend, as plain JSON values.

    The number of threads determines the order of sums, and a run amplifies rounding errors.
    """
    import torch

    versions = {"nstlib": __version__, "torch": str(torch.__version__), "python": platform.python_version()}
    return {"versions": versions, "threads": torch.get_num_threads()}


@contextlib.contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`, and renames this file to `path` at the end of the block.

    If the process is killed, `path` holds either the complete old file or the complete new one. If the block
    raises or writes nothing, `path` stays unchanged. Files that killed processes left unfinished are removed.
    """
    for old in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        with contextlib.suppress(OSError):
            if time.time() - old.stat().st_mtime > STALE:
                old.unlink()
    part = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        yield part
        if part.exists():
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def check_writable(path: str | os.PathLike[str], name: str = "") -> Path:
    """Returns the path if a file can be written there. An existing file stays unchanged.

    Args:
        name: name of the argument, for messages.

    Raises: FileNotFoundError for a missing folder, PermissionError for a folder, a pipe or a device, and
        OSError if the file cannot be written.
    """
    path, what = Path(path), f"{name} {path}".strip()
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot save {what}: the folder {path.parent} does not exist")
    if path.exists() and not path.is_file():
        raise PermissionError(f"cannot save {what}: it is a folder, a pipe or a device")
    with write_whole(path) as part:  # os.access misses full disks, quotas and read-only mounts
        part.touch()
        part.unlink()
    return path


def check_folder(path: str | os.PathLike[str], *names: str) -> None:
    """Raises NotADirectoryError if `path` is a file. Raises as `check_writable` if it cannot write `names`.

    The folder need not exist, but then its name must not end like a file's.
    """
    if Path(path).suffix.lower() in FILES and not Path(path).exists():
        raise NotADirectoryError(f"{path} is the name of a file, and results go into a folder: name a folder")
    there = next(part for part in (Path(path), *Path(path).parents) if part.exists())
    if not there.is_dir():
        raise NotADirectoryError(f"{there} is no folder, and results go into one: choose a different name")
    for name in names:
        check_writable(there / name)


def no_such(kind: str, path: object) -> str:
    """Returns the message for a missing file or folder, or for a URL (in which a Path turns // into /)."""
    if found := re.search(r"\b(https?|ftp|file|s3|gs):/+(.*)", str(path), re.IGNORECASE):
        return f"{found[1]}://{found[2]} is an address: download it first, and give the path of the {kind}"
    return f"no such {kind}: {path}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Returns " (did you mean …?)" with the most similar known word, or "" if none is similar."""
    return "".join(f" (did you mean {near}?)" for near in difflib.get_close_matches(word, known, 1))


def free_host_memory() -> float | None:
    """Returns the total bytes that this process may use, including those in use; None if unknown."""
    try:
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        system = 1024.0 * int(lines["MemAvailable"].split()[0])
        held = 4096.0 * int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, KeyError):
        return None  # not Linux
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):  # the file is absent or holds "max"
            return min(system + held, float(Path(file).read_text()))
    return system + held
