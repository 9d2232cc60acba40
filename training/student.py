"""The student: VGG-19 at a quarter of its width, with batch norm during training.

With batch norm after every convolution, a network this narrow trains from scratch in an hour. The export
folds it into the convolutions, so the bundled encoder is plain conv + ReLU.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

BLOCKS = (2, 2, 4, 4, 1)  # convolutions per block of VGG-19, up to conv5_1
WIDTHS = (16, 32, 64, 128, 128)  # channels per block: a quarter of VGG-19's (conv5: 512 → 128)


def layer_names() -> Iterator[tuple[str, int, int]]:
    """Yields (name, width, stride) for each convolution: ("1_1", 16, 1), ("1_2", 16, 1), …"""
    for block, (depth, width) in enumerate(zip(BLOCKS, WIDTHS, strict=True), start=1):
        for index in range(1, depth + 1):
            yield f"{block}_{index}", width, 2 ** (block - 1)


class Student(nn.Module):
    """Maps images (B, 3, H, W) in [0, 1] to a dict of ReLU maps {"relu1_1": (B, N_l, H_l, W_l), …}."""

    def __init__(self, momentum: float = 0.02) -> None:
        super().__init__()
        self.weights, self.norms = nn.ParameterDict(), nn.ModuleDict()
        channels = 3
        for name, width, _ in layer_names():
            self.weights[name] = nn.Parameter(torch.randn(width, channels * 9))
            self.norms[name] = nn.BatchNorm2d(width, momentum=momentum)
            channels = width
        self.renormalize()

    def matrices(self) -> list[nn.Parameter]:
        """Returns the convolutions' weights, one matrix (N_l, 9 N_{l-1}) each, as Muon needs them."""
        return list(self.weights.values())

    @torch.no_grad()
    def renormalize(self) -> None:
        """Projects every matrix to the sphere ‖w‖² = N_l. After batch norm the output does not depend on its
        length; with a fixed length, the learning rate is the relative size of a step."""
        for weight in self.weights.values():
            weight.mul_(len(weight) ** 0.5 / weight.norm())

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        x, maps = (image - 0.5) * 4, {}  # roughly unit variance in, so that layer 1 starts well
        for name, weight in self.weights.items():
            if name.endswith("_1") and name != "1_1":
                x = nn.functional.max_pool2d(x, 2)
            kernel = weight.view(len(weight), -1, 3, 3)
            x = torch.relu(self.norms[name](nn.functional.conv2d(x, kernel, padding=1)))
            maps[f"relu{name}"] = x
        return maps

    @torch.no_grad()
    def folded(self) -> dict[str, Tensor]:
        """Returns the encoder's weights with batch norm folded in.

        relu(γ (w∗x − μ)/s + β) = relu((γ/s) w∗x + (β − γμ/s)), s² = variance + ε. The input map 4(x − ½)
        cannot be folded exactly under zero padding, so the weights contain its mean and std.
        """
        weights = {"mean": torch.full((3,), 0.5), "std": torch.full((3,), 0.25)}
        for name, weight in self.weights.items():
            norm = self.norms[name]
            scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            kernel = weight.view(len(weight), -1, 3, 3)
            weights[f"conv{name}.weight"] = kernel * scale[:, None, None, None]
            weights[f"conv{name}.bias"] = norm.bias - norm.running_mean * scale
        return weights
