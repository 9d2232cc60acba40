"""Kernels and discrepancies against definitions, closed forms and finite differences, in float64."""

import math
import statistics

import oracles
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import features
from torch import Tensor

import nstlib
from nstlib.alignment import (
    BNStatistics,
    CentralMoments,
    Coral,
    CubicMMD,
    EnergyDistance,
    Fusion,
    GaussianMMD,
    KernelMMD,
    LaplaceMMD,
    LinearMMD,
    PolynomialMMD,
    SlicedWasserstein,
    Wasserstein,
    kernels,
    mmd2,
)
from nstlib.alignment.moments import weighted_bandwidth

METHODS = [
    LinearMMD(),
    PolynomialMMD(),
    PolynomialMMD(c=2.5),
    GaussianMMD(),
    GaussianMMD(sigma=1.3, n_features=48),
    BNStatistics(),
    GaussianMMD(n_features=64, scales=3),
    Wasserstein(),
    SlicedWasserstein(n_quantiles=16),
    EnergyDistance(n_projections=8),
    LaplaceMMD(),
    CubicMMD(c=0.5),
    Coral(),
    CentralMoments(),
    KernelMMD(kernels.gaussian(1.0)),
    Fusion({BNStatistics(): 0.7, PolynomialMMD(c=1.0): 0.3}),
]
sizes = st.tuples(st.integers(1, 5), st.integers(1, 7), st.integers(1, 7), st.integers(0, 2**20))


