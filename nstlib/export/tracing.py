"""Traces a function of tensors as an ONNX graph, and replaces what ONNX does not have.

A coupled Newton-Schulz iteration of matrix products (Higham 2008, §6.7) gives the map A with A C_F A = C_S:

    Y ← Y T,   Z ← T Z,   T = ρ/2 (3 − ρ² Z Y)        ρ: the scaling of Chen and Chow (2014)

From Y = C_S and Z = C_F, Y converges to A and Z to A⁻¹. The rounding errors of float32 then grow with the
condition number of one covariance. From C_F C_S and 1, they would grow with that of the product.
"""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from functools import singledispatch
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from nstlib.alignment import moments
from nstlib.alignment.discrepancy import (
    BNStatistics,
    Discrepancy,
    Fusion,
    LinearMMD,
    PolynomialMMD,
    Summary,
)
from nstlib.alignment.moments import covariance_mean, product
from nstlib.alignment.transports import ridge, transport_map
from nstlib.alignment.wasserstein import Wasserstein
from nstlib.export import convolutions
from nstlib.feedforward import decoders, networks, pipeline
from nstlib.feedforward.networks import FeedForward

STEPS, SMALLEST = 14, 1e-9  # steps, and the smallest relative eigenvalue of C_F C_S for which they suffice


def _iterate(Y: Tensor, Z: Tensor, one: Tensor) -> Tensor:
    low = SMALLEST**0.5
    for _ in range(STEPS):
        ρ = (3 / (1 + low + low * low)) ** 0.5
        T = ρ / 2 * (3 * one - ρ * ρ * (Z @ Y))
        Y, Z, low = Y @ T, T @ Z, ρ / 2 * low * (3 - ρ * ρ * low * low)
    return Y


# PyTorch's tracing is faster with one operator for all steps. `trace` turns it into ONNX operators.
iterate = torch.library.custom_op("nstlib::iterate", _iterate, mutates_args=())
iterate.register_fake(lambda Y, Z, one: torch.empty_like(Y))


def newton_schulz_map(C_F: Tensor, C_S: Tensor, ε: Tensor | None = None) -> Tensor:
    """Returns A with A C_F A = C_S for covariances C_F and C_S, by matrix products only.

    ε (...) is a ridge that is added to both. By default it is computed from their diagonals.
    """
    ε = ridge(*(C.diagonal(0, -2, -1).mean(-1) for C in (C_F, C_S))) if ε is None else ε
    one, ε = torch.eye(C_F.shape[-1], dtype=C_F.dtype, device=C_F.device), ε[..., None, None]
    Z, Y = C_F + ε * one, C_S + ε * one
    z, y = (C.square().sum((-2, -1), keepdim=True).sqrt() for C in (Z, Y))
    find: Callable[..., Tensor] = iterate if torch.compiler.is_exporting() else _iterate
    return find(Y / y, Z / z, one) * (y / z).sqrt()


@singledispatch
def affine_map(d: Discrepancy, summary: Summary, C: Tensor, μ: Tensor) -> tuple[Tensor, Tensor]:
    """Returns A and b of the transport T(f) = A f + b, for features with covariance C and mean μ."""
    raise TypeError(f"no affine map is known for {d}")


@affine_map.register
def _(d: LinearMMD, summary: Summary, C: Tensor, μ: Tensor) -> tuple[Tensor, Tensor]:
    return torch.eye(C.shape[-1]).unsqueeze(0), summary["mean"] - μ


@affine_map.register
def _(d: BNStatistics, summary: Summary, C: Tensor, μ: Tensor) -> tuple[Tensor, Tensor]:
    variance, goal = C.diagonal(0, -2, -1), summary["deviation"].square()
    ε = ridge(variance.mean(-1), goal.mean(-1)).unsqueeze(-1)
    scale = ((goal + ε) / (variance + ε)).sqrt()
    return torch.eye(C.shape[-1]) * scale.unsqueeze(-1), summary["mean"] - scale * μ


