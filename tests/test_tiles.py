"""Statistics and gradients of an image from its tiles are those of the whole image."""

import pytest
import torch
from torch import Tensor

import nstlib

METHODS = (
    *("linear", "poly(c=3)", "bn", "gaussian", "wasserstein", "coral", "cmd", "laplace", "cubic"),
    "bn+gram:2",
)


def features(M: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, 4, M, generator=generator, dtype=dtype) ** 3 + 2


def add_up(parts: list[dict], shares: list[float]) -> dict:
    """Σ share · part, entry by entry, also where a fusion's entries are dictionaries."""
    return {
        key: add_up([part[key] for part in parts], shares)
        if isinstance(first, dict)
        else sum(share * part[key] for part, share in zip(parts, shares, strict=True))
        for key, first in parts[0].items()
    }


@pytest.mark.parametrize("name", METHODS)
def test_an_embedding_is_the_weighted_mean_of_its_parts(name: str) -> None:
    d, F, S = nstlib.method(name), features(60, 0), features(50, 1)
    weights = torch.rand(1, 60, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    summary, cuts = d.summary(S), [slice(0, 13), slice(13, 14), slice(14, 60)]
    assert d.additive
    for own in (None, weights):
        shares = [
            (c.stop - c.start) / 60 if own is None else float(own[:, c].sum() / own.sum()) for c in cuts
        ]
        parts = [d.embed(F[..., c], summary, None if own is None else own[:, c]) for c in cuts]
        whole = d.distance(F, summary, own)
        torch.testing.assert_close(d.compare(d.embed(F, summary, own), summary), whole)
        torch.testing.assert_close(d.compare(add_up(parts, shares), summary), whole)


@pytest.mark.parametrize("name", METHODS)
def test_float32_loses_nothing_far_from_the_origin(name: str) -> None:
    """Against float64: moments about the mean are compared, not small differences of large numbers."""
    d, F, S = nstlib.method(name), features(400, 0) + 30, features(300, 1) + 30
    exact, single = F.clone().requires_grad_(True), F.float().requires_grad_(True)
    (expected,) = torch.autograd.grad(d(exact, S).sum(), exact)
    (found,) = torch.autograd.grad(d(single, S.float()).sum(), single)
    assert float((found - expected).norm() / expected.norm()) < 2e-4


@pytest.mark.parametrize("name", ["sliced", "energy", "gaussian(estimator=paired)", "bn+sliced"])
def test_methods_that_need_all_positions_say_so(name: str) -> None:
    assert not nstlib.method(name).additive


def test_a_distance_of_ones_own_is_not_additive() -> None:
    class Median(nstlib.LinearMMD):
        def distance(self, F: Tensor, summary: dict[str, Tensor], weights: Tensor | None = None) -> Tensor:
            return (F.median(-1).values - summary["mean"]).square().sum(-1)

    assert not Median().additive
