"""What the decoders learn from, one function a kind of step: dictionaries of terms, whose sum is the loss.

alone      each block by itself: the encoder's features one level up, from the encoder's own
together   the whole chain, entered at some level: the picture, and its features looked at again
moving     the chain as it is used: features moved towards another picture's on the way; the picture,
           looked at again, should have the features that it was painted from
"""

import torch
from torch import Tensor

from nstlib.alignment.moments import covariance_mean, variance_mean
from nstlib.alignment.transports import optimal
from nstlib.encoders.encoder import Encoder
from nstlib.feedforward.decoders import LEVELS, Decoder

PIXELS, FEATURES, CHAIN = 80.0, 0.15, 0.3  # weights of squared errors: of pixels, of features
MOVED, STATISTICS = 0.3, 0.8  # of features that were moved, and of their means and deviations
STARTS = (5, 5, 4, 4, 4, 3)  # the level at which each sixth of a batch enters the decoder
MAPS = ("linear", "bn", "wasserstein")  # how features are moved, by turns


def relative(found: Tensor, wanted: Tensor) -> Tensor:
    """Squared error over variance, every channel in units of its own deviation over the batch's mean one."""
    every = max(1, wanted.shape[-1] // 28)  # of the places, for the variance: enough, and far cheaper
    scale = wanted[..., ::every, ::every].var((0, 2, 3)).mean().clamp(min=1e-6)
    return (found.float() - wanted).square().mean() / scale


def alone(decoder: Decoder, encoder: Encoder, x: Tensor) -> dict[str, Tensor]:
    """Each block by itself, from the encoder's own features to those one level up. x: (B, 3, H, W)."""
    with torch.no_grad():
        maps = encoder.maps(x, LEVELS)
    terms = {}
    for level in range(5, 1, -1):
        up = decoder.up(maps[LEVELS[level - 1]], level)
        terms[f"block{level}"] = relative(up, maps[LEVELS[level - 2]])
    terms["block1"] = PIXELS * (decoder.up(maps[LEVELS[0]], 1).float() - x).square().mean()
    return terms


def together(decoder: Decoder, encoder: Encoder, x: Tensor) -> dict[str, Tensor]:
    """One way up for the whole batch: each picture enters at its own level (see `STARTS`) and is compared
    with the encoder's features at every level that it reaches, and at the end with itself, seen again."""
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
    """x in the style of `style` (B, 3, H, W each), by the chain at full strength (feedforward/chain.py)."""
    with torch.no_grad():
        P, S = encoder.maps(x, LEVELS), encoder.maps(style, LEVELS)
    terms, goals = {}, {}
    below, here = P[LEVELS[4]], moved(P[LEVELS[4]], S[LEVELS[4]], how)
    goals[LEVELS[4]] = here
    for level in range(5, 0, -1):
        own, up = decoder.up(torch.cat([below, here]), level).float().chunk(2)
        below = x if level == 1 else P[LEVELS[level - 2]]
        here = up + (below - own)  # what the block cannot give back of the photograph
        if level > 1:
            layer = LEVELS[level - 2]
            goals[layer] = here = moved(here, S[layer], how)
    picture = here.clamp(0, 1)
    terms["beyond"] = PIXELS * (here - picture).square().mean()
    seen = here + (picture - here).detach()  # the gradient does not end where a colour is clipped
    for layer, F in encoder.maps(seen, LEVELS).items():
        terms[f"moved {layer}"] = MOVED * relative(F, goals[layer].detach())
        terms[f"style {layer}"] = STATISTICS * statistics(F.flatten(2), S[layer].flatten(2), how)
    return terms


def moved(F: Tensor, S: Tensor, how: str) -> Tensor:
    """The transport of nstlib/alignment/transports.py, its map a constant to the gradient."""
    with torch.autocast(F.device.type, enabled=False):
        f, s = F.flatten(2).float(), S.flatten(2).float()
        with torch.no_grad():
            variance, μ = variance_mean(f)
            goal, μ_S = variance_mean(s)
            if how == "wasserstein":
                A = optimal(covariance_mean(f)[0], covariance_mean(s)[0])
            elif how == "bn":
                A = torch.diag_embed(((goal + 1e-3) / (variance + 1e-3)).sqrt())
            else:
                A = torch.eye(f.shape[1]).to(f).expand(len(f), -1, -1)
            shift = μ_S[..., None] - A @ μ[..., None]
        return (A @ f + shift).view_as(F)


def statistics(F: Tensor, S: Tensor, how: str) -> Tensor:
    """Squared distance of means and, unless `how` cannot see them, deviations, over the mean variance."""
    (variance, μ), (goal, μ_S) = variance_mean(F), variance_mean(S)
    error = (μ - μ_S).square()
    if how != "linear":
        error = error + ((variance + 1e-4).sqrt() - (goal + 1e-4).sqrt()).square()
    return error.mean() / goal.mean().clamp(min=1e-4)