@given(sizes, st.sampled_from([0.0, 0.3, 4.0]), st.sampled_from([1, 2, 3]), st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_mmd2_equals_the_double_loops(size, c, d, chunk) -> None:
    N, M, M2, seed = size
    F, S = features(N, M, seed), features(N, M2, seed + 1, shift=0.5)
    found = mmd2(kernels.polynomial(c, d), F, S, chunk=chunk).item()
    assert found == pytest.approx(oracles.mmd2_loops(oracles.polynomial_loop(c, d), F, S), rel=1e-9, abs=1e-9)
    found = mmd2(kernels.gaussian(0.8), F, S, chunk=chunk).item()
    assert found == pytest.approx(oracles.mmd2_loops(oracles.gaussian_loop(0.8), F, S), rel=1e-9, abs=1e-12)
    found = mmd2(kernels.linear, F, S, chunk=chunk).item()
    assert found == pytest.approx(oracles.mmd2_loops(oracles.dot, F, S), rel=1e-9, abs=1e-9)


@given(st.integers(1, 4), st.integers(2, 7), st.integers(2, 7), st.integers(1, 8), st.integers(0, 999))
@settings(max_examples=30, deadline=None)
def test_unbiased_mmd2_equals_the_double_loops(N, M, M2, chunk, seed) -> None:
    F, S = features(N, M, seed), features(N, M2, seed + 1)
    found = mmd2(kernels.gaussian(1.1), F, S, unbiased=True, chunk=chunk).item()
    expected = oracles.mmd2_loops(oracles.gaussian_loop(1.1), F, S, unbiased=True)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


def offset_samples(offset: float, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Two samples far from the origin, whose difference rounding hides unless they are centred."""
    return tuple((features(4, M, M, shift) + offset).to(dtype) for M, shift in ((60, 0.0), (50, 0.14)))


@pytest.mark.parametrize("k", [kernels.linear, kernels.gaussian(0.9), kernels.laplace(0.9)])
@pytest.mark.parametrize(
    ("offset", "dtype"),
    [(0.0, torch.float32), (1e3, torch.float32), (1e4, torch.float32), (1e9, torch.float64)],
)
def test_mmd2_does_not_depend_on_where_the_origin_is(k, offset: float, dtype: torch.dtype) -> None:
    F, S = offset_samples(offset, dtype)
    exact = mmd2(k, *((X.double() - offset) for X in (F, S))).item()
    assert exact > 1e-3
    assert mmd2(k, F, S).item() == pytest.approx(exact, rel=1e-3, abs=1e-5)
    assert mmd2(k, F, S, unbiased=True).item() == pytest.approx(
        mmd2(k, *((X.double() - offset) for X in (F, S)), unbiased=True).item(), rel=1e-3, abs=1e-5
    )


def test_kernels_of_ones_own_are_centred_where_they_are_marked() -> None:
    F, S = offset_samples(1e6, torch.float64)
    seen: list[float] = []

    def own(x: Tensor, y: Tensor) -> Tensor:
        seen.append(max(x.abs().max().item(), y.abs().max().item()))
        return kernels.squared_distance(x, y).mul(-0.5).exp()

    mmd2(own, F, S)
    assert min(seen) > 1e5  # nobody said that it may be moved
    seen.clear()
    mmd2(kernels.shift_invariant(own), F, S)
    assert max(seen) < 10


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_features_of_16_bits_neither_overflow_nor_stall(dtype: torch.dtype) -> None:
    F, S = (50 * features(3, 1000, 1)).to(dtype), (50 * features(3, 1200, 2, 0.5)).to(dtype)
    for k in (kernels.linear, kernels.polynomial(1.0), kernels.gaussian(40.0)):
        assert mmd2(k, F, S).item() == pytest.approx(mmd2(k, F.double(), S.double()).item(), rel=1e-3)
    expected = kernels.bandwidth(F.double(), S.double()).item()
    assert kernels.bandwidth(F, S).item() == pytest.approx(expected, rel=1e-3)
    for d in METHODS:
        found, exact = d(F, S), d(F.float(), S.float())
        torch.testing.assert_close(found, exact)
        assert nstlib.transport(F, S, d).dtype == dtype


def test_samples_of_two_dtypes_are_compared_in_the_wider_one() -> None:
    F, S = features(3, 20, 1), features(3, 25, 2, 0.4)
    rounded, of_S = S.float().double(), torch.linspace(0, 1, 25)
    for k in (kernels.linear, kernels.polynomial(1.0), kernels.gaussian(1.1), kernels.laplace(1.1)):
        assert mmd2(k, F, S.float()).item() == mmd2(k, F, rounded).item()
        assert mmd2(k, S.float(), F, unbiased=True).item() == mmd2(k, rounded, F, unbiased=True).item()
        assert nstlib.permutation_test(F, S.float(), k) == nstlib.permutation_test(F, rounded, k)
    assert mmd2(kernels.polynomial(), F.half(), S.float()).dtype == torch.float32
    for d in METHODS:
        assert d(F, S.float()).item() == d(F, rounded).item()
        assert d(S.float(), F).item() == d(rounded, F).item()
        assert torch.equal(nstlib.transport(F, S.float(), d), nstlib.transport(F, rounded, d))
        assert torch.equal(nstlib.transport(S.float(), F, d), nstlib.transport(rounded, F, d).float())
        assert torch.equal(
            nstlib.alignment.witness(d, F, S.float(), of_S), nstlib.alignment.witness(d, F, rounded, of_S)
        )
    paired = GaussianMMD(estimator="paired")
    assert paired.with_seed(1)(F, S.float()).item() == paired.with_seed(1)(F, rounded).item()


@pytest.mark.parametrize(
    ("make", "oracle"),
    [
        (kernels.gaussian, oracles.gaussian_loop),
        (kernels.laplace, lambda sigma: lambda x, y: math.exp(-math.dist(x, y) / sigma)),
    ],
    ids=["gaussian", "laplace"],
)
def test_each_batch_has_its_own_bandwidth(make, oracle) -> None:
    F = torch.stack([features(3, 6, seed) * (1 + seed) for seed in range(6)]).view(2, 3, 3, 6)
    S = torch.stack([features(3, 7, seed + 9) for seed in range(3)])  # the same for both rows
    sigma = kernels.bandwidth(F, S)
    assert sigma.shape == (2, 3)
    found = mmd2(make(sigma), F, S)
    for i in range(2):
        for j in range(3):
            loop = oracle(sigma[i, j].item())
            expected = oracles.mmd2_loops(loop, F[i, j], S[j])
            assert found[i, j].item() == pytest.approx(expected, rel=1e-9)
    for wrong in (sigma[..., None, None], sigma[0]):
        with pytest.raises(ValueError, match="sigma must be a number or one for each batch"):
            mmd2(make(wrong), F[0, 0], S[0])
    with pytest.raises(ValueError, match="sigma must be a number or one for each batch"):
        mmd2(make(sigma[0, :2]), F, S)


def test_the_paired_estimator_takes_batches() -> None:
    F = torch.stack([features(3, 6, seed) * (1 + seed) for seed in range(4)]).view(2, 2, 3, 6)
    S = torch.stack([features(3, 8, seed + 9) for seed in range(4)]).view(2, 2, 3, 8)
    for options in ({}, {"sigma": 1.2}):
        d = GaussianMMD(estimator="paired", seed=3, **options)
        single = [d.with_seed(3)(f, s).item() for f, s in zip(F.flatten(0, 1), S.flatten(0, 1), strict=True)]
        found = d.with_seed(3)(F, S).flatten()
        torch.testing.assert_close(found, torch.tensor(single, dtype=torch.float64))


def test_mmd2_keeps_no_matrix_for_its_gradient() -> None:
    """What the graph holds is O(M), where a matrix of pairs has M² numbers; the gradient is the exact one."""
    F, S = features(2, 300, 1).requires_grad_(), features(2, 250, 2).requires_grad_()
    sizes: list[int] = []

    def k(x: Tensor, y: Tensor) -> Tensor:
        K = kernels.gaussian(1.0)(x, y)
        sizes.append(K.numel())
        return K

    value = mmd2(k, F, S, chunk=10)
    held, nodes = 0, {value.grad_fn}
    todo = list(nodes)
    while todo:
        node = todo.pop()
        for name in dir(node):
            if name == "saved_tensors" or name.startswith("_saved_"):
                found = getattr(node, name)
                held += sum(
                    x.numel() for x in (found if isinstance(found, tuple) else [found]) if torch.is_tensor(x)
                )
        new = {after for after, _ in node.next_functions if after} - nodes
        nodes |= new
        todo += new
    assert held < 20 * (F.numel() + S.numel()) < 300 * 250 / 2
    slopes = torch.autograd.grad(value, (F, S))
    assert max(sizes) <= 10 * 300
    K = kernels.gaussian(1.0)
    whole = K(F, F).mean() + K(S, S).mean() - 2 * K(F, S).mean()
    for found, expected in zip(slopes, torch.autograd.grad(whole, (F, S)), strict=True):
        torch.testing.assert_close(found, expected)


def test_mmd2_computes_nothing_twice_without_gradients() -> None:
    F, S, seen = features(2, 30, 1), features(2, 20, 2), []

    def k(x: Tensor, y: Tensor) -> Tensor:
        seen.append(x.shape[-1] * y.shape[-1])
        return kernels.linear(x, y)

    mmd2(k, F, S, chunk=7)
    assert sum(seen) == 30 * 30 + 20 * 20 + 30 * 20


def test_mmd2_has_second_derivatives_and_those_of_a_kernels_parameters() -> None:
    F, S, sigma = features(2, 3, 1), features(2, 4, 2), torch.tensor(1.3, dtype=torch.float64)
    for X in (F, S, sigma):
        X.requires_grad_()
    args = (F, S)
    steps = mmd2(lambda x, y: (x.mT @ y > 0.1).to(x), F, S, chunk=2)  # a kernel without a slope
    (slope,) = torch.autograd.grad(steps, F, allow_unused=True)
    assert slope is None or not slope.any()
    assert torch.autograd.gradcheck(lambda F, S: mmd2(kernels.gaussian(1.1), F, S, chunk=2), args)
    assert torch.autograd.gradgradcheck(lambda F, S: mmd2(kernels.gaussian(1.1), F, S, chunk=2), args)
    assert torch.autograd.gradcheck(
        lambda s, F: mmd2(kernels.gaussian(s), F, S.detach(), chunk=2), (sigma, F)
    )


def test_paper_equation_6_is_mmd2_over_4_n_squared() -> None:
    """Gatys' style loss 1/(4N²M²) Σ (G − A)² with raw Gram matrices, spelled out entry by entry."""
    N, M = 4, 9
    F, S = features(N, M, 3), features(N, M, 4)
    f, s = F.tolist(), S.tolist()
    loss = sum(
        (oracles.dot(f[i], f[j]) - oracles.dot(s[i], s[j])) ** 2 for i in range(N) for j in range(N)
    ) / (4 * N**2 * M**2)
    assert loss == pytest.approx(mmd2(kernels.polynomial(c=0.0), F, S).item() / (4 * N**2), rel=1e-12)
    assert loss == pytest.approx(PolynomialMMD()(F, S).item() / (4 * N**2), rel=1e-12)


@pytest.mark.parametrize("c", [0.0, 0.5, 3.0, 100.0])
@pytest.mark.parametrize(("M", "M2"), [(6, 6), (5, 11), (12, 3)])
def test_polynomial_equals_the_oracle_in_value_and_gradient(c: float, M: int, M2: int) -> None:
    F, S = features(3, M, 1).requires_grad_(), features(3, M2, 2)
    fast, slow = PolynomialMMD(c)(F, S), mmd2(kernels.polynomial(c), F, S)
    assert fast.item() == pytest.approx(slow.item(), rel=1e-10)
    (g_fast,), (g_slow,) = torch.autograd.grad(fast, F), torch.autograd.grad(slow, F)
    torch.testing.assert_close(g_fast, g_slow, rtol=1e-9, atol=1e-12)


def test_the_offset_is_a_fusion_of_gram_and_linear() -> None:
    F, S = features(4, 8, 5), features(4, 6, 6)
    fused = Fusion({PolynomialMMD(): 1.0, LinearMMD(): 2 * 7.0})(F, S)
    assert PolynomialMMD(c=7.0)(F, S).item() == pytest.approx(fused.item(), rel=1e-12)


def test_linear_and_bn_closed_forms() -> None:
    F = torch.tensor([[1.0, 3.0], [0.0, 4.0]], dtype=torch.float64)  # means 2, 2; deviations 1, 2
    S = torch.tensor([[5.0, 5.0, 5.0], [0.0, 3.0, 6.0]], dtype=torch.float64)  # means 5, 3; deviations 0, √6
    assert LinearMMD()(F, S).item() == pytest.approx(3**2 + 1**2)
    expected = (3**2 + 1**2 + (1 - 0) ** 2 + (2 - math.sqrt(6)) ** 2) / 2
    assert BNStatistics()(F, S).item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_linear_and_bn_against_the_statistics_module(seed: int) -> None:
    F, S = features(3, 8, seed), features(3, 5, seed + 9)
    f, s = F.tolist(), S.tolist()
    means = [(statistics.fmean(a) - statistics.fmean(b)) ** 2 for a, b in zip(f, s, strict=True)]
    deviations = [(statistics.pstdev(a) - statistics.pstdev(b)) ** 2 for a, b in zip(f, s, strict=True)]
    assert LinearMMD()(F, S).item() == pytest.approx(sum(means))
    assert BNStatistics()(F, S).item() == pytest.approx(sum(means + deviations) / 3)


def test_bandwidth_is_the_mean_squared_distance_over_all_pairs() -> None:
    F, S = features(3, 7, 1), features(3, 5, 2)
    pairs = [math.dist(x, y) ** 2 for x in oracles.columns(F) for y in oracles.columns(S)]
    assert kernels.bandwidth(F, S).item() ** 2 == pytest.approx(statistics.fmean(pairs))


@pytest.mark.parametrize(
    ("offset", "dtype"),
    [(1e4, torch.float32), (1e4, torch.float64), (1e9, torch.float64), (0, torch.float32)],
)
def test_bandwidth_far_from_the_origin(offset: float, dtype: torch.dtype) -> None:
    F, S = offset_samples(offset, dtype)
    exact = math.sqrt(
        statistics.fmean(
            math.dist(x, y) ** 2
            for x in oracles.columns(F.double() - offset)
            for y in oracles.columns(S.double() - offset)
        )
    )
    assert kernels.bandwidth(F, S).item() == pytest.approx(exact, rel=1e-3)
    assert weighted_bandwidth(S).item() == pytest.approx(kernels.bandwidth(S).item(), rel=1e-4)
    apart = F + 100 * offset + 100  # two samples, neither near the other
    assert kernels.bandwidth(apart, S).item() == pytest.approx(
        (apart.double().mean(-1) - S.double().mean(-1)).norm().item(), rel=1e-2
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("value", [0.0, 1e-3, 0.1, 1234.5])
def test_identical_positions_have_a_bandwidth_that_can_be_divided_by(
    value: float, dtype: torch.dtype
) -> None:
    F = torch.full((3, 700), value, dtype=dtype)
    expected = math.sqrt(1e-6 * 2 * 3 * F[0, 0].item() ** 2 + 1e-12)
    for found in (kernels.bandwidth(F), weighted_bandwidth(F.float() if dtype == torch.float16 else F)):
        assert found.item() == pytest.approx(expected, rel=1e-3)


def test_paired_gaussian_is_unbiased() -> None:
    """Its mean over many draws lies within three and a half standard errors of the exact U-statistic."""
    F, S = features(3, 12, 1), features(3, 10, 2, shift=0.6)
    exact = oracles.mmd2_loops(oracles.gaussian_loop(1.2), F, S, unbiased=True)
    method = GaussianMMD(sigma=1.2, estimator="paired", seed=5)
    draws = [method(F, S).item() for _ in range(4000)]
    error = statistics.stdev(draws) / math.sqrt(len(draws))
    assert error > 0
    assert abs(statistics.fmean(draws) - exact) < 3.5 * error


def test_paired_bandwidth_is_of_the_sampled_pairs_and_constant_in_the_gradient() -> None:
    F, S = features(2, 2, 1).requires_grad_(), features(2, 2, 2)  # two positions: every draw uses all
    sigma = kernels.bandwidth(F.detach(), S).item()
    (free,) = torch.autograd.grad(GaussianMMD(estimator="paired", seed=1)(F, S), F)
    (fixed,) = torch.autograd.grad(GaussianMMD(sigma=sigma, estimator="paired", seed=1)(F, S), F)
    torch.testing.assert_close(free, fixed)


def test_random_features_converge_to_the_exact_v_statistic() -> None:
    F, S = features(3, 14, 1), features(3, 9, 2, shift=0.5)
    exact = oracles.mmd2_loops(oracles.gaussian_loop(1.4), F, S)

    def error(D: int) -> float:
        found = [GaussianMMD(sigma=1.4, n_features=D, seed=seed)(F, S).item() for seed in range(24)]
        return math.sqrt(statistics.fmean((x - exact) ** 2 for x in found))

    errors = [error(D) for D in (64, 1024, 16384)]  # root mean square error falls as 1/√D: 4, 16 times
    assert errors[0] > 2.2 * errors[1] > 4.8 * errors[2]
    assert errors[2] < 0.03 * exact


def test_the_rule_uses_the_style_alone_and_factor_multiplies_it() -> None:
    F, S = features(3, 8, 1), features(3, 9, 2)
    sigma = kernels.bandwidth(S).item()
    for factor in (0.5, 1.0, 3.0):
        by_rule, by_hand = (
            GaussianMMD(bandwidth_factor=factor, seed=4),
            GaussianMMD(sigma=sigma * factor, seed=4),
        )
        assert by_rule(F, S).item() == pytest.approx(by_hand(F, S).item(), rel=1e-9)


@pytest.mark.parametrize("d", METHODS, ids=str)
def test_axioms(d: nstlib.Discrepancy) -> None:
    F, S = features(4, 9, 1), features(4, 6, 2, shift=0.4)
    rounding = 1e-14 if isinstance(d, Wasserstein) else 1e-20  # of a difference of traces
    assert d(F, F).item() == pytest.approx(0, abs=rounding)
    assert d(F, S).item() > 1e-4
    # by their rules bandwidth, ridge, range and landmarks belong to the style
    if not isinstance(d, GaussianMMD | Wasserstein | CentralMoments | KernelMMD) or getattr(d, "sigma", None):
        assert d(F, S).item() == pytest.approx(d(S, F).item(), rel=1e-9)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    assert d(F[:, order], S).item() == pytest.approx(d(F, S).item(), rel=1e-9)
    assert d(F, S).item() == pytest.approx(d.distance(F, d.summary(S)).item(), rel=1e-12)


@pytest.mark.parametrize("d", METHODS, ids=str)
def test_gradients_match_finite_differences(d: nstlib.Discrepancy) -> None:
    F, S = features(3, 5, 1), features(3, 7, 2)
    summary = d.summary(S)
    leaf = F.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(d.distance(leaf, summary), leaf)
    expected = oracles.numeric_gradient(lambda x: d.distance(x, summary), F)
    torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("d", METHODS, ids=str)
def test_batches_are_independent(d: nstlib.Discrepancy) -> None:
    F = torch.stack([features(3, 6, seed) for seed in range(4)]).view(2, 2, 3, 6)
    S = torch.stack([features(3, 8, seed + 9) for seed in range(4)]).view(2, 2, 3, 8)
    single = [d(f, s).item() for f, s in zip(F.flatten(0, 1), S.flatten(0, 1), strict=True)]
    torch.testing.assert_close(d(F, S).flatten(), torch.tensor(single, dtype=torch.float64))


@pytest.mark.parametrize("d", METHODS, ids=str)
def test_weights_of_positions_stand_for_repeated_positions(d: nstlib.Discrepancy) -> None:
    """Position i counted n_i times is position i of weight n_i; 0 times: it is not there."""
    F, S = features(3, 5, 1), features(3, 4, 2, shift=0.4)
    of_F, of_S = torch.tensor([2, 0, 1, 3, 1]), torch.tensor([1, 4, 0, 2])
    repeated, target = F.repeat_interleave(of_F, -1), S.repeat_interleave(of_S, -1)
    expected = d(repeated, target)
    leaf = F.clone().requires_grad_()
    found = d.distance(leaf, d.summary(S, of_S * 0.3), of_F * 7.0)  # only their ratios matter
    ridge = 1e-2 if isinstance(d, KernelMMD) else 1e-9  # repeated landmarks share it
    assert found.item() == pytest.approx(expected.item(), rel=ridge)
    (gradient,) = torch.autograd.grad(found, leaf)
    numeric = oracles.numeric_gradient(lambda x: d.distance(x, d.summary(S, of_S), of_F), F)
    torch.testing.assert_close(gradient, numeric, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("d", METHODS, ids=str)
def test_weights_all_alike_change_nothing(d: nstlib.Discrepancy) -> None:
    F, S = features(3, 5, 1), features(3, 4, 2)
    alike = d.distance(F, d.summary(S, torch.full((4,), 0.2)), torch.full((5,), 3.0))
    assert alike.item() == pytest.approx(d(F, S).item(), rel=1e-9)


def test_the_paired_estimator_draws_positions_by_weight() -> None:
    F, S = features(2, 6, 1), features(2, 6, 2, shift=0.5)
    of_F, of_S = torch.tensor([3.0, 1, 0, 0, 2, 1]), torch.tensor([1.0, 0, 2, 2, 0, 1])
    method = GaussianMMD(sigma=1.1, estimator="paired", seed=2)
    summary = method.summary(S, of_S)
    draws = [method.distance(F, summary, of_F).item() for _ in range(4000)]
    error = statistics.stdev(draws) / math.sqrt(len(draws))
    exact = oracles.mmd2_loops(
        oracles.gaussian_loop(1.1),
        F.repeat_interleave(of_F.long(), -1),
        S.repeat_interleave(of_S.long(), -1),
    )
    assert abs(statistics.fmean(draws) - exact) < 3.5 * error


@pytest.mark.parametrize("weights", [[1.0, 2.0], [0.0, 0, 0, 0], [1.0, -1, 1, 1], [1.0, math.nan, 1, 1]])
def test_wrong_weights_are_named(weights: list[float]) -> None:
    for d in (*METHODS, GaussianMMD(estimator="paired")):
        with pytest.raises(ValueError, match="weight"):
            d.distance(features(3, 4, 1), d.summary(features(3, 4, 2)), torch.tensor(weights))


@pytest.mark.parametrize("d", METHODS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dead_channels_and_single_positions_stay_finite(d: nstlib.Discrepancy, dtype: torch.dtype) -> None:
    for M in (1, 6):
        F = torch.zeros(3, M, dtype=dtype)
        F[0] = torch.arange(M, dtype=dtype)
        F.requires_grad_()
        (gradient,) = torch.autograd.grad(d(F, torch.zeros(3, 4, dtype=dtype)), F)
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("d", [*METHODS, GaussianMMD(estimator="paired")], ids=str)
@pytest.mark.parametrize(
    ("F", "S"),
    [
        (torch.zeros(3, 4), torch.zeros(2, 4)),
        (torch.zeros(3, 0), torch.zeros(3, 4)),
        (torch.zeros(4), torch.zeros(4)),
        (torch.zeros(2, 3, 4), torch.zeros(3, 3, 4)),
    ],
)
def test_wrong_shapes_are_named(d: nstlib.Discrepancy, F: Tensor, S: Tensor) -> None:
    with pytest.raises(ValueError, match=r"features must be \(\.\.\., N, M\)"):
        d(F, S)


def test_ranges_are_checked() -> None:
    for make in (
        lambda: PolynomialMMD(c=-1),
        lambda: PolynomialMMD(c=math.nan),
        lambda: GaussianMMD(sigma=0),
        lambda: GaussianMMD(bandwidth_factor=-1),
        lambda: GaussianMMD(sigma=math.inf),
        lambda: GaussianMMD(n_features=1.5),  # type: ignore[arg-type]
        lambda: SlicedWasserstein(n_projections=2.5),  # type: ignore[arg-type]
        lambda: GaussianMMD(estimator="pairs"),  # type: ignore[arg-type]
        lambda: Fusion({}),
        lambda: Fusion({LinearMMD(): -0.1}),
        lambda: Fusion({LinearMMD(): 0.0}),
        lambda: kernels.polynomial(c=-1),
        lambda: kernels.polynomial(d=0),
        lambda: kernels.gaussian(0.0),
        lambda: mmd2(kernels.linear, torch.zeros(2, 1), torch.zeros(2, 3), unbiased=True),
        lambda: mmd2(kernels.linear, torch.zeros(2, 1), torch.zeros(2, 3), chunk=0),
    ):
        with pytest.raises(ValueError):
            make()


def test_seeds() -> None:
    F, S = features(3, 40, 1), features(3, 30, 2)
    for method in (GaussianMMD(), GaussianMMD(estimator="paired")):
        assert method.with_seed(3)(F, S).item() == method.with_seed(3)(F, S).item()
        assert method.with_seed(3)(F, S).item() != method.with_seed(4)(F, S).item()
    paired = GaussianMMD(estimator="paired")
    assert paired(F, S).item() != paired(F, S).item()  # fresh pairs each time


names = st.sampled_from(
    ["linear", "poly", "gram", "gaussian", "bn", "wasserstein", "poly(c=2)", "gaussian(bandwidth_factor=0.5)"]
)
weights = st.floats(0.01, 10).map(lambda w: float(f"{w:.3g}"))


@given(st.lists(st.tuples(names, weights), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_method_and_str_are_inverse(parts) -> None:
    whole = nstlib.method(" + ".join(f"{name}:{weight:g}" for name, weight in parts))
    again = nstlib.method(str(whole))
    assert [part for part, _ in again.components()] == [part for part, _ in whole.components()]
    found, expected = ([weight for _, weight in m.components()] for m in (again, whole))
    assert found == pytest.approx(expected, rel=1e-4)


def test_method_names() -> None:
    assert nstlib.method("gram") == nstlib.method("poly") == PolynomialMMD(c=0.0)
    assert nstlib.method("poly(c=100)") == PolynomialMMD(c=100.0)
    assert nstlib.method("gaussian(bandwidth_factor=2, n_features=128)") == GaussianMMD(
        bandwidth_factor=2.0, n_features=128
    )
    assert nstlib.method("bn:0.7+poly:0.3") == Fusion({BNStatistics(): 0.7, PolynomialMMD(): 0.3})
    assert nstlib.method("gaussian(estimator=paired)") == GaussianMMD(estimator="paired")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gramm", "unknown method 'gramm' (did you mean gram?); methods are linear, poly, gaussian, bn"),
        ("gausian", "unknown method 'gausian' (did you mean gaussian?)"),
        ("", "cannot read method '': a name is missing at its end"),
        ("bn:0.7+", "cannot read method 'bn:0.7+': a name is missing at its end"),
        ("bn++poly", "cannot read method 'bn++poly': a name is missing before +"),
        ("bn:-1", "cannot read method 'bn:-1': the weight after 'bn' must be a number >= 0"),
        ("bn:x+poly", "the weight after 'bn' must be a number >= 0"),
        ("poly(c=1", "a parenthesis is missing"),
        ("bn poly", "'bn poly' is no name with options in parentheses"),
        ("bn 0.7 + poly 0.3", "the weight in 'bn 0.7' follows a colon: 'bn:0.7'; methods are"),
        ("bn*0.7", "follows a colon: 'bn:0.7'"),
        ("bn + .3 poly", "the weight in '.3 poly' follows a colon: 'poly:.3'"),
        ("0.7*bn", "follows a colon: 'bn:0.7'"),
        ("bn(c=1)", "has no option 'c'; it has: none"),
        ("poly(c=two)", "must be a number, got 'two'"),
        ("poly(c=-1)", "poly: c must be a finite number >= 0, got -1"),
        ("gaussian(n_features=0.5)", "gaussian(n_features=…) must be a whole number, got '0.5'"),
        ("bn:0", "positive weight"),
    ],
)
def test_method_mistakes_are_named(text: str, message: str) -> None:
    with pytest.raises(ValueError) as error:
        nstlib.method(text)
    assert message in str(error.value)
