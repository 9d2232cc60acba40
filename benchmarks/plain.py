"""The baseline: a plain single-scale float32 loop in the style of the widely known PyTorch tutorial.

It calls modules in sequence, stores features on the way, computes distances by their formulas and gradients
(of the image only) by autograd. `torch.optim.LBFGS` has its defaults; the image is clamped to [0, 1] at the
start of every closure. A closure call is a step.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from nstlib.alignment.discrepancy import Summary
from nstlib.encoders.networks import Network
from nstlib.synthesis.objective import Objective

STEPS = 300  # the tutorial's


def frozen(network: Network) -> Network:
    """Returns the network without gradients for its weights."""
    for stage in network.stages.values():
        stage.eval().requires_grad_(False)
    return network


def features(network: Network, image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """Returns {layer: (1, N_l, M_l)} of an image (1, 3, H, W)."""
    x, found = (image - network.mean.view(3, 1, 1)) / network.std.view(3, 1, 1), {}
    if network.padding:
        x = nn.functional.pad(x, [network.padding] * 4, mode="reflect")
    for name, stage in network.stages.items():
        x = stage(x)
        if name in layers:
            border = network.padding // network.strides[name]
            found[name] = x[..., border : x.shape[2] - border, border : x.shape[3] - border].flatten(2)
            if len(found) == len(set(layers)):
                break
    return found


def distance(F: Tensor, kept: Summary) -> Tensor:
    """Returns the linear, Gram, BN or Gaussian discrepancy, whichever `kept` belongs to."""
    mean = F.mean(-1)
    if "embedding" in kept:
        z = math.sqrt(2 / kept["phases"].shape[0]) * torch.cos(kept["frequencies"] @ F + kept["phases"])
        return (z.mean(-1) - kept["embedding"]).square().sum()
    if "deviation" in kept:
        own = F.var(-1, correction=0).sqrt()
        return ((mean - kept["mean"]).square() + (own - kept["deviation"]).square()).mean()
    if "gram" in kept:
        return (F @ F.mT / F.shape[-1] - kept["gram"]).square().sum()
    return (mean - kept["mean"]).square().sum()


def loss(objective: Objective, network: Network, image: Tensor) -> Tensor:
    """Returns the objective's value, for one content layer."""
    found = features(network, image, objective.layers)
    ((layer, P),) = objective.content.items()
    total = objective.alpha * (found[layer] - P).square().sum() / P.square().sum()
    for term in objective.style:
        weight = objective.beta * objective.gamma * term.weight / term.scale
        total = total + weight * distance(found[term.layer], term.summary)
    return total


def minimise(
    start: Tensor, loss_of: Callable[[Tensor], Tensor], steps: int = STEPS
) -> Iterator[tuple[float, float]]:
    """Yields (seconds since the start, loss) of every step."""
    image, calls, total = start.clone().requires_grad_(True), [], 0
    optimizer, began = torch.optim.LBFGS([image]), time.perf_counter()

    def closure() -> Tensor:
        with torch.no_grad():
            image.clamp_(0, 1)
        optimizer.zero_grad()
        value = loss_of(image)
        value.backward()  # type: ignore[no-untyped-call]
        calls.append((time.perf_counter() - began, float(value.detach())))
        return value

    while total < steps:
        calls.clear()
        optimizer.step(closure)
        if not calls:
            return
        yield from calls[: steps - total]
        total += len(calls)
