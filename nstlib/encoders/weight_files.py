"""Weight files: how they are found, downloaded, checked and read.

The embedded encoder is bundled with the package. The others use torchvision's official checkpoints, unless
`weights=` names a different file. A checkpoint is looked for in $NSTLIB_WEIGHTS (a file or a folder), then in
torch's hub cache, where downloads are stored. A file of the official name must have the official SHA-256.
"""

import hashlib
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from nstlib.version import no_such, write_whole

EMBEDDED = Path(__file__).parent / "weights" / "vgg19-slim.safetensors"
TIMEOUT = 30  # seconds without a byte before a download is given up


class WeightsError(RuntimeError):
    """Weights cannot be obtained or trusted; the message names the file, the URL and a remedy."""


@dataclass(frozen=True)
class Source:
    """An official checkpoint of torchvision: the encoder's name, and the SHA-256 of the whole file."""

    name: str
    sha256: str

    @property
    def file(self) -> str:
        return f"{self.name}-{self.sha256[:8]}.pth"

    @property
    def url(self) -> str:
        return f"https://download.pytorch.org/models/{self.file}"


SOURCES = {
    "vgg19": Source("vgg19", "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44"),
    "vgg16": Source("vgg16", "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0"),
    "resnet50": Source("resnet50", "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a"),
}


def places(name: str, weights: str | os.PathLike[str] | None = None) -> Iterator[tuple[str, Path]]:
    """Yields (reason, path) for each place where the weights of an encoder are looked for, in order."""
    filename = EMBEDDED.name if name == "vgg19-slim" else SOURCES[name].file
    if weights is not None:
        yield "weights=", Path(weights)
        return
    if name == "vgg19-slim":
        yield "embedded", EMBEDDED
        return
    if variable := os.environ.get("NSTLIB_WEIGHTS"):
        path = Path(variable)
        yield "$NSTLIB_WEIGHTS", path / filename if path.is_dir() else path
    yield "torch's cache", Path(torch.hub.get_dir()) / "checkpoints" / filename


def find(name: str, weights: str | os.PathLike[str] | None = None) -> Path:
    """Returns the weight file of an encoder. Downloads it if it is missing. Raises WeightsError."""
    candidates = [path for _, path in places(name, weights)]
    path = next(filter(Path.is_file, candidates), candidates[-1])
    official = SOURCES.get(name) if weights is None else None
    if not path.is_file():
        if official is None:
            raise WeightsError(no_such("weight file", path))
        download(official.url, path, official.sha256)
    # Only a file with the official name is checked. A file with a different name may hold other weights.
    elif official and path.name == official.file and (found := sha256(path)) != official.sha256:
        raise WeightsError(
            f"{path} is damaged or not the official file: its SHA-256 is {found}, not {official.sha256}. "
            f"Delete it and run again to download {official.url}"
        )
    return path


@cache
def _sha256(path: Path, size: int, modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file, cached until the file changes."""
    stat = path.stat()
    return _sha256(path.resolve(), stat.st_size, stat.st_mtime_ns)


def download(url: str, path: Path, expected: str, timeout: float = TIMEOUT) -> None:
    """Downloads `url` to `path`. The file appears only if it is complete and has the expected SHA-256.

    Raises WeightsError. The message names the URL, the file and what to do without a connection.
    """
    remedy = (
        "Without a connection: choose the bundled encoder vgg19-slim (--encoder vgg19-slim); or fetch it "
        f"elsewhere, and copy it to {path} or give its path as the option weights or in NSTLIB_WEIGHTS."
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_whole(path) as part:
            with urllib.request.urlopen(url, timeout=timeout) as response, part.open("wb") as file:
                shutil.copyfileobj(response, file, 1 << 20)
                length = response.headers.get("Content-Length")
            size = part.stat().st_size
            if length is not None and size != int(length):
                raise WeightsError(
                    f"downloading {url} stopped after {size} of {length} bytes. Try again. {remedy}"
                )
            if (found := sha256(part)) != expected:
                raise WeightsError(
                    f"{url} has SHA-256 {found}, not {expected}: damaged on the way, or replaced. "
                    f"It was not saved. Try again. {remedy}"
                )
    except (OSError, urllib.error.URLError) as error:
        raise WeightsError(f"could not download {url}: {error}. {remedy}") from error


def check_finite(modules: Iterable[torch.nn.Module], path: Path) -> None:
    """Raises WeightsError if a weight of the modules is NaN or infinite."""
    tensors = (values for module in modules for values in module.state_dict().values())
    if not all(bool(torch.isfinite(values).all()) for values in tensors):
        raise WeightsError(f"{path} holds weights that are NaN or infinite; take a different file")


def read(path: Path) -> dict[str, Tensor]:
    """Returns the tensors of a .safetensors file or of a torch checkpoint. Raises WeightsError.

    A torch checkpoint is read with weights_only=True. It is mapped into memory, so unused parts are not read.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # pickle, zipfile and safetensors raise different exceptions
        raise WeightsError(
            f"cannot read {path} as weights: it is damaged, or a different kind of file ({error})"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise WeightsError(f"{path} holds no state dict (a dictionary of tensors)")
    return state
