"""Networks for one style: content → image in a single pass (Johnson, Alahi, Fei-Fei 2016).

    z = the content x, with each colour channel normalised to mean 0 and variance 1
    image = colours(z) + last(body(z))

`colours` maps the colour of each pixel affinely, `last` is a convolution, and layers.py has the body. A
departure from Johnson: body and `last` compute only a residual, so that training starts from the content. The
input is z because instance norms discard the mean and the variance of x.
"""

import contextlib
import json
import math
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nstlib.encoders.boxes import missing
from nstlib.encoders.encoder import pick_device
from nstlib.encoders.weight_files import WeightsError, check_finite
from nstlib.feedforward.layers import DTYPE, EDGE, OneSidedClamp, SkipBody, plain_body
from nstlib.feedforward.norms import STRIDE, apply_in_tiles
from nstlib.inputs import check_image, check_share
from nstlib.synthesis.memory import base_memory, budget, choose
from nstlib.version import did_you_mean, no_such, rename_arguments, use_torch_defaults, write_whole

FOLDER = Path(__file__).parent / "weights"
METADATA = "nstlib"  # key of a network's metadata in its weight file
OLD_KEYS = {"begin": "init_from"}  # old → new name, in the metadata of older networks and checkpoints
START = 0.5, 0.25  # mean and standard deviation of each output channel before training
TILES, HALO = (1024, 512, 256), 120  # px: sides of a tile, and what the halo adds to a side
IN_TILES = 60  # bytes per pixel of the image, if the network works in tiles


class Architecture(NamedTuple):
    """The architecture of a network."""

    width: int  # channels of the first convolution; each strided convolution doubles them
    blocks: int  # number of residual blocks
    ends: int  # kernel size of the first and the last convolution
    body: Callable[[int, int, int], nn.Module] = plain_body
    memory: int = 32  # bytes per pixel and per channel of the first convolution (benchmarks/memory.py)


PLANS = {
    "full": Architecture(width=32, blocks=5, ends=9),  # as Johnson's, 1.7 million parameters
    "light": Architecture(width=16, blocks=4, ends=5),  # 0.34 million parameters, for a CPU with two cores
    "sharp": Architecture(width=16, blocks=5, ends=5, body=SkipBody, memory=42),  # upsamples bilinearly
}


