"""The discrepancies beyond the paper's, each against an oracle of another make, in float64."""

import math
from fractions import Fraction
from itertools import pairwise

import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import features
from torch import Tensor

import nstlib
from nstlib.alignment import (
    CentralMoments,
    Coral,
    CubicMMD,
    EnergyDistance,
    GaussianMMD,
    KernelMMD,
    LaplaceMMD,
    SlicedWasserstein,
    kernels,
    mmd2,
    sketches,
)
from nstlib.alignment.random_features import directions
from nstlib.alignment.sliced import projection, quantiles


def line_w2(a: list[float], b: list[float]) -> float:
    """∫ (Q_a − Q_b)² du for two samples of any size, piece by piece between all jumps, in fractions."""
    a, b = sorted(a), sorted(b)
    cuts = sorted(
        {Fraction(i, len(a)) for i in range(len(a) + 1)} | {Fraction(i, len(b)) for i in range(len(b))}
    )
    total = 0.0
    for low, high in pairwise(cuts):
        middle = (low + high) / 2
        gap = a[math.floor(middle * len(a))] - b[math.floor(middle * len(b))]
        total += float(high - low) * gap**2
    return total


@given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_sliced_wasserstein_is_the_mean_over_lines(N: int, M: int, M2: int, seed: int) -> None:
    F, S = features(N, M, seed), features(N, M2, seed + 1, shift=0.3)
    d = SlicedWasserstein(n_projections=5, n_quantiles=math.lcm(M, M2))  # exact where no bin is cut by a jump
    theta = d.summary(S)["directions"].tolist()
    lines = [
        line_w2(*([sum(t * v for t, v in zip(row, x, strict=True)) for x in X.mT.tolist()] for X in (F, S)))
        for row in theta
    ]
    assert d(F, S).item() == pytest.approx(sum(lines) / len(lines), rel=1e-9, abs=1e-12)


def test_levels_bound_the_sliced_distance_from_below_and_approach_it() -> None:
    F, S = features(3, 50, 1), features(3, 70, 2, shift=0.5)
    found = [SlicedWasserstein(n_projections=6, n_quantiles=K)(F, S).item() for K in (2, 7, 64, 350)]
    assert found == sorted(found)
    assert found[2] > 0.98 * found[3]


