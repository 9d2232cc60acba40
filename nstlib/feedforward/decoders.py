"""The decoder turns features back into an image, with one block for each level from relu5_1 to the pixels.

    relu5_1 ─► block 5 ─► relu4_1 ─► block 4 ─► … ─► relu1_1 ─► block 1 ─► image

Each block inverts the part of the embedded encoder between two style layers. The output of a block therefore
approximates features of the encoder, and a transport T can move them towards a style. A pass (pipeline.py)
computes the features x of a level from the features y of the next deeper level:

    x = t T(x') + (1 − t) x',   x' = scale · block(y) + shift + (1 + k D) residual

The residual is the detail of the content that the block loses. The share k of the style is 0 at strength 0,
where the result is the content. The strength t, the scale, the shift and the matrix D are learned and depend
on the method. At relu2_1 … relu4_1 a small network adds a correction to x'.

`training/decode.py` trained the blocks, and then `training/objective.py` trained the whole decoder.
"""

from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, pad

from nstlib.feedforward.layers import EDGE
from nstlib.version import use_torch_defaults

WIDTHS = (3, 16, 32, 64, 128, 128)  # channels of the image and of relu1_1 … relu5_1
LEVELS = tuple(f"relu{level}_1" for level in range(1, 6))
STAGES = ("pixels", *LEVELS)  # names of the levels 0 … 5
# Output channels of each block's convolutions: of those before the upsampling, then of those after it.
BLOCKS: dict[int, tuple[tuple[int, ...], tuple[int, ...]]] = {
    1: ((16, 3), ()),
    2: ((32, 32), (16, 16)),
    3: ((64, 64), (32, 32)),
    4: ((128, 128, 128), (64, 64)),
    5: ((128, 128), (128,)),
}
REFINED = (2, 3, 4)  # levels at which `Decoder.refine` adds a correction
METHODS = ("linear", "bn", "poly", "wasserstein")  # methods for which training learned separate amounts
WEIGHTS = Path(__file__).parent / "weights" / "decoder.safetensors"


