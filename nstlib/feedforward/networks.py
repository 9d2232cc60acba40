"""Networks for one style: photograph → picture in a single pass (Johnson, Alahi, Fei-Fei 2016).

    z = the photograph x, each colour's mean and contrast taken out
    z ─► conv ─► conv, stride 2 ─► conv, stride 2 ─► residual blocks ─► ×2, conv ─► ×2, conv ─► conv
    picture = colours(z) + what comes out

Instance norm after every convolution but the last (Ulyanov, Vedaldi, Lempitsky 2016); enlarged by nearest ×2
and a convolution, which leaves no checkerboard (Odena, Dumoulin, Olah 2016). A departure from Johnson: it
comes on top of the photograph, recoloured by one 3 × 3 matrix, so that training starts from the photograph.
From z and not from x: behind instance norms nothing knows x's own mean and contrast, nor could undo them.
"""

import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nstlib.encoders.checkpoints import WeightsError, check_finite
from nstlib.encoders.encoder import pick_device
from nstlib.feedforward.memory import check_network
from nstlib.images import unfinished
from nstlib.inputs import check_image, check_share
from nstlib.version import use_torch_defaults

FOLDER = Path(__file__).parent / "weights"
STRIDE = 4  # of the residual blocks; pictures are filled up to a multiple of it
CARD = "nstlib"  # key of the card in a weight file's metadata
EDGE: Literal["replicate"] = "replicate"  # beyond the border; zeros tell where it is, and a frame comes of it
DTYPE = torch.float32  # of the weights, whatever torch's default is
START = 0.5, 0.25  # mean and standard deviation of a colour, before training


@dataclass(frozen=True)
class Plan:
    """width: channels of the first convolution, doubled at each halving. blocks: residual ones. ends: kernel
    size of the first and last convolution."""

    width: int
    blocks: int
    ends: int


PLANS = {
    "full": Plan(width=32, blocks=5, ends=9),  # Johnson's: 1.7 million parameters
    "light": Plan(width=16, blocks=4, ends=5),  # for two cores: 0.34 million
}