@given(st.integers(1, 9), st.integers(1, 12), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_quantiles_keep_the_mean_and_have_the_right_gradient(M: int, K: int, seed: int) -> None:
    X = features(2, M, seed).requires_grad_()
    p = torch.rand(1, M, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) + 0.1
    p = p / p.sum()
    Q = quantiles(X, p, K)
    torch.testing.assert_close(Q.mean(-1), (X * p).sum(-1))
    assert bool((Q.diff(dim=-1) >= -1e-12).all())
    p.requires_grad_()
    assert torch.autograd.gradcheck(lambda X, p: quantiles(X, p / p.sum(), K), (X, p), eps=1e-7, atol=1e-5)


@given(st.integers(2, 9), st.integers(2, 9), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_the_energy_distance_on_a_line_is_scipy_s(M: int, M2: int, seed: int) -> None:
    F, S = features(1, M, seed), features(1, M2, seed + 1, shift=0.4)
    found = EnergyDistance(n_projections=1, n_quantiles=math.lcm(M, M2))(F, S).item()
    expected = scipy.stats.energy_distance(F.flatten().numpy(), S.flatten().numpy()) ** 2
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("N", [2, 3, 8])
def test_over_many_directions_the_energy_distance_is_its_definition(N: int) -> None:
    F, S = features(N, 24, 1), features(N, 36, 2, shift=0.5)

    def mean_distance(X: Tensor, Y: Tensor) -> float:
        return sum(math.dist(x, y) for x in X.mT.tolist() for y in Y.mT.tolist()) / X.shape[1] / Y.shape[1]

    exact = 2 * mean_distance(F, S) - mean_distance(F, F) - mean_distance(S, S)
    assert EnergyDistance(n_projections=2048, n_quantiles=72)(F, S).item() == pytest.approx(exact, rel=0.03)
    theta = torch.randn(N, 10**5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    theta = theta / theta.norm(dim=0)
    assert projection(N) == pytest.approx(theta[0].abs().mean().item(), rel=0.01)


def test_coral_is_the_loop_over_covariances_and_blind_to_the_mean() -> None:
    F, S = features(3, 7, 1), features(3, 5, 2, shift=0.3)

    def covariance(X: Tensor, i: int, j: int) -> float:
        a, b = X[i].tolist(), X[j].tolist()
        ma, mb = sum(a) / len(a), sum(b) / len(b)
        return sum((p - ma) * (q - mb) for p, q in zip(a, b, strict=True)) / len(a)

    loop = sum((covariance(F, i, j) - covariance(S, i, j)) ** 2 for i in range(3) for j in range(3)) / 36
    assert Coral()(F, S).item() == pytest.approx(loop, rel=1e-12)
    assert Coral()(F + 5, F).item() == pytest.approx(0, abs=1e-20)


def test_central_moments_are_scipy_s() -> None:
    F, S = features(3, 9, 1), features(3, 6, 2, shift=0.3)
    d = CentralMoments(moments=4)
    r = float(S.max() - S.min()) + 1e-3
    expected = 0.0
    for i in range(3):
        f, s = F[i].numpy(), S[i].numpy()
        expected += ((f.mean() - s.mean()) / r) ** 2 / 3
        for k in (2, 3, 4):
            expected += ((scipy.stats.moment(f, k) - scipy.stats.moment(s, k)) / r**k) ** 2 / 3
    assert d(F, S).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("c", [0.0, 0.8])
def test_cubic_is_unbiased_for_the_kernel_of_degree_three(c: float) -> None:
    F, S = features(3, 8, 1), features(3, 11, 2, shift=0.4)
    exact = mmd2(kernels.polynomial(c, 3), F, S).item()
    draws = torch.tensor([CubicMMD(c, n_features=256, seed=s)(F, S).item() for s in range(60)])
    assert draws.mean().item() == pytest.approx(exact, abs=4 * draws.std().item() / 60**0.5)
    assert draws.std().item() < 0.6 * exact


def test_cosines_approach_the_kernels_mmd() -> None:
    F, S = features(5, 20, 1), features(5, 30, 2, shift=0.6)
    one = GaussianMMD(sigma=1.4, n_features=4000)(F, S).item()
    assert one == pytest.approx(mmd2(kernels.gaussian(1.4), F, S).item(), rel=0.12)
    quantiles = [scipy.stats.halfnorm.ppf((i + 0.5) / 200) for i in range(200)]
    widths = [1.4 * max(0.5, g) for g in quantiles]  # none narrower than σ/2
    exact = sum(mmd2(kernels.gaussian(width), F, S).item() for width in widths) / 200
    laplace = LaplaceMMD(sigma=1.4, n_features=4000)(F, S).item()
    assert laplace == pytest.approx(exact, rel=0.12)
    whole = sum(mmd2(kernels.gaussian(1.4 * g), F, S).item() for g in quantiles) / 200
    assert whole == pytest.approx(mmd2(kernels.laplace(1.4), F, S).item(), rel=0.02)  # the mixture it is
    several = GaussianMMD(sigma=1.4, n_features=4000, scales=3)(F, S).item()
    exact = sum(mmd2(kernels.gaussian(1.4 * factor), F, S).item() for factor in (0.5, 1, 2)) / 3
    assert several == pytest.approx(exact, rel=0.12)


def test_laplace_kernel_by_its_definition() -> None:
    x, y = features(3, 4, 1), features(3, 5, 2)
    K = kernels.laplace(0.7)(x, y)
    expected = [[math.exp(-math.dist(a, b) / 0.7) for b in y.mT.tolist()] for a in x.mT.tolist()]
    torch.testing.assert_close(K, torch.tensor(expected, dtype=torch.float64))
    with pytest.raises(ValueError, match="bandwidth sigma > 0"):
        kernels.laplace(0.0)


def test_spectra(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    theta = directions(7, 3, generator)
    torch.testing.assert_close(theta[:3] @ theta[:3].mT, torch.eye(3, dtype=torch.float64))
    assert theta.shape == (7, 3)
    W = GaussianMMD().spectrum(4096, 6, torch.Generator().manual_seed(1))
    torch.testing.assert_close(W.mT @ W / 4096, torch.eye(6, dtype=torch.float64), atol=0.1, rtol=0)
    monkeypatch.setattr(sketches, "NARROWEST", 0.0)
    radii = LaplaceMMD().spectrum(4096, 6, torch.Generator().manual_seed(1)).norm(dim=-1)
    # ‖w‖² / 6 of a multivariate Cauchy vector is F(6, 1) distributed
    for share in (0.25, 0.5, 0.75):
        expected = math.sqrt(6 * scipy.stats.f.ppf(share, 6, 1))
        assert radii.quantile(share).item() == pytest.approx(expected, rel=0.1)


def test_a_kernel_from_landmarks_is_a_lower_bound_and_exact_where_they_span_it() -> None:
    F, S = features(3, 12, 1), features(3, 15, 2, shift=0.5)
    sigma = kernels.bandwidth(S)
    linear = KernelMMD(kernels.linear)(F, S).item()
    assert linear == pytest.approx((mmd2(kernels.linear, F, S) / sigma**2).item(), rel=1e-3)
    exact = mmd2(kernels.gaussian(1.0), F / sigma, S / sigma).item()
    found = [KernelMMD(kernels.gaussian(1.0), landmarks=L)(F, S).item() for L in (2, 15)]
    assert found[0] < found[1] < exact * 1.001
    assert found[1] > 0.6 * exact


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sliced(n_quantiles=0)", "sliced: n_quantiles must be a whole number in 1 … 4096, got 0"),
        ("energy(n_projections=99999)", "energy: n_projections must be a whole number in 1 … 4096"),
        ("cubic(c=-1)", "cubic: c must be a finite number >= 0, got -1"),
        ("cmd(moments=9)", "cmd: moments must be a whole number in 1 … 8"),
        ("laplace(estimator=paired)", "laplace has the estimator 'features'"),
        ("gaussian(sigma=0)", "gaussian: sigma must be a finite number > 0, got 0"),
        ("gaussian(n_features=0)", "gaussian: n_features must be a whole number >= 1, got 0"),
        ("gaussian(scales=20)", "gaussian: scales must be a whole number in 1 … 9"),
        ("coral(c=1)", "has no option 'c'"),
    ],
)
def test_mistakes_in_options_are_named(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nstlib.method(text)


@pytest.mark.parametrize("text", ["gaussian(sampling=quasi,n_features=64)", "laplace(sampling=orthogonal)"])
def test_a_retired_option_of_an_old_text_is_ignored_with_a_warning(text: str) -> None:
    with pytest.warns(UserWarning, match=r"no option 'sampling' any more"):
        d = nstlib.method(text)
    assert d in (GaussianMMD(n_features=64), LaplaceMMD())


@pytest.mark.parametrize(
    "text",
    [
        "sliced",
        "sliced(n_projections=8)",
        "energy(n_quantiles=64)",
        "laplace(bandwidth_factor=2)",
        "cubic(c=0.5,n_features=99)",
        "coral",
        "cmd(moments=3)",
        "gaussian(estimator=paired,scales=5)",
        "cmd:0.5+energy:2",
    ],
)
def test_text_and_method_are_inverse(text: str) -> None:
    assert str(nstlib.method(text)) == text
    assert nstlib.method(str(nstlib.method(text))) == nstlib.method(text)
