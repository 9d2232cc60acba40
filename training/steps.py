"""The kinds of steps of the decoder's training, one function each: it returns terms whose sum is the loss.

alone      single blocks: from the encoder's features to those one level up
together   the whole chain from some level: the image, and the encoder's features of the image
moving     the chain with transports to the features of a different image; the encoder's features of the
           result should be those that it was decoded from
"""

import torch
from torch import Tensor

from nstlib.alignment.methods import method
from nstlib.alignment.moments import variance_mean
from nstlib.alignment.transports import transport_map, transport_summary
from nstlib.encoders.encoder import Encoder
from nstlib.feedforward.decoders import LEVELS, Decoder

PIXELS, FEATURES, CHAIN = 80.0, 0.15, 0.3  # weights of squared errors: of pixels, of features
MOVED, STATISTICS = 0.3, 0.8  # of transported features, and of their means and standard deviations
STARTS = (5, 5, 4, 4, 4, 3)  # the level at which each sixth of a batch enters the decoder
MAPS = ("linear", "bn", "wasserstein")  # methods of the transports, in turn; all have affine maps


def relative(found: Tensor, wanted: Tensor) -> Tensor:
    """Returns the mean squared error over the mean variance of the channels."""
    every = max(1, wanted.shape[-1] // 28)  # these positions suffice for the variance
    scale = wanted[..., ::every, ::every].var((0, 2, 3)).mean().clamp(min=1e-6)
    return (found.float() - wanted).square().mean() / scale


def alone(decoder: Decoder, encoder: Encoder, x: Tensor) -> dict[str, Tensor]:
    """Decodes by one block each, from the encoder's features to those one level up. x: (B, 3, H, W)."""
    with torch.no_grad():
        maps = encoder.maps(x, LEVELS)
    terms = {}
    for level in range(5, 1, -1):
        up = decoder.up(maps[LEVELS[level - 1]], level)
        terms[f"block{level}"] = relative(up, maps[LEVELS[level - 2]])
    terms["block1"] = PIXELS * (decoder.up(maps[LEVELS[0]], 1).float() - x).square().mean()
    return terms


def together(decoder: Decoder, encoder: Encoder, x: Tensor) -> dict[str, Tensor]:
    """Decodes a batch whose images enter at different levels (see `STARTS`). Every level that one reaches is
    compared with the encoder's features, and the decoded image with itself, by pixels and by features."""
    with torch.no_grad():
        maps = encoder.maps(x, LEVELS)
    starts = torch.tensor([STARTS[i * len(STARTS) // len(x)] for i in range(len(x))])  # falling
    terms, here = {}, None
    for level in range(5, 0, -1):
        entering = maps[LEVELS[level - 1]][starts == level]
        here = entering if here is None else torch.cat([here, entering.to(here.dtype)])
        here = decoder.up(here, level)
        if level > 1:
            terms[f"to{level - 1}"] = CHAIN * relative(here, maps[LEVELS[level - 2]][: len(here)])
    picture = here.float()
    terms["picture"] = PIXELS * (picture - x).square().mean()
    for layer, F in encoder.maps(picture, LEVELS).items():
        terms[layer] = FEATURES * relative(F, maps[layer])
    return terms


def moving(decoder: Decoder, encoder: Encoder, x: Tensor, style: Tensor, how: str) -> dict[str, Tensor]:
    """Gives x the style of `style`, (B, 3, H, W) each, as `OnePass` does at full strength."""
    with torch.no_grad():
        P, S = encoder.maps(x, LEVELS), encoder.maps(style, LEVELS)
    terms, goals = {}, {}
    below, here = P[LEVELS[4]], transport(P[LEVELS[4]], S[LEVELS[4]], how)
    goals[LEVELS[4]] = here
    for level in range(5, 0, -1):
        own, up = decoder.up(torch.cat([below, here]), level).float().chunk(2)
        below = x if level == 1 else P[LEVELS[level - 2]]
        here = up + (below - own)  # the block's residual
        if level > 1:
            layer = LEVELS[level - 2]
            goals[layer] = here = transport(here, S[layer], how)
    picture = here.clamp(0, 1)
    terms["beyond"] = PIXELS * (here - picture).square().mean()
    seen = here + (picture - here).detach()  # the gradient does not end where a colour is clipped
    for layer, F in encoder.maps(seen, LEVELS).items():
        terms[f"moved {layer}"] = MOVED * relative(F, goals[layer].detach())
        terms[f"style {layer}"] = STATISTICS * statistics(F.flatten(2), S[layer].flatten(2), how)
    return terms


def transport(F: Tensor, S: Tensor, how: str) -> Tensor:
    """Transports F to S by the affine map of the method `how`, a constant to the gradient.

    Zero and the unit vectors show the map. They take part in the transport as positions of weight 0.
    """
    with torch.autocast(F.device.type, enabled=False):
        f, s, d = F.flatten(2).float(), S.flatten(2).float(), method(how)
        with torch.no_grad():
            (B, N, M), unit = f.shape, torch.eye(f.shape[1]).to(f)
            points = torch.cat([f, torch.zeros_like(f[..., :1]), unit.expand(B, N, N)], -1)
            weights = torch.arange(M + 1 + N).to(f) < M
            shift, A = transport_map(d, points, transport_summary(d, s), weights)[..., M:].split([1, N], -1)
        return ((A - shift) @ f + shift).view_as(F)


def statistics(F: Tensor, S: Tensor, how: str) -> Tensor:
    """Returns the squared distance of means (and standard deviations, if not linear) over the variance."""
    (variance, μ), (goal, μ_S) = variance_mean(F), variance_mean(S)
    error = (μ - μ_S).square()
    if how != "linear":
        error = error + ((variance + 1e-4).sqrt() - (goal + 1e-4).sqrt()).square()
    return error.mean() / goal.mean().clamp(min=1e-4)
