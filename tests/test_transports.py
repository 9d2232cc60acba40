"""Transports: the discrepancy is gone, nothing moves without need, and the optimal map is optimal."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import nstlib
from nstlib.alignment.transports import bures_wasserstein_map, transport_map, transport_summary
from tests.oracles import features

CLOSED = ["linear", "bn", "poly", "poly(c=3)", "wasserstein", "coral"]
METHODS = [*CLOSED, "gaussian", "linear+bn", "bn:0.7+poly:0.3"]


def rich(N: int, M: int, seed: int) -> Tensor:
    """Correlated float64 features (N, M), rectified like an encoder's."""
    mix = features(N, N, seed + 100)
    return torch.relu(mix @ features(N, M, seed) + 0.2)


@pytest.mark.parametrize("method", CLOSED)
@settings(max_examples=25, deadline=None)
@given(N=st.integers(1, 12), M=st.integers(60, 200), M2=st.integers(60, 200), seed=st.integers(0, 10**6))
def test_nothing_is_left_of_the_discrepancy(method: str, N: int, M: int, M2: int, seed: int) -> None:
    d = nstlib.method(method)
    F, S = features(N, M, seed), rich(N, M2, seed + 1)
    assert d(nstlib.transport(F, S, method), S) <= 1e-8 * d(F, S) + 1e-12


def test_newton_leaves_next_to_nothing_of_the_gaussians() -> None:
    d = nstlib.method("gaussian")
    for seed in range(5):
        F, S = features(16, 800, seed), rich(16, 500, seed)
        moments_only = nstlib.transport(F, S, "wasserstein")
        left = d(nstlib.transport(F, S, "gaussian"), S)
        assert left < 1e-6 * d(F, S)
        assert left < 1e-3 * d(moments_only, S)  # the steps do what moments cannot


