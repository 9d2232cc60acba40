"""The networks of the encoders, as named stages with weights, in the order in which they run.

In VGG, convolution i of block b is the stage `conv{b}_{i}`, and its ReLU is the stage `relu{b}_{i}`. Every
block except the first starts with `pool{b-1}`. Only this module imports torchvision, and only for ResNet-50.
"""

import importlib
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from nstlib.version import rename_arguments

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
VGG_DEPTHS = {"vgg19": (2, 2, 4, 4, 4), "vgg16": (2, 2, 3, 3, 3), "vgg19-slim": (2, 2, 4, 4, 1)}
VGG_WIDTHS = (64, 128, 256, 512, 512)
_fragments: list[torch.library.Library] = []  # kept, because a Library that is deleted removes its schemas
# The maximum of 2 × 2 ReLU activations is larger than their mean. Average pooling is multiplied by a typical
# ratio of the two. On 15 photos and paintings the ratio was 1.26 at the first pool and 1.55 at the last.
AVERAGE_POOLING_GAIN = 1.4


@rename_arguments(margin="padding")
@dataclass
class Network:
    """Stages by name, in the order in which they run, with the channels and the stride of each.

    mean, std: Input normalisation (3,). padding: Width in pixels of a mirrored border that is added to the
    image and cut off every map. It is a multiple of the deepest stride, or 0.
    """

    style_layers: tuple[str, ...]
    content_layer: str
    mean: Tensor = field(default_factory=lambda: torch.tensor(IMAGENET_MEAN, dtype=torch.float32))
    std: Tensor = field(default_factory=lambda: torch.tensor(IMAGENET_STD, dtype=torch.float32))
    padding: int = 0
    stages: dict[str, nn.Module] = field(default_factory=dict)
    channels: dict[str, int] = field(default_factory=dict)
    strides: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, stage: nn.Module, channels: int, stride: int) -> None:
        self.stages[name], self.channels[name], self.strides[name] = stage, channels, stride


