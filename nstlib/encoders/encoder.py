"""Encoders turn an image into features: a matrix F ∈ R^{N_l × M_l} for each layer l.

An encoder is a convolutional network with named layers. It takes images (B, 3, H, W), RGB in [0, 1], and
normalises them itself. In VGG, `conv4_2` is the output of the second convolution of the fourth block, and
`relu4_2` is this output after the ReLU. ResNet-50 has the layers `relu1` and `block2_1` … `block5_3`. Layers
after the deepest requested one are not run.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor, nn

from nstlib.encoders import features, networks, precision, weight_files
from nstlib.encoders.boxes import Box
from nstlib.encoders.networks import Network
from nstlib.encoders.windows import IMAGE, Window, make_window, make_windows
from nstlib.inputs import check_dense, check_side
from nstlib.version import use_torch_defaults

Pooling = Literal["max", "avg"]
ENCODERS = ("vgg19-slim", "vgg19", "vgg16", "resnet50", "vgg19-random")


class Encoder:
    """Callable: `encoder(image, layers)` returns {layer: F (B, N_l, M_l)}, float32, differentiable.

    Attributes:
        layers: All layer names, shallow to deep.
        channels, strides: {layer: N_l}, and {layer: pixels between neighbouring positions}.
        style_layers, content_layer: The default layers of a run.
        weights_hash: SHA-256 of the weight file ("" for random weights).
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
        """ "float32" or "bfloat16", as `Settings.dtype` spells it."""
        return str(self.dtype).removeprefix("torch.")

    @property
    def pooling(self) -> Pooling:
        """ "max" or "avg", as `load_encoder` spells it."""
        average = any(isinstance(stage, networks.ScaledAvgPool) for stage in self.network.stages.values())
        return "avg" if average else "max"

    def check_layers(self, layers: Iterable[str]) -> None:
        """Raises ValueError if a layer is unknown. The message lists the known layers."""
        if unknown := [layer for layer in layers if layer not in self.channels]:
            raise ValueError(
                f"{self.name} has no layer {', '.join(unknown)}; it has {', '.join(self.layers)}"
            )

    def __call__(
        self, image: Tensor, layers: Iterable[str], *, window: Window | None = None
    ) -> dict[str, Tensor]:
        """Returns {layer: F (B, N_l, M_l)} for an image (B, 3, H, W), with M_l = H_l · W_l positions.

        The N_l numbers of a position are contiguous in memory, so flatten F with `reshape`, not with `view`.

        Args:
            window: A window, if `image` is its crop of the image or of the map that it starts from, see
                `Window.cut`. The features equal those of the whole image at the window's positions.

        Raises:
            ValueError: A layer is unknown, or the image is too small for the deepest one.
        """
        return {layer: F for layer, (F, _) in self._collect(image, layers, window).items()}

    def windows(self, size: Sequence[int], layers: Iterable[str], tile: int) -> list[list[Window]]:
        """Divides an image of `size` (H, W) into tiles of `tile` px. Returns the windows of each segment."""
        self.check_layers(layers := tuple(layers))
        return make_windows(self.network, size, layers, tile)

    def window(self, size: Sequence[int], positions: Mapping[str, Box]) -> Window:
        """Returns a window for the `positions` {layer: rows and columns} of an image of `size` (H, W)."""
        return make_window(self.network, size, positions)

    def maps(
        self,
        image: Tensor,
        layers: Iterable[str],
        *,
        window: Window | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> dict[str, Tensor]:
        """Returns the features as maps, {layer: (B, N_l, H_l, W_l)}, of the given `dtype`."""
        found = self._collect(image, layers, window, dtype)
        # with the strides that F.view gives, torch would not recognise the maps as channels last
        return {
            layer: F.mT.reshape(len(F), *size, -1).permute(0, 3, 1, 2) for layer, (F, size) in found.items()
        }

    @use_torch_defaults()
    def _collect(
        self,
        image: Tensor,
        layers: Iterable[str],
        window: Window | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> features.Taps:
        wanted = tuple(dict.fromkeys(layers))
        if window is not None and window.start != IMAGE:
            x = image.contiguous(memory_format=torch.channels_last)
            return features.collect(self.network, x, wanted, window, dtype)
        self.check_layers(layer for layer in wanted if window is None or layer != window.end)
        check_dense(image, "the image")
        if image.dim() != 4 or image.shape[1] != 3:
            raise ValueError(f"an image tensor is (B, 3, H, W), got {tuple(image.shape)}")
        if wanted and window is None:
            check_side(image.shape[2:], "the image", self.strides, wanted)
        side, margin = min(image.shape[2:]), self.network.padding
        padding, mode = (margin,) * 4, "reflect" if side > margin else "replicate"
        if window is not None:
            padding, mode = window.padding, window.mode
        x = (image.float().to(self.device) - self._mean) / self._std  # some devices have no float64
        if any(padding):  # the zero padding of the network then touches mirrored pixels, not the image
            x = nn.functional.pad(x, padding, mode=mode)
        x = x.to(self.dtype).contiguous(memory_format=torch.channels_last)
        return features.collect(self.network, x, wanted, window, dtype)


def load_encoder(
    name: str = "vgg19-slim",
    *,
    weights: str | os.PathLike[str] | None = None,
    pooling: Pooling = "max",
    device: str | torch.device = "auto",
    dtype: precision.DType = "float32",
) -> Encoder:
    """Loads an encoder by name. Calls with the same arguments return the same object.

    Args:
        name: "vgg19-slim" (embedded, quarter width), "vgg19", "vgg16", "resnet50" (torchvision's official
            weights, downloaded once) or "vgg19-random" (seeded random weights, a control).
        weights: File to use instead of these weights: .safetensors or a torch state dict.
        pooling: "max", or "avg": average pooling, multiplied by the typical ratio of maximum to mean.
        device: A torch device, or "auto": $NSTLIB_DEVICE, else the first of CUDA, MPS and CPU that works.
        dtype: Dtype of the network's arithmetic. "auto" is bfloat16 if the device multiplies it in hardware
            (precision.py). Features are always float32.

    Raises:
        ValueError: The name, pooling or dtype is unknown, or the device does not work.
        WeightsError: The weights cannot be obtained, read or trusted (see weight_files.py).
    """
    if name not in ENCODERS:
        raise ValueError(f"unknown encoder {name!r}; encoders are {', '.join(ENCODERS)}")
    if pooling not in ("max", "avg"):
        raise ValueError(f"pooling must be 'max' or 'avg', got {pooling!r}")
    if dtype not in precision.DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(precision.DTYPES)}, got {dtype!r}")
    path, where = None if weights is None else os.path.abspath(weights), pick_device(device)
    kind = precision.choose(where) if dtype == "auto" else dtype
    return _load(name, path, pooling, str(where), getattr(torch, kind))


@lru_cache(maxsize=6)
@use_torch_defaults(gradients=False)
def _load(name: str, weights: str | None, pooling: Pooling, device: str, dtype: torch.dtype) -> Encoder:
    if name == "vgg19-random":
        return Encoder(name, networks.random_vgg19(pooling), "", torch.device(device), dtype)
    path = weight_files.find(name, weights)
    state = weight_files.read(path)
    try:
        network = networks.build(name, state, pooling)
    except Exception as error:  # a user's file may hold any names, shapes and types
        raise weight_files.WeightsError(f"{path} does not fit {name}: {error}") from error
    weight_files.check_finite(network.stages.values(), path)
    return Encoder(name, network, weight_files.sha256(path), torch.device(device), dtype)


def pick_device(device: str | torch.device = "auto") -> torch.device:
    """Returns the device to run on.

    Args:
        device: A torch device, or "auto": $NSTLIB_DEVICE, else the first of `working_devices`.

    Raises:
        ValueError: The device does not work; the message lists those that do.
    """
    if device == "auto":
        device = os.environ.get("NSTLIB_DEVICE") or "auto"
    if device == "auto":
        device = working_devices()[0]
    elif error := _failure(device):
        working = ", ".join(["auto", *working_devices()])
        raise ValueError(f"device {str(device)!r} does not work here ({error}): choose one of {working}")
    return torch.device(device)


def working_devices() -> list[str]:
    """Returns the types of device that work, the fastest first: "cuda", "mps", "cpu"."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    # on a virtual machine, torch may call a GPU available that cannot store a single number
    return [kind for kind, found in there.items() if found and not _failure(kind)] + ["cpu"]


def _failure(device: str | torch.device) -> str:
    """Returns why a device does not work, as the start of torch's message, or "" if it works."""
    try:
        torch.device(device)
    except (RuntimeError, TypeError):  # torch's message lists 20 backends
        return "torch has no such device"
    try:
        torch.zeros(1, device=device).item()
    except Exception as error:  # torch raises many kinds, from AssertionError to ImportError
        return str(error).partition("\n")[0].partition(". ")[0] or type(error).__name__
    return ""