@pytest.mark.parametrize("method", METHODS)
def test_a_style_is_its_own_transport(method: str) -> None:
    S = rich(8, 150, 3)
    torch.testing.assert_close(nstlib.transport(S, S, method), S, rtol=0, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_strength_goes_in_a_straight_line(method: str) -> None:
    F, S = features(6, 90), rich(6, 120, 1)
    assert torch.equal(nstlib.transport(F, S, method, 0.0), F)
    whole = nstlib.transport(F, S, method)
    for t in (1e-6, 0.3, 0.999999):
        torch.testing.assert_close(nstlib.transport(F, S, method, t), F + t * (whole - F))


def test_the_linear_transport_shifts_every_position_alike() -> None:
    F, S = features(5, 40), rich(5, 70, 2)
    moved = nstlib.transport(F, S, "linear")
    for i in range(5):
        shift = sum(S[i].tolist()) / 70 - sum(F[i].tolist()) / 40
        assert moved[i].tolist() == pytest.approx([f + shift for f in F[i].tolist()])


def test_bn_transport_sets_each_channel_by_itself() -> None:
    F, S = features(4, 60), rich(4, 80, 5)
    moved = nstlib.transport(F, S, "bn")
    for i in range(4):
        goal = (F[i] - F[i].mean()) / F[i].std(correction=0) * S[i].std(correction=0) + S[i].mean()
        torch.testing.assert_close(moved[i], goal, rtol=1e-6, atol=1e-6)


def test_of_all_maps_that_fit_the_optimal_one_moves_least() -> None:
    """Every other A with A C Aᵀ = C_S is the optimal one after a rotation (Monge between Gaussians)."""
    F, S = features(6, 300), rich(6, 300, 7)
    F, S = F - F.mean(1, keepdim=True), S - S.mean(1, keepdim=True)
    C, C_S = F @ F.T / 300, S @ S.T / 300
    A = bures_wasserstein_map(C, C_S)
    torch.testing.assert_close(A, A.T)
    assert torch.linalg.eigvalsh(A).min() > 0
    cost = (A @ F - F).square().sum()
    generator = torch.Generator().manual_seed(0)
    values, vectors = torch.linalg.eigh(C_S)
    root = vectors @ values.clamp(min=0).sqrt().diag() @ vectors.T
    whiten = torch.linalg.inv(torch.linalg.cholesky(C))
    for _ in range(20):
        rotation, _ = torch.linalg.qr(torch.randn(6, 6, generator=generator, dtype=torch.float64))
        other = root @ rotation @ whiten
        torch.testing.assert_close(other @ C @ other.T, C_S, rtol=1e-4, atol=1e-6)
        assert (other @ F - F).square().sum() > cost


def test_its_cost_is_the_wasserstein_distance() -> None:
    F, S = features(5, 200), rich(5, 250, 9)
    moved = nstlib.transport(F, S, "wasserstein")
    W2 = nstlib.method("wasserstein")(F, S)
    assert float((moved - F).square().sum(0).mean()) == pytest.approx(float(W2), rel=5e-3)  # its ridge: 1e-3


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("N", "M", "M2"), [(8, 3, 50), (8, 50, 3), (8, 1, 1), (4, 100, 2)])
def test_few_positions_and_dead_channels_stay_finite(
    method: str, dtype: torch.dtype, N: int, M: int, M2: int
) -> None:
    d = nstlib.method(method)
    F, S = features(N, M, 11).to(dtype), rich(N, M2, 12).to(dtype)
    F[0], S[1] = 0, 0
    moved = nstlib.transport(F, S, method)
    assert moved.isfinite().all() and moved.abs().max() < 1e3
    assert d(moved, S) <= d(F, S) * (1 + 1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_batches_are_moved_one_by_one(method: str) -> None:
    F = torch.stack([features(5, 80, 1), features(5, 80, 2)])
    S = torch.stack([rich(5, 60, 3), rich(5, 60, 4)])
    each = torch.stack([nstlib.transport(f, s, method) for f, s in zip(F, S, strict=True)])
    torch.testing.assert_close(nstlib.transport(F, S, method), each, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_weights_count_positions_as_often(method: str) -> None:
    """Whole-number weights are the same as repeated positions."""
    F, S = features(4, 30, 5), rich(4, 40, 6)
    times, style_times = torch.arange(30) % 3 + 1, torch.arange(40) % 4
    expected = nstlib.transport(F.repeat_interleave(times, 1), S.repeat_interleave(style_times, 1), method)
    found = nstlib.transport(F, S, method, weights=times.double(), style_weights=style_times.double())
    torch.testing.assert_close(found.repeat_interleave(times, 1), expected, rtol=1e-6, atol=1e-6)


def test_what_is_remembered_serves_any_features() -> None:
    d, S = nstlib.method("bn+gaussian"), rich(4, 90, 1)
    summary = transport_summary(d, S)
    for seed in range(3):
        F = features(4, 50, seed)
        assert torch.equal(transport_map(d, F, summary), nstlib.transport(F, S, d))


def test_a_fusion_keeps_what_its_parts_agree_on() -> None:
    F, S = features(6, 100), rich(6, 90, 8)
    moved = nstlib.transport(F, S, "linear+bn")
    assert nstlib.method("linear")(moved, S) < 1e-20
    for part in ("bn",):
        assert 0.01 < nstlib.method(part)(moved, S) / nstlib.method(part)(F, S) < 0.5


def test_mistakes_are_named() -> None:
    F = features(3, 10)
    with pytest.raises(ValueError, match="strength must lie in 0 … 1, got 1.5"):
        nstlib.transport(F, F, "bn", 1.5)
    with pytest.raises(ValueError, match="features must be"):
        nstlib.transport(F, features(4, 10), "bn")
    with pytest.raises(ValueError, match="unknown method 'cubist'"):
        nstlib.transport(F, F, "cubist")


def test_a_stranger_is_told_to_register() -> None:
    class Stranger(nstlib.LinearMMD):
        pass

    F = features(3, 10)
    assert torch.equal(nstlib.transport(F, F, Stranger()), F)  # a subclass inherits the map

    class Unknown(nstlib.Discrepancy):
        def summary(self, S: Tensor, weights: Tensor | None = None) -> dict[str, Tensor]:
            return {}

        def distance(self, F: Tensor, summary: dict[str, Tensor], weights: Tensor | None = None) -> Tensor:
            return F.sum()

    with pytest.raises(TypeError, match="no transport is known"):
        nstlib.transport(F, F, Unknown())


def test_a_part_of_many_positions_decides_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(5)
    F = torch.randn(3, 6000, generator=generator, dtype=torch.float64)
    S = torch.rand(3, 4000, generator=generator, dtype=torch.float64) ** 2 * 4
    d = nstlib.method("gaussian")
    exact = nstlib.transport(F, S, d)
    by_moments = float(d(nstlib.transport(F, S, "wasserstein"), S))
    monkeypatch.setattr("nstlib.alignment.transports.MANY", 1500)
    weights = torch.ones(6000, dtype=torch.float64)
    for made in (nstlib.transport(F, S, d), nstlib.transport(F, S, d, weights=weights)):
        assert float(d(made, S)) < 0.2 * by_moments
        assert float((made - exact).norm() / exact.norm()) < 0.05
    F4 = torch.cat([F[:, :1500]] * 4, 1).reshape(3, 4, 1500).mT.reshape(3, 6000)  # each position four times
    monkeypatch.setattr("nstlib.alignment.transports.MANY", 10**9)
    whole = nstlib.transport(F4, S, d)
    monkeypatch.setattr("nstlib.alignment.transports.MANY", 1500)
    torch.testing.assert_close(nstlib.transport(F4, S, d), whole, rtol=1e-6, atol=1e-8)
