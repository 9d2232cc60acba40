"""Gaussian Wasserstein-2 against closed forms, what makes a map optimal, and finite differences."""

import numpy as np
import oracles
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import features
from torch import Tensor

from nstlib.alignment import Wasserstein


def by_eigenvalues(F: Tensor, S: Tensor, ridge: float) -> float:
    """‖μ − μ'‖² + tr C + tr C' − 2 Σ √λ(C C'), from numpy's covariances and the eigenvalues of a product
    that is not symmetric; the ridge by its definition."""
    f, s = F.numpy(), S.numpy()
    C, A = np.atleast_2d(np.cov(f, bias=True)), np.atleast_2d(np.cov(s, bias=True))
    noise = ridge * A.trace() / len(A) * np.eye(len(A))
    C, A = C + noise, A + noise
    roots = np.sqrt(np.linalg.eigvals(C @ A).real)
    return float(((f.mean(1) - s.mean(1)) ** 2).sum() + C.trace() + A.trace() - 2 * roots.sum())


@given(st.integers(1, 5), st.integers(6, 12), st.integers(6, 12), st.integers(0, 2**20))
@settings(max_examples=40, deadline=None)
def test_equals_the_eigenvalues_of_the_product(N: int, M: int, M2: int, seed: int) -> None:
    F, S = features(N, M, seed), features(N, M2, seed + 1, shift=0.5)
    assert Wasserstein()(F, S).item() == pytest.approx(by_eigenvalues(F, S, 1e-3), rel=1e-6, abs=1e-9)


def test_in_one_dimension_it_is_the_mean_and_the_deviation() -> None:
    F, S = torch.tensor([[1.0, 5.0]]).double(), torch.tensor([[2.0, 4.0, 12.0]]).double()
    mean, deviation = (3 - 6) ** 2, (2 - (56 / 3) ** 0.5) ** 2
    assert Wasserstein(ridge=1e-9)(F, S).item() == pytest.approx(mean + deviation, rel=1e-6)


def test_a_shift_costs_its_square_and_a_turn_is_seen() -> None:
    S = features(3, 40, 1)
    shift = torch.tensor([[1.0], [-2.0], [0.5]], dtype=torch.float64)
    assert Wasserstein()(S + shift, S).item() == pytest.approx(shift.square().sum().item())
    wide = features(2, 60, 2) * torch.tensor([[4.0], [1.0]])
    assert Wasserstein()(wide.flip(0), wide).item() > 1  # same variances in another order of channels


def test_the_gradient_is_the_optimal_maps_displacement() -> None:
    """f − M/2 ∂/∂f = T(f), and T is the one map that is optimal (Brenier): symmetric, positive, onto S."""
    F, S = features(3, 30, 1).requires_grad_(), features(3, 25, 2)
    (gradient,) = torch.autograd.grad(Wasserstein(ridge=1e-9)(F, S), F)
    f = F.detach().numpy()
    moved = f - f.shape[1] / 2 * gradient.numpy()
    assert np.cov(moved, bias=True) == pytest.approx(np.cov(S.numpy(), bias=True), rel=1e-5, abs=1e-7)
    assert moved.mean(1) == pytest.approx(S.numpy().mean(1))
    f, moved = f - f.mean(1, keepdims=True), moved - moved.mean(1, keepdims=True)
    T = np.linalg.lstsq(f.T, moved.T, rcond=None)[0].T
    assert T @ f == pytest.approx(moved, abs=1e-6)  # linear
    assert pytest.approx(T.T, abs=1e-6) == T
    assert np.linalg.eigvalsh(T).min() > 0


@pytest.mark.parametrize("M", [3, 12, 400])
def test_float32_has_float64s_value_and_gradient(M: int) -> None:
    """Also with fewer positions than channels, dead channels, and scales a thousand times apart."""
    N = 24
    scale = torch.logspace(-2, 1, N, dtype=torch.float64).unsqueeze(-1)
    F, S = features(N, M, 1).relu() * scale, features(N, 300, 2).relu() * scale
    F[3], S[7] = 0, 0
    results = []
    for dtype in (torch.float32, torch.float64):
        leaf = F.to(dtype).requires_grad_()
        value = Wasserstein()(leaf, S.to(dtype))
        results.append((value.double(), torch.autograd.grad(value, leaf)[0].double()))
    (value, gradient), (exact, exact_gradient) = results
    assert value.item() == pytest.approx(exact.item(), rel=1e-4)
    assert (gradient - exact_gradient).norm() < 1e-3 * exact_gradient.norm()


def test_gradients_stay_small_where_the_distributions_agree() -> None:
    S = features(16, 50, 3).float()
    leaf = S.clone().requires_grad_()
    value = Wasserstein()(leaf, S)
    (gradient,) = torch.autograd.grad(value, leaf)
    assert value.item() < 1e-5 * S.var().item()
    assert gradient.abs().max() < 1e-4 * S.abs().max() / S.shape[-1]


def test_gradient_by_finite_differences_at_few_positions() -> None:
    F, S = features(4, 2, 1), features(4, 9, 2)
    summary = Wasserstein().summary(S)
    leaf = F.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(Wasserstein().distance(leaf, summary), leaf)
    expected = oracles.numeric_gradient(lambda x: Wasserstein().distance(x, summary), F)
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("ridge", [0.0, -1.0, float("nan"), float("inf")])
def test_the_ridge_is_checked(ridge: float) -> None:
    with pytest.raises(ValueError, match="ridge"):
        Wasserstein(ridge=ridge)
