"""Encoders: image → features, the F ∈ R^{N_l × M_l} of each layer l.

An encoder is a convolutional network cut into named layers. It takes images (B, 3, H, W), RGB in [0, 1];
normalisation lives inside. Layers are named after VGG: `relu4_2` is the second convolution of the fourth
block after its ReLU, `conv4_2` the same before it. ResNet-50's are `relu1` and `block2_1` … `block5_3`.
Only the layers up to the deepest one asked for are run.
"""

import os
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor, nn

from nstlib.encoders import checkpoints, networks, precision, taps
from nstlib.encoders.networks import Network
from nstlib.version import use_torch_defaults

Pooling = Literal["max", "avg"]
ENCODERS = ("vgg19-slim", "vgg19", "vgg16", "resnet50", "vgg19-random")


class Encoder:
    """Callable: `encoder(image, layers)` → {layer: (B, N_l, M_l)}, float32, differentiable in the image.

    name: as given to `load_encoder`. layers: all layer names, shallow to deep. channels, strides: N_l and
    the pixels between positions, by layer. style_layers, content_layer: the defaults of a run.
    weights_hash: SHA-256 of the weight file ("" for random weights). dtype: of the network's arithmetic.
    """

    def __init__(
        self,
        name: str,
        network: Network,
        weights_hash: str,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.name, self.weights_hash, self.device = name, weights_hash, device
        self.network, self.dtype = network, dtype
        for stage in network.stages.values():
            stage.to(device, dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            stage.eval().requires_grad_(False)
        self._mean = network.mean.to(device).view(3, 1, 1)
        self._std = network.std.to(device).view(3, 1, 1)
        self.layers = tuple(name for name in network.stages if not name.startswith("pool"))
        self.channels = {layer: network.channels[layer] for layer in self.layers}
        self.strides = {layer: network.strides[layer] for layer in self.layers}
        self.style_layers, self.content_layer = network.style_layers, network.content_layer

    def __repr__(self) -> str:
        return f"Encoder({self.name!r}, {len(self.layers)} layers, device={str(self.device)!r})"

    @property
    def dtype_name(self) -> str:
        """ "float32" or "bfloat16": the arithmetic as `Settings.dtype` spells it."""
        return str(self.dtype).removeprefix("torch.")

    @property
    def pooling(self) -> Pooling:
        """ "max" or "avg", as `load_encoder` spells it."""
        average = any(isinstance(stage, networks.ScaledAvgPool) for stage in self.network.stages.values())
        return "avg" if average else "max"

    def check_layers(self, layers: Iterable[str]) -> None:
        """Raises ValueError that lists the layers where one is unknown."""
        if unknown := [layer for layer in layers if layer not in self.channels]:
            raise ValueError(
                f"{self.name} has no layer {', '.join(unknown)}; it has {', '.join(self.layers)}"
            )

    def __call__(
        self, image: Tensor, layers: Iterable[str], *, checkpoint: bool = False
    ) -> dict[str, Tensor]:
        """{layer: F (B, N_l, M_l)} for an image (B, 3, H, W), with M_l = H_l · W_l positions.

        In memory the N_l numbers of a position lie together (`reshape`, not `view`, flattens F).
        checkpoint: needs about half the memory for a gradient and a third more time (see taps.py).
        Raises ValueError for an unknown layer, or an image too small for the deepest one.
        """
        return {layer: F for layer, (F, _) in self._collect(image, layers, checkpoint).items()}

    def maps(self, image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """{layer: (B, N_l, H_l, W_l)}: the same with the positions in rows and columns."""
        return {
            layer: F.view(*F.shape[:2], *size) for layer, (F, size) in self._collect(image, layers).items()
        }

    @use_torch_defaults()
    def _collect(
        self, image: Tensor, layers: Iterable[str], checkpoint: bool = False
    ) -> dict[str, tuple[Tensor, taps.Size]]:
        wanted = tuple(dict.fromkeys(layers))
        self.check_layers(wanted)
        if image.dim() != 4 or image.shape[1] != 3:
            raise ValueError(f"an image tensor is (B, 3, H, W), got {tuple(image.shape)}")
        side, stride = min(image.shape[2:]), max((self.strides[layer] for layer in wanted), default=1)
        if side < stride:
            raise ValueError(
                f"an image of {image.shape[3]} x {image.shape[2]} px is too small for {wanted[-1]}: "
                f"its shorter side must be at least {stride} px"
            )
        margin = self.network.margin
        x = (image.float().to(self.device) - self._mean) / self._std  # not every device has float64
        if margin:  # the network pads with zeros; a ring of mirrored picture keeps those off the border
            x = nn.functional.pad(x, [margin] * 4, mode="reflect" if side > margin else "replicate")
        x = x.to(self.dtype).contiguous(memory_format=torch.channels_last)
        return taps.collect(self.network, x, wanted, checkpoint)


def load_encoder(
    name: str = "vgg19-slim",
    *,
    weights: str | os.PathLike[str] | None = None,
    pooling: Pooling = "max",
    device: str | torch.device = "auto",
    dtype: precision.DType = "float32",
) -> Encoder:
    """An encoder by name; the same arguments give the same object.

    name: "vgg19-slim" (embedded, quarter width), "vgg19", "vgg16", "resnet50" (torchvision's official
    weights, downloaded once), "vgg19-random" (seeded random weights: a control). weights: a file to use
    instead (.safetensors, or a torch state dict). pooling: "max", or "avg" rescaled. device: see
    `pick_device`. dtype: of the network's arithmetic; "auto" takes bfloat16 where the device multiplies it in
    hardware (see precision.py). Features are float32 in any case.
    Raises ValueError for an unknown name or dtype or a device that does not work here, WeightsError (see
    checkpoints.py).
    """
    if name not in ENCODERS:
        raise ValueError(f"unknown encoder {name!r}; encoders are {', '.join(ENCODERS)}")
    if pooling not in ("max", "avg"):
        raise ValueError(f"pooling must be 'max' or 'avg', got {pooling!r}")
    if dtype not in precision.DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(precision.DTYPES)}, got {dtype!r}")
    path, where = None if weights is None else os.path.abspath(weights), pick_device(device)

    chosen = precision.choose(where) if dtype == "auto" else dtype
    return _load(name, path, pooling, str(where), getattr(torch, chosen))


@lru_cache(maxsize=6)
@use_torch_defaults(gradients=False)
def _load(name: str, weights: str | None, pooling: Pooling, device: str, dtype: torch.dtype) -> Encoder:
    if name == "vgg19-random":
        return Encoder(name, networks.random_vgg19(pooling), "", torch.device(device), dtype)
    path = checkpoints.find(name, weights)
    state = checkpoints.read(path)
    try:
        network = networks.build(name, state, pooling)
    except Exception as error:  # a stranger's file: other names, shapes, numbers of dimensions or types
        raise checkpoints.WeightsError(f"{path} does not fit {name}: {error}") from error
    checkpoints.check_finite(network.stages.values(), path)
    return Encoder(name, network, checkpoints.sha256(path), torch.device(device), dtype)


def pick_device(device: str | torch.device = "auto") -> torch.device:
    """The device to run on: "auto" is what $NSTLIB_DEVICE says, else the first of `working_devices`; anything
    else is as torch reads it. Raises ValueError that lists the devices which work where this one does not.
    """
    if device == "auto":
        device = os.environ.get("NSTLIB_DEVICE") or "auto"
    if device == "auto":
        device = working_devices()[0]
    elif error := _failure(device):
        working = ", ".join(working_devices())
        raise ValueError(
            f"device {str(device)!r} does not work here ({error}): choose auto or one of {working}"
        )
    return torch.device(device)


def working_devices() -> list[str]:
    """The types of device that work here, the fastest first: those of cuda and mps that do, then cpu."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    # a virtual machine may have a GPU that torch calls available and that cannot hold one number
    return [kind for kind, found in there.items() if found and not _failure(kind)] + ["cpu"]


def _failure(device: str | torch.device) -> str:
    """Why a device does not work: the start of torch's words; empty where it does."""
    try:
        torch.zeros(1, device=device).item()
    except Exception as error:  # torch raises many kinds, from AssertionError to ImportError
        return str(error).partition("\n")[0].partition(". ")[0] or type(error).__name__
    return ""