@rename_arguments(card="metadata")
class FeedForward(nn.Module):
    """A network for one style: `network(image, strength=1.0)`.

    Args:
        plan: architecture, a name in `PLANS`.
        metadata: style, options and versions of the training, as JSON values.

    Raises:
        ValueError: the plan is unknown.
    """

    def __init__(self, plan: str = "sharp", metadata: dict[str, Any] | None = None) -> None:
        super().__init__()
        if plan not in PLANS:
            raise ValueError(f"unknown plan {plan!r}; plans are {', '.join(PLANS)}")
        self.plan, self.metadata = plan, {"plan": plan, **(metadata or {})}
        n, blocks, ends, body, _ = PLANS[plan]
        self.body = body(n, blocks, ends)
        self.last = nn.Conv2d(n, 3, ends, padding=ends // 2, padding_mode=EDGE, bias=False, dtype=DTYPE)
        self.colours = nn.Conv2d(3, 3, 1, dtype=DTYPE)
        nn.init.zeros_(self.last.weight)  # training starts from the content at a usual mean and contrast
        nn.init.eye_(self.colours.weight.data[..., 0, 0]).mul_(START[1])
        nn.init.constant_(self.colours.bias, START[0])  # type: ignore[arg-type]

    def forward(self, image: Tensor, strength: float = 1.0, memory: str = "auto") -> Tensor:
        """Returns images in the style, (B, 3, H, W) in [0, 1]. They require gradients in training mode only.

        Args:
            image: (B, 3, H, W) in [0, 1], of any size.
            strength: 0 (the image unchanged) … 1.
            memory: as in `Settings`. If the whole image needs more, the network works in tiles.

        Raises:
            TypeError: `image` is not a tensor.
            ValueError: `image` or `strength` has a wrong shape or range.
            MemoryError: the image does not fit in memory, even in tiles. Training mode does not check this.
        """
        image = check_image(image, "image", batch=True, copy=False).to(self.last.weight)
        check_share(strength, "strength")
        B, _, height, width = image.shape
        tile = None if self.training else self.check_memory((B * height, width), memory)
        # in training mode the caller decides on gradients and autocast
        with contextlib.nullcontext() if self.training else use_torch_defaults(gradients=False):
            # a padding of 0 would still copy the image
            pads = (0, missing(width, STRIDE), 0, missing(height, STRIDE))
            x = image if tile and not any(pads) else nn.functional.pad(image, pads, mode=EDGE)
            if tile:
                full = apply_in_tiles(self, FeedForward.make, x, tile)
            else:
                full = self.make(nn.functional.group_norm(x.contiguous(memory_format=torch.channels_last), 3))
            full = full[..., :height, :width].to(image.dtype)
            result: Tensor = OneSidedClamp.apply(torch.lerp(image, full, strength))  # type: ignore[no-untyped-call]
        return result

    def make(self, z: Tensor) -> Tensor:
        """Returns the image (B, 3, H, W) before clamping, for a content z with normalised colours."""
        image: Tensor = self.colours(z) + self.last(self.body(z))
        return image

    def estimate_memory(self, size: Sequence[int], tile: int | None = None) -> float:
        """Returns the peak memory of the process in bytes, for an image of `size` (H, W)."""
        crop, images = ((tile + HALO) ** 2, IN_TILES * math.prod(size)) if tile else (math.prod(size), 0)
        plan = PLANS[self.plan]
        return base_memory(self.last.weight.device) + plan.memory * plan.width * crop + images

    def check_memory(self, size: Sequence[int], memory: str = "auto") -> int | None:
        """Returns the side of the tiles for an image of `size` (H, W), or None if the whole image fits.

        Raises MemoryError if not even the smallest tiles fit.
        """
        limit, given = budget(memory, self.last.weight.device), memory != "auto"
        who, remedy = "the network", "cut the image into parts"
        return choose((None, *TILES), self.estimate_memory, [size], who, remedy, limit, given)


def is_finite(tensors: Iterable[Tensor]) -> bool:
    """Returns True if no tensor has a value that is NaN or infinite."""
    return all(bool(value.isfinite().all()) for value in tensors)


def rename_keys(metadata: dict[str, Any]) -> dict[str, Any]:
    """Replaces the old names of keys in metadata by the new names."""
    return {OLD_KEYS.get(key, key): value for key, value in metadata.items()}


def save_feedforward(network: FeedForward, path: str | os.PathLike[str]) -> None:
    """Writes a network's weights (float16) and metadata. If this fails, an existing file stays unchanged.

    Raises:
        FloatingPointError: a weight is NaN, infinite or too large for float16.
    """
    path = Path(path)
    tensors = {name: value.detach().half().cpu().contiguous() for name, value in network.state_dict().items()}
    if not is_finite(tensors.values()):
        raise FloatingPointError(
            f"{path} was not written: weights of the network are NaN, infinite or too large"
        )
    with write_whole(path) as part:
        save_file(tensors, part, {METADATA: json.dumps(network.metadata, sort_keys=True)})


def bundled_networks() -> tuple[str, ...]:
    """Returns the names of the bundled networks."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.safetensors") if path.stem != "decoder"))


@use_torch_defaults(gradients=False)
def load_feedforward(name: str | os.PathLike[str], *, device: str | torch.device = "auto") -> FeedForward:
    """Loads a trained network.

    Args:
        name: name of a bundled network, or a file that a training wrote.
        device: the device to run on, as in `load_encoder`.

    Raises:
        WeightsError: there is no such network, or the file is damaged.
        ValueError: the device does not work here.
    """
    where = pick_device(device)
    path = FOLDER / f"{name}.safetensors" if str(name) in bundled_networks() else Path(name)
    if not path.is_file():
        known = bundled_networks()
        words = f"{no_such('network', name)}{did_you_mean(str(name), known)}"
        raise WeightsError(f"{words}; give a file, or one of {', '.join(known)}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = rename_keys(json.loads((file.metadata() or {})[METADATA]))
        with torch.device("meta"):  # no weights are initialised, because the file has them
            network = FeedForward(metadata["plan"], metadata)
        network.load_state_dict({key: value.float() for key, value in load_file(path).items()}, assign=True)
    except Exception as error:  # safetensors, json and torch raise different exceptions
        raise WeightsError(f"{path} is no network that nstlib trained, or damaged ({error})") from error
    check_finite([network], path)
    network.to(where).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.eval().requires_grad_(False)
