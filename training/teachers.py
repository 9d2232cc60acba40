"""Teachers: feature maps of a large network by VGG's layer names.

A teacher maps images (B, 3, H, W) in [0, 1] to {"relu1_1": (B, C, H_l, W_l), …} with every layer of `LAYERS`.
There are two: the compact distilled VGG-19 of Wang et al. (CVPR 2020), whose auxiliary heads approximate the
normalised VGG-19, and torchvision's VGG-19.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu4_2", "relu5_1")
Maps = dict[str, Tensor]
Teacher = Callable[[Tensor], Maps]


class CompactVGG19(nn.Module):
    """Collaborative Distillation's 16× smaller VGG-19, from its weights in safetensors.

    `conv0` (1×1) normalises the image; each 3×3 convolution is preceded by reflection padding and
    followed by ReLU; `convL1_aux` (1×1, ReLU) lifts reluL_1 to VGG-19's own width. relu4_2 has no
    such head: its own 128 channels are the target.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        tensors = load_file(path)
        self.weights = nn.ParameterDict(
            {k.replace(".", "_"): nn.Parameter(v, requires_grad=False) for k, v in tensors.items()}
        )
        names = (k.removesuffix(".weight") for k in tensors if k.endswith(".weight"))
        self.names = sorted(n for n in names if n != "conv0" and not n.endswith("_aux"))

    def conv(self, x: Tensor, name: str) -> Tensor:
        return functional.conv2d(x, self.weights[f"{name}_weight"], self.weights[f"{name}_bias"])

    def forward(self, image: Tensor) -> Maps:
        x, maps = self.conv(image, "conv0"), {}
        for name in self.names:  # conv11, conv12, conv21, …
            block, index = name[-2], name[-1]
            if index == "1" and block != "1":
                x = functional.max_pool2d(x, 2)
            x = torch.relu(self.conv(functional.pad(x, (1, 1, 1, 1), mode="reflect"), name))
            layer = f"relu{block}_{index}"
            if index == "1":
                maps[layer] = torch.relu(self.conv(x, f"{name}_aux"))
            elif layer in LAYERS:
                maps[layer] = x
        return maps


def load_teacher(spec: str) -> nn.Module | Teacher:
    """Loads a safetensors file of the compact VGG-19, or torchvision's for "vgg19"."""
    if spec != "vgg19":
        return CompactVGG19(Path(spec))
    import nstlib

    encoder = nstlib.load_encoder("vgg19")

    def vgg19(image: Tensor) -> Maps:
        return encoder.maps(image, LAYERS)

    return vgg19


def pivots(values: Tensor, count: int) -> Tensor:
    """Returns the indices of the `count` channels that best explain all others linearly.

    Greedy pivoted QR selects the channel with the largest residual variance, removes its direction from every
    channel, and repeats. values: (M, C), one row per position.
    """
    residual = (values - values.mean(0)).double()
    chosen: list[int] = []
    for _ in range(count):
        energy = residual.square().sum(0)
        energy[chosen] = -1
        best = int(energy.argmax())
        chosen.append(best)
        q = residual[:, best] / residual[:, best].norm().clamp(min=1e-12)
        residual = residual - q[:, None] * (q @ residual)
    return torch.tensor(chosen)