class FeedForward(nn.Module):
    """Callable: net(image, strength=1.0) for images (B, 3, H, W) in [0, 1] of any size → the same shape.

    plan: a name in `PLANS`. card: what it was made from, as plain JSON values.
    """

    def __init__(self, plan: str = "light", card: dict[str, Any] | None = None) -> None:
        super().__init__()
        if plan not in PLANS:
            raise ValueError(f"unknown plan {plan!r}; plans are {', '.join(PLANS)}")
        self.plan, self.card = plan, {"plan": plan, **(card or {})}
        n, blocks, ends = PLANS[plan].width, PLANS[plan].blocks, PLANS[plan].ends
        self.body = nn.Sequential(
            Layer(3, n, ends),
            Layer(n, 2 * n, stride=2),
            Layer(2 * n, 4 * n, stride=2),
            *(Residual(4 * n) for _ in range(blocks)),
            Layer(4 * n, 2 * n, enlarge=True),
            Layer(2 * n, n, enlarge=True),
        )
        self.last = nn.Conv2d(n, 3, ends, padding=ends // 2, padding_mode=EDGE, bias=False, dtype=DTYPE)
        self.colours = nn.Conv2d(3, 3, 1, dtype=DTYPE)
        nn.init.zeros_(self.last.weight)  # it starts as the photograph, at a usual mean and contrast
        nn.init.eye_(self.colours.weight.data[..., 0, 0]).mul_(START[1])
        nn.init.constant_(self.colours.bias, START[0])  # type: ignore[arg-type]

    def picture(self, image: Tensor) -> Tensor:
        """At full strength, not held within [0, 1] (B, 3, H, W); sides multiples of 4."""
        z = nn.functional.group_norm(image, 3)
        picture: Tensor = self.colours(z) + self.last(self.body(z))
        return picture

    def forward(self, image: Tensor, strength: float = 1.0) -> Tensor:
        """Raises ValueError for another shape or range, TypeError for what is no tensor and, after training,
        MemoryError where the image would not fit (see memory.py). Only a network in training mode
        gives an image that requires gradients."""
        image = check_image(image, "image", batch=True).to(self.last.weight)
        check_share(strength, "strength")
        if self.training:
            return self._styled(image, strength)
        self.check_memory((image.shape[0] * image.shape[2], image.shape[3]))
        with torch.no_grad():
            return self._styled(image, strength)

    def check_memory(self, size: Sequence[int]) -> None:
        """Raises MemoryError where an image of `size` (H, W) would not fit (see memory.py)."""
        check_network(PLANS[self.plan].width, self.last.weight.device, size)

    def _styled(self, image: Tensor, strength: float) -> Tensor:
        down, across = (-side % STRIDE for side in image.shape[2:])
        x = nn.functional.pad(image, (0, across, 0, down), mode="replicate") if down or across else image
        x = x.contiguous(memory_format=torch.channels_last)
        with (
            contextlib.nullcontext() if self.training else use_torch_defaults()
        ):  # training has autocast on by its own choice
            full = self.picture(x)[..., : image.shape[2], : image.shape[3]].to(image.dtype)
        picture: Tensor = Held.apply(torch.lerp(image, full, strength))  # type: ignore[no-untyped-call]
        return picture


class Held(torch.autograd.Function):
    """x clamped to [0, 1]. A pixel at its bound keeps the gradient that leads it back, and loses only what
    would lead it on, as in an optimisation (synthesis/loop.py): cut off both ways, dark places stay dark."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(0, 1)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        onward = ((x <= 0) & (g > 0)) | ((x >= 1) & (g < 0))  # a step goes against the gradient
        return g.masked_fill(onward, 0)


class Layer(nn.Module):
    """[×2 →] convolution → instance norm → ReLU."""

    def __init__(self, of: int, to: int, size: int = 3, stride: int = 1, enlarge: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(of, to, size, stride, size // 2, bias=False, padding_mode=EDGE, dtype=DTYPE)
        # The norm over a batch of one picture is instance norm. InstanceNorm2d's gradients were wrong for
        # channels-last batches, GroupNorm's take most of a step in bfloat16 (torch 2.13).
        self.norm = nn.BatchNorm2d(to, track_running_stats=False, dtype=DTYPE)
        self.enlarge = enlarge

    def forward(self, x: Tensor, rectify: bool = True) -> Tensor:
        if self.enlarge:
            x = nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
        x = torch.cat([self.norm(picture) for picture in self.conv(x).split(1)])
        return x.relu_() if rectify else x


class Residual(nn.Module):
    """x + conv(conv(x)), the second without ReLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = Layer(width, width), Layer(width, width)
        self.second.norm.register_parameter("bias", None)  # the norms behind it take a constant out again

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.second(self.first(x), rectify=False)
        return result


def save_feedforward(network: FeedForward, path: str | os.PathLike[str]) -> Path:
    """Writes float16 weights and the card: whole, or not at all.

    Raises FloatingPointError, and leaves the file as it is, where a weight is not a finite float16 number.
    """
    path = Path(path)
    tensors = {name: value.detach().half().cpu().contiguous() for name, value in network.state_dict().items()}
    if not all(bool(value.isfinite().all()) for value in tensors.values()):
        raise FloatingPointError(
            f"{path} was not written: weights of the network are NaN, infinite or too large"
        )
    with unfinished(path) as part:
        save_file(tensors, part, {CARD: json.dumps(network.card, sort_keys=True)})
        part.replace(path)
    return path


def shipped() -> tuple[str, ...]:
    """Names of the networks that are part of the package."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.safetensors") if path.stem != "decoder"))


@use_torch_defaults(gradients=False)
def load_feedforward(name: str | os.PathLike[str], *, device: str | torch.device = "auto") -> FeedForward:
    """A trained network by name, or from a file that training wrote.

    Raises WeightsError that names them, ValueError for a device that does not work here.
    """
    where = pick_device(device)
    path = FOLDER / f"{name}.safetensors" if str(name) in shipped() else Path(name)
    if not path.is_file():
        raise WeightsError(f"no network {str(name)!r}: give a file, or one of {', '.join(shipped())}")
    try:
        with safe_open(path, framework="pt") as file:
            card = json.loads((file.metadata() or {})[CARD])
        with torch.device("meta"):  # it draws no weights, which the file replaces
            network = FeedForward(card["plan"], card)
        network.load_state_dict({key: value.float() for key, value in load_file(path).items()}, assign=True)
    except Exception as error:  # safetensors, json and torch each raise their own kinds
        raise WeightsError(f"{path} is no network that nstlib trained, or damaged ({error})") from error
    check_finite([network], path)
    network.to(where).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.eval().requires_grad_(False)
