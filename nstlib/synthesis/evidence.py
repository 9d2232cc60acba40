"""Evidence on a picture: where it still differs from a style, whether a test can tell, and when to stop."""

import dataclasses
from collections.abc import Iterator

from torch import Tensor

from nstlib.alignment.discrepancy import Discrepancy
from nstlib.alignment.methods import method as parse_method
from nstlib.alignment.witness import apart, forgetting, permutation_test, witness
from nstlib.encoders import Encoder
from nstlib.synthesis.loop import Step


def witnesses(
    image: Tensor,
    style: Tensor,
    encoder: Encoder,
    method: str | Discrepancy = "gaussian",
    layers: tuple[str, ...] = (),
) -> dict[str, Tensor]:
    """{layer: witness (H_l, W_l)} of a method: where the picture has too much (> 0) or too little (< 0) of
    what stands there. image, style: (1, 3, H, W). layers: the encoder's style layers where none are named."""
    layers = layers or encoder.style_layers
    d = parse_method(method) if isinstance(method, str) else method
    F, S = encoder.maps(image, layers), encoder(style, layers)
    return {layer: witness(d, F[layer].flatten(2), S[layer])[0].view(F[layer].shape[2:]) for layer in layers}


def p_values(
    image: Tensor, style: Tensor, encoder: Encoder, layers: tuple[str, ...] = (), seed: int = 0
) -> dict[str, float]:
    """{layer: p-value} of the permutation test, on positions thinned out until they forget each other.

    image, style: (1, 3, H, W). layers: the encoder's style layers where none are named. The spacing of a
    layer is the larger of both pictures'. With few positions left (deep layers, small pictures) the test
    has little power: a large p-value then means "cannot tell", not "equal".
    """
    layers = layers or encoder.style_layers
    F, S = encoder.maps(image, layers), encoder.maps(style, layers)
    found = {}
    for layer in layers:
        f, s = F[layer][0].detach(), S[layer][0].detach()
        spacing = max(forgetting(f), forgetting(s))
        found[layer] = permutation_test(apart(f, spacing), apart(s, spacing), seed=seed)
    return found


def until_indistinguishable(
    steps: Iterator[Step],
    style: Tensor,
    encoder: Encoder,
    *,
    layers: tuple[str, ...] = (),
    level: float = 0.05,
    every: int = 10,
) -> Iterator[Step]:
    """Passes on the steps of a run, and ends it when every layer's p-value is above `level`.

    Looked at every `every` steps. `Step.stopped` says why.
    """
    for step in steps:
        if step.index % every == 0 and not step.stopped:
            least = min(p_values(step.image, style, encoder, layers).values())
            if least > level:
                reason = f"indistinguishable: the smallest p-value of a layer is {least:.2f}"
                yield dataclasses.replace(step, stopped=reason)
                return
        yield step
