"""The networks behind the encoders, as ordered, named stages with their weights.

VGG's plan is walked, not tabled: block b, convolution i gives the stages `conv{b}_{i}`, `relu{b}_{i}`,
and each block but the first opens with `pool{b-1}`.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from nstlib.encoders.torchvision_cpu import torchvision_models

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
VGG_DEPTHS = {"vgg19": (2, 2, 4, 4, 4), "vgg16": (2, 2, 3, 3, 3), "vgg19-slim": (2, 2, 4, 4, 1)}
VGG_WIDTHS = (64, 128, 256, 512, 512)
# A mean of 2×2 ReLU activations is smaller than their maximum. Average pooling is scaled up by the
# ratio of the two (1.26 to 1.55 from the first pool to the last, on 15 photographs and paintings).
AVERAGE_POOLING_GAIN = 1.4


@dataclass
class Network:
    """stages: name → module, run in order. margin: pixels of mirrored picture put round the image first
    and cut off every map (a multiple of the deepest stride, or 0). mean, std: input normalisation (3,)."""

    mean: Tensor
    std: Tensor
    style_layers: tuple[str, ...]
    content_layer: str
    margin: int = 0
    stages: dict[str, nn.Module] = field(default_factory=dict)
    channels: dict[str, int] = field(default_factory=dict)
    strides: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, stage: nn.Module, channels: int, stride: int) -> None:
        self.stages[name], self.channels[name], self.strides[name] = stage, channels, stride


class ScaledAvgPool(nn.AvgPool2d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * AVERAGE_POOLING_GAIN


def numbers(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)


def pool(kind: str, size: int = 2, stride: int = 2, padding: int = 0) -> nn.Module:
    return (nn.MaxPool2d if kind == "max" else ScaledAvgPool)(size, stride, padding)


def vgg(
    depths: tuple[int, ...], kernels: list[tuple[Tensor, Tensor]], pooling: str, **options: Any
) -> Network:
    """VGG with `depths` convolutions per block and the given (weight, bias) of each, in order."""
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
    """The network `name` with the weights `state`. Raises KeyError or RuntimeError where they do not fit."""
    if name == "resnet50":
        return resnet50(state, pooling)
    depths = VGG_DEPTHS[name]
    if name == "vgg19-slim":
        names = [f"conv{b}_{i}" for b, depth in enumerate(depths, 1) for i in range(1, depth + 1)]
        kernels = [(state[f"{n}.weight"], state[f"{n}.bias"]) for n in names]
        return vgg(depths, kernels, pooling, mean=state["mean"].float(), std=state["std"].float(), margin=16)
    indices, index = [], 0  # torchvision numbers conv, ReLU and pool in one sequence, `features.N`
    for depth in depths:
        indices += [index + 2 * i for i in range(depth)]
        index += 2 * depth + 1
    kernels = [(state[f"features.{i}.weight"].clone(), state[f"features.{i}.bias"].clone()) for i in indices]
    return vgg(depths, kernels, pooling, mean=numbers(IMAGENET_MEAN), std=numbers(IMAGENET_STD))


def resnet50(state: dict[str, Tensor], pooling: str) -> Network:
    """ResNet-50 up to its last residual block: `relu1`, then `block{b}_{i}` (b = 2 … 5) after their ReLU.

    Its residual sums drift in scale and few channels are selective, so styles come out weaker than with
    VGG: see the notebook on encoders.
    """
    with torch.device("meta"):
        model = torchvision_models().resnet50()
    body = {k: v.clone() for k, v in state.items() if not k.startswith("fc.")}
    missing, unexpected = model.load_state_dict(body, strict=False, assign=True)
    if bad := [k for k in (*missing, *unexpected) if not k.startswith("fc.") and "num_batches" not in k]:
        raise KeyError(", ".join(bad[:3]))
    network = Network(
        mean=numbers(IMAGENET_MEAN),
        std=numbers(IMAGENET_STD),
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


def random_vgg19(pooling: str, seed: int = 0) -> Network:
    """VGG-19 with seeded random weights, scaled layer by layer: a control for what training adds.

    Each convolution is rescaled so that its activations on a fixed random picture have unit deviation:
    they neither vanish nor explode with depth, and layers weigh alike.
    """
    generator, kind = torch.Generator().manual_seed(seed), torch.float32
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
    mean, std = numbers(IMAGENET_MEAN), numbers(IMAGENET_STD)
    return vgg(VGG_DEPTHS["vgg19"], kernels, pooling, mean=mean, std=std)
