"""Diagnostics of an image: where it differs from a style, and a test of whether it differs."""

from torch import Tensor

from nstlib.alignment.discrepancy import Discrepancy
from nstlib.alignment.methods import method as parse_method
from nstlib.alignment.witness import correlation_length, permutation_test, subsample, witness
from nstlib.encoders import Encoder


def witnesses(
    image: Tensor,
    style: Tensor,
    encoder: Encoder,
    method: str | Discrepancy = "gaussian",
    layers: tuple[str, ...] = (),
) -> dict[str, Tensor]:
    """Returns {layer: witness (H_l, W_l)}, which is > 0 where the image has too much of a feature.

    Args:
        image, style: (1, 3, H, W) in [0, 1].
        layers: By default the encoder's style layers.

    Raises:
        ValueError: The method or a layer is unknown, or the method has no witness (the paired Gaussian).
    """
    layers = layers or encoder.style_layers
    d = parse_method(method) if isinstance(method, str) else method
    F, S = encoder.maps(image, layers), encoder(style, layers)
    return {layer: witness(d, F[layer].flatten(2), S[layer])[0].view(F[layer].shape[2:]) for layer in layers}


def p_values(
    image: Tensor, style: Tensor, encoder: Encoder, layers: tuple[str, ...] = (), seed: int = 0
) -> dict[str, float]:
    """Returns {layer: p-value} of a permutation test of whether the image differs from the style.

    The positions of a layer are subsampled until they are roughly uncorrelated in both images. With few
    positions (deep layers, small images), the test has little power: a large p-value proves nothing.

    Args:
        image, style: (1, 3, H, W) in [0, 1].
        layers: By default the encoder's style layers.
        seed: Seed of the permutations.

    Raises:
        ValueError: A layer is unknown.
    """
    layers = layers or encoder.style_layers
    F, S = encoder.maps(image, layers), encoder.maps(style, layers)
    found = {}
    for layer in layers:
        f, s = F[layer][0].detach(), S[layer][0].detach()
        spacing = max(correlation_length(f), correlation_length(s))
        found[layer] = permutation_test(subsample(f, spacing), subsample(s, spacing), seed=seed)
    return found
