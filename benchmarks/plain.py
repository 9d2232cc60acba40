"""The baseline: a plain single-scale float32 loop in the style of the widely known PyTorch tutorial.

Modules in sequence, features kept on the way, `torch.optim.LBFGS` as it comes, the image clamped to [0, 1] at
the start of every closure. One closure call is one step.
"""

import time
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from nstlib.networks import Network

STEPS = 300  # the tutorial's


def features(network: Network, image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """{layer: (1, N_l, M_l)} of an image (1, 3, H, W): what an Encoder computes, done plainly."""
    x, found = (image - network.mean.view(3, 1, 1)) / network.std.view(3, 1, 1), {}
    if network.margin:
        x = nn.functional.pad(x, [network.margin] * 4, mode="reflect")
    for name, stage in network.stages.items():
        x = stage(x)
        if name in layers:
            ring = network.margin // network.strides[name]
            inner = x[..., ring : x.shape[2] - ring, ring : x.shape[3] - ring]
            found[name] = inner.reshape(*x.shape[:2], -1)
            if len(found) == len(set(layers)):
                break
    return found


def minimise(
    start: Tensor, loss_of: Callable[[Tensor], Tensor], steps: int = STEPS
) -> Iterator[tuple[float, float, Tensor]]:
    """(seconds, loss, image) at every closure call."""
    image, calls = start.clone().requires_grad_(True), []
    optimizer = torch.optim.LBFGS([image])
    began = time.perf_counter()

    def closure() -> Tensor:
        with torch.no_grad():
            image.clamp_(0, 1)
        optimizer.zero_grad()
        loss = loss_of(image)
        loss.backward()  # type: ignore[no-untyped-call]
        calls.append((time.perf_counter() - began, float(loss.detach()), image.detach().clone()))
        return loss

    total = 0
    while total < steps:
        calls.clear()
        optimizer.step(closure)
        if not calls:
            return
        yield from calls[: steps - total]
        total += len(calls)
