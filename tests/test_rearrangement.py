"""The transport of whole distributions: rank by rank on a line, rotation by rotation in space."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import features
from torch import Tensor

import nstlib
from nstlib import kernels
from nstlib.alignment.rearrangement import LEVELS, match_quantiles
from nstlib.alignment.sliced import quantiles

WHOLE = ["sliced", "energy", "cubic", "cubic(c=1)"]


def skewed(N: int, M: int, seed: int) -> Tensor:
    """Features far from Gaussian: mixed after an exponential, some at zero, as after a ReLU."""
    X = (features(N, M, seed).exp() - 1.2).clamp(min=0)
    return features(N, N, 99) @ X


@given(st.integers(1, 40), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_on_a_line_the_number_of_the_same_rank(M: int, seed: int) -> None:
    X, S = features(2, M, seed), features(2, M, seed + 1)
    moved = match_quantiles(X, quantiles(S, None, M))
    for x, s, found in zip(X.tolist(), S.tolist(), moved.tolist(), strict=True):
        ranks = sorted(range(M), key=x.__getitem__)
        expected = [0.0] * M
        for rank, position in enumerate(ranks):
            expected[position] = sorted(s)[rank]
        assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("method", [*WHOLE, "cmd"])
def test_little_is_left(method: str) -> None:
    F, S = skewed(6, 3000, 1) * 1.5, skewed(6, 2000, 2) + 0.5
    S[0] = S[0].abs()  # no affine map of F
    d = nstlib.method(method)
    left = d(nstlib.transport(F, S, method), S) / d(F, S)
    assert left < 0.01
    if method != "cmd":  # more than means and covariances are matched
        assert left < 0.5 * d(nstlib.transport(F, S, "wasserstein"), S) / d(F, S)


def test_a_kernel_of_ones_own_is_served() -> None:
    d = nstlib.alignment.KernelMMD(kernels.gaussian(1.0))
    F, S = skewed(4, 2000, 1), skewed(4, 1500, 2) + 1
    assert d(nstlib.transport(F, S, d), S) < 0.01 * d(F, S)


@pytest.mark.parametrize("method", [*WHOLE, "cmd"])
def test_a_style_is_nearly_its_own_transport(method: str) -> None:
    S = skewed(4, LEVELS * 4, 1)
    moved = nstlib.transport(S, S, method)
    assert (moved - S).square().mean() < 0.01 * S.var(-1).mean()
    assert nstlib.transport(S, S, method, strength=0.0) is S


@pytest.mark.parametrize("method", [*WHOLE, "cmd"])
@pytest.mark.parametrize(("N", "M", "M2"), [(8, 3, 50), (8, 50, 3), (8, 1, 1), (4, 100, 2)])
def test_few_positions_and_dead_channels_stay_finite(method: str, N: int, M: int, M2: int) -> None:
    F, S = features(N, M, 1).float(), features(N, M2, 2).float()
    F[0], S[1] = 0, 0
    moved = nstlib.transport(F, S, method)
    assert moved.shape == F.shape and bool(moved.isfinite().all())


@pytest.mark.parametrize("method", ["sliced", "cmd"])
def test_weighted_positions_count_as_they_weigh(method: str) -> None:
    F, S = skewed(3, 600, 1), skewed(3, 500, 2) + 0.4
    of_F = torch.cat([torch.ones(300), torch.zeros(300)])  # half of each is not there
    of_S = torch.cat([torch.zeros(250), torch.ones(250)])
    d = nstlib.method(method)
    moved = nstlib.transport(F, S, method, weights=of_F, style_weights=of_S)
    assert d(moved[:, :300], S[:, 250:]) < 0.02 * d(F[:, :300], S[:, 250:])
    alone = nstlib.transport(F[:, :300], S[:, 250:], method)
    assert (moved[:, :300] - alone).square().mean() < 0.01 * alone.var(-1).mean()