class Decoder(nn.Module):
    """The five blocks and the learned amounts. Maps are (B, N_l, H_l, W_l). Images are not clamped."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleDict({f"block{level}": Block(level) for level in BLOCKS})
        self.refining = nn.ModuleDict({f"refine{level}": Refine(WIDTHS[level]) for level in REFINED})
        self.strengths = nn.Parameter(torch.zeros(len(METHODS), len(WIDTHS), 2))
        self.mixing = nn.ParameterList(nn.Parameter(torch.zeros(n, n)) for n in WIDTHS[:-1])
        self.gains = nn.ParameterList(nn.Parameter(torch.zeros(len(METHODS), 3, n)) for n in WIDTHS[:-1])
        self.tuning = nn.ParameterDict(
            {f"refine{n}": nn.Parameter(torch.zeros(len(METHODS) + 1, 2, WIDTHS[n])) for n in REFINED}
        )

    def strength(self, level: int, methods: Tensor, share: float | Tensor) -> Tensor:
        """Returns the strength t in 0 … k of the transport at a level, 0 (the pixels) … 5 (relu5_1).

        Args:
            methods: weights (..., 4) of `METHODS` in the method of the pass. Their sum is 1.
            share: k in 0 … 1, a number or a tensor (...).
        """
        offset, slope = (methods.to(self.strengths) @ self.strengths[:, level]).unbind(-1)
        amount: Tensor = share * torch.sigmoid(offset + slope * share)
        return amount

    def amounts(self, level: int, methods: Tensor, share: float | Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the scale (..., N), the shift (..., N) and 1 + k D (..., N, N) of a level 0 … 4.

        `methods` and `share` are as in `strength`, but a tensor `share` has the shape (..., 1, 1).
        """
        learned = torch.einsum("...m,mkn->...kn", methods.to(self.gains[level]), self.gains[level])
        scale, shift, gain = (share * learned).unbind(-2)
        return 1 + scale, shift, share * self.mixing[level] + torch.diag_embed(1 + gain)

    def mix(self, up: Tensor, residual: Tensor, level: int, methods: Tensor, share: float) -> Tensor:
        """Returns scale · up + shift + (1 + k D) residual, (1, N, H, W), at a level 0 … 4.

        `up` is the output of a block. It is overwritten, because allocating a new map takes time.
        """
        scale, shift, matrix = self.amounts(level, methods, share)
        rest = conv2d(residual, matrix[..., None, None].to(residual.dtype), shift.to(residual.dtype))
        return rest.add_(up.mul_(scale.view(-1, 1, 1).to(up.dtype)))

    def respond(self, own: Tensor, level: int) -> Tensor:
        """Returns the part of the correction that depends only on the content's features `own`."""
        if level not in REFINED:
            return own
        first = self.correction(level)[0]
        return convolve(own.to(self.dtype), first.weight[:, own.shape[1] :], first.bias)

    def refine(
        self, x: Tensor, response: Tensor, level: int, methods: Tensor, share: float | Tensor
    ) -> Tensor:
        """Returns x plus the correction, which depends on x of relu{level}_1 and on the result of `respond`.

        `methods` and `share` are as in `strength`, but a tensor `share` has the shape (..., 1, 1, 1).
        """
        if level not in REFINED:
            return x
        first, second = self.correction(level)
        hidden = convolve(x.to(self.dtype), first.weight[:, : x.shape[1]]).add_(response)
        seen = self.tune(hidden, level, methods, share).relu_()
        return convolve(seen, second.weight, second.bias).to(x.dtype).mul_(share).add_(x)

    def correction(self, level: int) -> tuple[Any, Any]:
        """Returns the two convolutions of the correction at a level."""
        first, _, second = self.refining[f"refine{level}"].children()
        return first, second

    def tune(self, hidden: Tensor, level: int, methods: Tensor, share: float | Tensor) -> Tensor:
        """Scales and shifts a correction's hidden features (B, N, H, W) for the method and the share."""
        table = self.tuning[f"refine{level}"][..., None, None]
        learned = torch.einsum("...m,mknhw->...knhw", methods.to(table), table[:-1])
        scale, shift = (learned.select(-4, k) + share * table[-1, k] for k in (0, 1))
        return torch.addcmul(shift.to(hidden.dtype), 1 + scale.to(hidden.dtype), hidden)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the convolutions. The learned amounts stay float32."""
        return next(self.blocks.parameters()).dtype

    def up(self, x: Tensor, level: int) -> Tensor:
        """Decodes features of relu{level}_1 to the next shallower level; from relu1_1 to the image."""
        above: Tensor = self.blocks[f"block{level}"](x.to(self.dtype))
        return above if level == 1 else above.to(x.dtype)

    def reach(self, level: int) -> int:
        """Bounds the radius of the receptive field of `up` and the correction after it, in positions of x.

        Convolutions after the upsampling count as if they came before it, where their radius is larger.
        """
        parts = [*self.blocks[f"block{level}"].modules()]
        parts += self.refining[f"refine{level - 1}"].modules() if level - 1 in REFINED else []
        convs = (part for part in parts if isinstance(part, nn.Conv2d))
        return sum((max(conv.kernel_size) - 1) // 2 * max(conv.dilation) for conv in convs)

    def decode(self, x: Tensor, level: int) -> Tensor:
        """Decodes features of relu{level}_1 to the image."""
        for current in range(level, 0, -1):
            x = self.up(x, current)
        return x


class Block(nn.Module):
    """3 × 3 convolutions, ReLU, upsampling. All but the last have a skip connection if the width stays."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self.to_image = level == 1
        below, above = BLOCKS[level]
        self.upsample_before = len(below) if above else -1
        widths = (WIDTHS[level], *below, *above)
        convs = (nn.Conv2d(n, m, 3, padding=1, padding_mode=EDGE) for n, m in pairwise(widths))
        self.convs = nn.ModuleList(convs)

    def forward(self, x: Tensor) -> Tensor:
        final = len(self.convs) - 1
        for index in range(len(self.convs)):
            y = self.layer(x, index)
            if index == final and self.to_image:
                return y.float() + 0.5  # an output of 0 is mid-grey
            y = y.relu_()
            x = x + y if y.shape[1] == x.shape[1] and index < final else y
        return x

    def layer(self, x: Tensor, index: int) -> Tensor:
        """Applies the convolution `index` to x. If the upsampling comes before it, applies both."""
        conv: Any = self.convs[index]
        return (enlarge if index == self.upsample_before else convolve)(x, conv.weight, conv.bias)


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolves x (B, n, H, W) with kernels (m, n, 3, 3). The edges of x are replicated."""
    return conv2d(pad(x, (1, 1, 1, 1), mode=EDGE), weight, bias)


def enlarge(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Applies `convolve` to x after nearest-neighbour upsampling by 2.

    A transposed 4 × 4 convolution with stride 2 does both, and takes 4 products where the two steps take 9.
    """
    kernels = _spread(_spread(weight.float(), 2), 3).transpose(0, 1).to(weight.dtype)
    return conv_transpose2d(pad(x, (1, 1, 1, 1), mode=EDGE), kernels, bias, stride=2, padding=3)


def _spread(weight: Tensor, dim: int) -> Tensor:
    a, b, c = weight.unbind(dim)  # entries of a kernel that meet copies of the same pixel are added
    return torch.stack((c, b + c, a + b, a), dim)


class Refine(nn.Sequential):
    """Two convolutions with a ReLU between them. The second one is initialised with zeros."""

    def __init__(self, width: int) -> None:
        first, second = (nn.Conv2d(n, width, 3, padding=1, padding_mode=EDGE) for n in (2 * width, width))
        nn.init.zeros_(second.weight)
        nn.init.zeros_(second.bias)  # type: ignore[arg-type]
        super().__init__(first, nn.ReLU(), second)


@lru_cache(maxsize=4)
@use_torch_defaults(gradients=False)
def load_decoder(path: str | None = None, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Decoder:
    """Loads the bundled decoder, or one from a file that a script in `training/` wrote."""
    state = {name: value.float() for name, value in load_file(path or WEIGHTS).items()}
    with torch.device("meta"):
        decoder = Decoder()
    decoder.load_state_dict(state, assign=True)
    decoder.to(device)
    for part in (decoder.blocks, decoder.refining):
        part.to(dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return decoder.eval().requires_grad_(False)