@affine_map.register
def _(d: PolynomialMMD, summary: Summary, C: Tensor, μ: Tensor) -> tuple[Tensor, Tensor]:
    return newton_schulz_map(C + μ.unsqueeze(-1) * μ.unsqueeze(-2), summary["gram"]), torch.zeros_like(μ)


@affine_map.register
def _(d: Wasserstein, summary: Summary, C: Tensor, μ: Tensor) -> tuple[Tensor, Tensor]:
    A = newton_schulz_map(C, summary["covariance"])
    return A, summary["mean"] - (A @ μ.unsqueeze(-1)).squeeze(-1)


class Mixture(Fusion):
    """A fusion whose weights are tensors. When the graph runs, it skips parts of weight 0."""

    def __post_init__(self) -> None:
        """Checks nothing, because the weights are not known yet."""


@transport_map.register
def _(d: Mixture, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
    total, (C, μ) = sum(weight for _, weight in d.components()), covariance_mean(F)
    result = torch.zeros(1, F.shape[1], F.shape[1] + 1)  # [A, b]
    for k, (part, weight) in enumerate(d.components()):
        own: Summary = summary[str(k)]  # type: ignore[assignment]
        find, names = affine_map.dispatch(type(part)), list(own)  # dispatching cannot be traced

        def share(  # type: ignore[no-untyped-def]
            share: Tensor, C: Tensor, μ: Tensor, *own: Tensor, part=part, find=find, names=names
        ) -> tuple[Tensor]:
            A, b = find(part, dict(zip(names, own, strict=True)), C, μ)
            return (share * torch.cat([A, b.unsqueeze(-1)], -1),)

        def nothing(share: Tensor, C: Tensor, μ: Tensor, *own: Tensor) -> tuple[Tensor]:
            return (0 * torch.cat([C, μ.unsqueeze(-1)], -1),)  # new zeros would be stored in the file

        # `torch.cond` would first compile both branches. This is the operator that it calls.
        operands = (weight / total, C, μ, *own.values())
        result = result + torch.ops.higher_order.cond(weight > 0, share, nothing, operands)[0]
    return product(result[..., :-1], F) + result[..., -1:]


@contextlib.contextmanager
def traceable() -> Iterator[None]:
    """Replaces code that cannot be traced, such as checks of numbers, and the decoder's convolutions."""
    with contextlib.ExitStack() as stack:
        for place, name, instead in (
            (moments, "ONEDNN", False),
            (pipeline, "check_image", lambda image, _: image),
            (pipeline, "check_images", lambda image, _: (image,)),
            (networks, "check_image", lambda image, *_, **__: image),
            (networks, "check_share", lambda share, _: share),
            (decoders, "convolve", convolutions.convolve),
            (FeedForward, "check_memory", lambda network, size, memory: None),
            (torch.SymFloat, "__bool__", lambda number: True),  # formulas for a strength > 0 also hold at 0
        ):
            stack.enter_context(mock.patch.object(place, name, instead, create=True))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # torch's warnings about its own code
        yield


def trace(function: Callable[..., Any], inputs: tuple[Any, ...], names: list[str], outputs: list[str]) -> Any:
    """Returns the onnx.ModelProto of a function. Images and maps (1, N, H, W) may have any H and W."""

    class Traced(nn.Module):
        def forward(self, inputs: tuple[Any, ...]) -> Any:
            return function(*inputs)

    def shape(x: Any) -> Any:
        if isinstance(x, Tensor):
            free = torch.export.Dim.DYNAMIC
            return {2: free, 3: free} if x.dim() == 4 else None
        return type(x)(map(shape, x))

    program = torch.export.export(Traced(), (inputs,), dynamic_shapes=(shape(inputs),), strict=False)
    operators: dict[Any, Any] = {torch.ops.nstlib.iterate.default: lambda Y, Z, one: _iterate(Y, Z, one)}
    traced = torch.onnx.export(
        program, dynamo=True, input_names=names, output_names=outputs, verbose=False,
        custom_translation_table=operators,
    )  # fmt: skip
    assert traced is not None
    return traced.model_proto