class ScaledAvgPool(nn.AvgPool2d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * AVERAGE_POOLING_GAIN


class MaxPool(nn.MaxPool2d):
    """Max pooling. For 2 × 2 positions without gradients it stores no indices, which halves the time."""

    def forward(self, x: Tensor) -> Tensor:
        if self.kernel_size != 2 or (x.requires_grad and torch.is_grad_enabled()):
            pooled: Tensor = super().forward(x)
            return pooled
        height, width = (side // 2 * 2 for side in x.shape[2:])
        rows = torch.maximum(x[..., 0:height:2, :width], x[..., 1:height:2, :width])
        return torch.maximum(rows[..., ::2], rows[..., 1::2])


def pool(kind: str, size: int = 2, stride: int = 2, padding: int = 0) -> nn.Module:
    return (MaxPool if kind == "max" else ScaledAvgPool)(size, stride, padding)


def vgg(
    depths: tuple[int, ...], kernels: list[tuple[Tensor, Tensor]], pooling: str, **options: Any
) -> Network:
    """Returns VGG with `depths` convolutions per block. `kernels` has their (weight, bias), in order."""
    network = Network(
        style_layers=tuple(f"relu{block}_1" for block in range(1, 6)), content_layer="relu4_2", **options
    )
    remaining, channels = iter(kernels), 3
    for block, depth in enumerate(depths, start=1):
        if block > 1:
            network.add(f"pool{block - 1}", pool(pooling), channels, 2 ** (block - 1))
        for index in range(1, depth + 1):
            weight, bias = next(remaining)
            channels = len(weight)
            conv = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1, device="meta")
            conv.load_state_dict({"weight": weight.float(), "bias": bias.float()}, assign=True)
            network.add(f"conv{block}_{index}", conv, channels, 2 ** (block - 1))
            network.add(f"relu{block}_{index}", nn.ReLU(), channels, 2 ** (block - 1))
    return network


def build(name: str, state: dict[str, Tensor], pooling: str) -> Network:
    """Returns a network with the weights `state`. Raises KeyError or RuntimeError if they do not fit."""
    if name == "resnet50":
        return resnet50(state, pooling)
    depths = VGG_DEPTHS[name]
    if name == "vgg19-slim":
        names = [f"conv{b}_{i}" for b, depth in enumerate(depths, 1) for i in range(1, depth + 1)]
        kernels = [(state[f"{n}.weight"], state[f"{n}.bias"]) for n in names]
        return vgg(depths, kernels, pooling, mean=state["mean"].float(), std=state["std"].float(), padding=16)
    indices, index = [], 0  # torchvision numbers convolutions, ReLUs and pools together, `features.N`
    for depth in depths:
        indices += [index + 2 * i for i in range(depth)]
        index += 2 * depth + 1
    kernels = [(state[f"features.{i}.weight"].clone(), state[f"features.{i}.bias"].clone()) for i in indices]
    return vgg(depths, kernels, pooling)


def resnet50(state: dict[str, Tensor], pooling: str) -> Network:
    """Returns ResNet-50 without its classifier. Its layers are `relu1` and `block{b}_{i}` (b = 2 … 5).

    Styles are weaker than with VGG: the scale of the residual sums drifts, and few channels are selective.
    """
    with torch.device("meta"):
        model = torchvision_models().resnet50()
    body = {k: v.clone() for k, v in state.items() if not k.startswith("fc.")}
    missing, unexpected = model.load_state_dict(body, strict=False, assign=True)
    if bad := [k for k in (*missing, *unexpected) if not k.startswith("fc.") and "num_batches" not in k]:
        raise KeyError(", ".join(bad[:3]))
    network = Network(
        style_layers=("relu1", "block2_3", "block3_4", "block4_6", "block5_3"),
        content_layer="block4_1",
    )
    network.add("relu1", nn.Sequential(model.conv1, model.bn1, nn.ReLU()), 64, 2)
    network.add("pool1", pool(pooling, 3, 2, 1), 64, 4)
    for block, layer in enumerate((model.layer1, model.layer2, model.layer3, model.layer4), start=2):
        for index, bottleneck in enumerate(layer, start=1):
            bottleneck.relu = nn.ReLU()
            network.add(f"block{block}_{index}", bottleneck, bottleneck.conv3.out_channels, 2**block)
    return network


def torchvision_models() -> ModuleType:
    """Returns `torchvision.models`. Raises ImportError if torchvision is missing.

    torchvision registers fake kernels for its compiled operators at import. With a CPU build of torch these
    operators may fail to load, and the import fails with "operator torchvision::nms does not exist". This
    function then declares the schemas of the two operators, which nothing here calls, and imports again.
    """
    try:
        return importlib.import_module("torchvision.models")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    _fragments.append(torch.library.Library("torchvision", "FRAGMENT"))  # type: ignore[no-untyped-call]
    for schema in (
        "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
        "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    ):
        if not hasattr(torch.ops.torchvision, schema.partition("(")[0]):
            _fragments[-1].define(schema)  # type: ignore[no-untyped-call]
    return importlib.import_module("torchvision.models")


def random_vgg19(pooling: str) -> Network:
    """Returns VGG-19 with seeded random weights, a control that shows what training adds.

    Each convolution is scaled so that its outputs on a fixed random image have a standard deviation of 1. The
    activations then neither vanish nor explode with depth.
    """
    generator, kind = torch.Generator().manual_seed(0), torch.float32
    coarse = torch.rand(1, 3, 6, 6, generator=generator, dtype=kind)
    x = nn.functional.interpolate(coarse, size=(96, 96), mode="bicubic", align_corners=False)
    x = (x - x.mean()) / x.std() + 0.3 * torch.randn(x.shape, generator=generator, dtype=kind)
    kernels: list[tuple[Tensor, Tensor]] = []
    for block, (depth, width) in enumerate(zip(VGG_DEPTHS["vgg19"], VGG_WIDTHS, strict=True), start=1):
        if block > 1:
            x = pool(pooling)(x)
        for _ in range(depth):
            weight = torch.randn(width, x.shape[1], 3, 3, generator=generator, dtype=kind)
            weight = weight / (9 * x.shape[1]) ** 0.5
            y = nn.functional.conv2d(x, weight, padding=1)
            scale = 1 / y.std().clamp(min=1e-6)
            kernels.append((weight * scale, torch.zeros(width, dtype=kind)))
            x = torch.relu(y * scale)
    return vgg(VGG_DEPTHS["vgg19"], kernels, pooling)
