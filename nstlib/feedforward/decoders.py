"""The decoder: features back to an image, one block for each level, from relu5_1 to the pixels.

    relu5_1 ─► block 5 ─► relu4_1 ─► block 4 ─► … ─► relu1_1 ─► block 1 ─► image

Each block inverts what the embedded encoder computes between two of its style layers, so its output compares
with the encoder's features: it can be transported towards a style and passed on. `training/decode.py` trained
the bundled weights.
"""

from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from nstlib.version import use_torch_defaults

WIDTHS = (3, 16, 32, 64, 128, 128)  # channels of the image and of relu1_1 … relu5_1
LEVELS = tuple(f"relu{level}_1" for level in range(1, 6))
STAGES = ("pixels", *LEVELS)  # by level
# Channels of each block's convolutions: those at the size of its input, then those at twice that size.
BLOCKS: dict[int, tuple[tuple[int, ...], tuple[int, ...]]] = {
    1: ((16, 3), ()),
    2: ((32, 32), (16, 16)),
    3: ((64, 64), (32, 32)),
    4: ((128, 128, 128), (64, 64)),
    5: ((128, 128), (128,)),
}
WEIGHTS = Path(__file__).parent / "weights" / "decoder.safetensors"


class Decoder(nn.Module):
    """The five blocks. Maps are (B, N_l, H_l, W_l); images are (B, 3, H, W), not clamped to [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleDict({f"block{level}": Block(level) for level in BLOCKS})

    def up(self, x: Tensor, level: int) -> Tensor:
        """Decodes features of relu{level}_1 to those one level up (level 1: to the image)."""
        above: Tensor = self.blocks[f"block{level}"](x.to(next(self.parameters()).dtype))
        return above.to(x.dtype)

    def reach(self, level: int) -> int:
        """Returns how far, in positions of relu{level}_1, features one level up see at most on each side.

        All convolutions count as if they worked at the size of the block's input.
        """
        convs = (part for part in self.blocks[f"block{level}"].modules() if isinstance(part, nn.Conv2d))
        return sum((max(conv.kernel_size) - 1) // 2 * max(conv.dilation) for conv in convs)

    def decode(self, x: Tensor, level: int) -> Tensor:
        """Decodes features of relu{level}_1 to the image."""
        for current in range(level, 0, -1):
            x = self.up(x, current)
        return x


class Block(nn.Module):
    """3 × 3 convolutions with ReLU, residual where the width stays, and nearest-neighbour upsampling."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self.to_image = level == 1
        below, above = BLOCKS[level]
        self.upsample_before = len(below) if above else -1
        widths = (WIDTHS[level], *below, *above)
        self.convs = nn.ModuleList(nn.Conv2d(n, m, 3, padding=1) for n, m in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        final = len(self.convs) - 1
        for index, conv in enumerate(self.convs):
            if index == self.upsample_before:
                x = nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
            y: Tensor = conv(x)
            if index == final and self.to_image:
                return y + 0.5  # an output of 0 is mid-grey
            y = torch.relu(y)
            x = x + y if y.shape[1] == x.shape[1] and index < final else y
        return x


@lru_cache(maxsize=4)
@use_torch_defaults(gradients=False)
def load_decoder(path: str | None = None, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Decoder:
    """Loads the bundled decoder, or one from a file that `training/decode.py` wrote."""
    state = {name: value.float() for name, value in load_file(path or WEIGHTS).items()}
    with torch.device("meta"):
        decoder = Decoder()
    decoder.load_state_dict(state, assign=True)
    decoder.to(device, dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return decoder.eval().requires_grad_(False)
