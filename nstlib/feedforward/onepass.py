"""Any style, any method, in one forward pass: encode, move the features, decode. No optimisation.

    photograph ─► encoder ─► P_1 … P_5 ─► the chain, with the method's transport at every level ─► picture
    style      ─► encoder ─► what the method remembers of it, per level

After *universal style transfer* (Li, Fang, Yang, Wang, Lu and Yang 2017), which whitens and colours; here the
map is the method's own. One size only: whole calls, of several sizes, are in prepared.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nstlib.alignment.discrepancy import Discrepancy, Summary
from nstlib.alignment.gaussian import GaussianMMD
from nstlib.alignment.methods import method as parse_method
from nstlib.alignment.moments import covariance_mean, mixture
from nstlib.alignment.transports import remembered, toward
from nstlib.encoders.encoder import Encoder, load_encoder
from nstlib.feedforward.chain import Seen, render, see
from nstlib.feedforward.decoders import LEVELS, Decoder, load_decoder
from nstlib.feedforward.frames import mirrored, region_at
from nstlib.version import use_torch_defaults

DETAIL = 1.0
# The Gaussian's flow takes most of its time where positions are many, and the way through the decoder loses
# what it gained there (left with it 0.210 of the discrepancy, 0.208 without): at these, moments must do.
SHALLOW = ("relu1_1", "relu2_1")
TINY = 1e-12


@dataclass(frozen=True)
class Style:
    """What `method` remembers of a style, per layer, and where it applies: a mask (1, 1, H, W), or all."""

    method: Discrepancy
    summaries: dict[str, Summary]
    mask: Tensor | None = None


class OnePass:
    """The embedded encoder and its decoder, ready to be used again and again.

        painter = OnePass()
        seen, style = painter.see(content), painter.remember(style, "poly")   # once each
        painter(seen, [style], strength=0.7)                                  # for every picture

    encoder: the embedded one, by name or loaded: the decoder knows no other. Raises ValueError.
    """

    def __init__(self, encoder: Encoder | str = "vgg19-slim", decoder: Decoder | None = None) -> None:
        self.encoder = encoder if isinstance(encoder, Encoder) else load_encoder(encoder, dtype="auto")
        if self.encoder.name != "vgg19-slim":
            raise ValueError(f"one pass needs the embedded encoder 'vgg19-slim', got {self.encoder.name!r}")
        self.decoder = decoder or load_decoder(device=str(self.encoder.device), dtype=self.encoder.dtype)

    @use_torch_defaults(gradients=False)
    def see(self, content: Tensor) -> Seen:
        """A photograph (1, 3, H, W) in [0, 1], encoded."""
        x = mirrored(content.to(self.encoder.device).contiguous(memory_format=torch.channels_last))
        return see(self.decoder, x, self.encoder.maps(x, LEVELS))

    @use_torch_defaults(gradients=False)
    def remember(
        self,
        styles: Tensor | Sequence[Tensor],
        method: str | Discrepancy = "poly",
        weights: Sequence[float] = (),
        mask: Tensor | None = None,
    ) -> Style:
        """A style (1, 3, H, W), or the mixture of several, by `weights` >= 0 (none: all alike)."""
        pictures = [styles] if isinstance(styles, Tensor) else list(styles)
        parts = list(weights) or [1.0] * len(pictures)
        if len(parts) != len(pictures) or not pictures:
            raise ValueError(f"need one weight for each style: {len(parts)} for {len(pictures)}")
        d = parse_method(method) if isinstance(method, str) else method
        seen = [self.encoder(picture, LEVELS) for picture in pictures]
        if len(seen) == 1:
            return Style(d, {layer: _kept(d, layer, seen[0][layer]) for layer in LEVELS}, mask)
        mixed = {layer: mixture([F[layer] for F in seen], parts) for layer in LEVELS}
        return Style(d, {layer: _kept(d, layer, *mixed[layer]) for layer in LEVELS}, mask)

    @use_torch_defaults(gradients=False)
    def __call__(
        self, seen: Seen, styles: Sequence[Style], strength: float = 1.0, detail: float = DETAIL
    ) -> Tensor:
        """The picture (1, 3, H, W) in [0, 1], of the size of `seen`, a multiple of 16.
        styles: one, or one with a mask for each region."""

        masks = [style.mask for style in styles if style.mask is not None]
        photograph = seen.maps[0]

        def move(x: Tensor, layer: str) -> Tensor:
            F = x.flatten(2)
            if not masks:
                return toward(styles[0].method, F, styles[0].summaries[layer]).view_as(x)
            sizes = [region_at(mask, x.shape[2:]).to(F) for mask in masks]
            whole, result = torch.stack(sizes).sum(0).clamp(min=TINY), torch.zeros_like(F)
            for style, size in zip(styles, sizes, strict=True):
                if bool(size.sum() > 0):
                    moved = toward(style.method, F, style.summaries[layer], weights=size)
                    result = result + size / whole * moved
            return result.view_as(x)

        picture = render(self.decoder, seen, move, strength, detail)
        if masks:  # where none reaches the photograph stays
            reach = torch.stack(masks).sum(0).clamp(max=1).to(picture)
            picture = torch.lerp(photograph, picture, reach)
        return picture.clamp(0, 1)


def _kept(d: Discrepancy, layer: str, S: Tensor, weights: Tensor | None = None) -> Summary:
    if isinstance(d, GaussianMMD) and layer in SHALLOW:
        C, μ = covariance_mean(S, weights)
        return {"covariance": C, "mean": μ}
    return remembered(d, S, weights)
