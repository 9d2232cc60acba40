"""The witness function and the permutation test: definitions, finite differences, rates of rejection."""

import oracles
import pytest
import torch
from oracles import features
from test_discrepancy import METHODS
from torch import Tensor

import nstlib
from nstlib.alignment import GaussianMMD, LinearMMD, PolynomialMMD, permutation_test, witness
from nstlib.alignment.witness import correlation_length, subsample


@pytest.mark.parametrize(
    ("d", "k"),
    [
        (LinearMMD(), oracles.dot),
        (PolynomialMMD(c=0.7), oracles.polynomial_loop(0.7)),
        (GaussianMMD(sigma=1.2, n_features=20000), oracles.gaussian_loop(1.2)),
    ],
    ids=["linear", "poly", "gaussian"],
)
def test_the_witness_of_an_mmd_is_a_difference_of_mean_kernels(d, k) -> None:
    F, S = features(3, 7, 1), features(3, 5, 2, shift=0.6)
    f, s = oracles.columns(F), oracles.columns(S)
    w = [sum(k(x, y) for y in f) / len(f) - sum(k(x, y) for y in s) / len(s) for x in f]
    expected = torch.tensor(w, dtype=torch.float64)
    tolerance = 0.02 if isinstance(d, GaussianMMD) else 1e-9
    torch.testing.assert_close(witness(d, F, S), expected - expected.mean(), atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("d", METHODS, ids=str)
def test_every_discrepancy_has_a_witness_by_finite_differences(d: nstlib.Discrepancy) -> None:
    F, S = features(3, 7, 1), features(3, 5, 2, shift=0.5)  # 7 and the levels of slices share no border
    summary, ones = d.summary(S), torch.ones(7, dtype=torch.float64)
    numeric = oracles.numeric_gradient(lambda w: d.distance(F, summary, w), ones)
    torch.testing.assert_close(witness(d, F, S), 3.5 * numeric, rtol=1e-4, atol=1e-7)


def test_the_witness_points_at_what_is_too_much() -> None:
    S = features(2, 60, 1)
    F = torch.cat([features(2, 50, 2), features(2, 10, 3) + 4], -1)  # ten positions that the style has not
    found = witness(GaussianMMD(), F, S)
    assert found[-10:].min() > found[:50].max()
    with pytest.raises(ValueError, match="paired estimator has no witness"):
        witness(GaussianMMD(estimator="paired"), F, S)


def test_the_permutation_test_rejects_as_often_as_it_says() -> None:
    same = [
        permutation_test(features(3, 20, i), features(3, 25, 1000 + i), permutations=99) for i in range(80)
    ]
    other = [
        permutation_test(features(3, 20, i), features(3, 25, i + 1000, 0.7), permutations=99)
        for i in range(20)
    ]
    assert sum(p <= 0.05 for p in same) <= 11  # 4 expected; more than 11 has probability 0.001
    assert 0.3 < sum(same) / 80 < 0.7
    assert sum(p <= 0.05 for p in other) >= 16
    with pytest.raises(ValueError, match="19 permutations"):
        permutation_test(features(2, 4), features(2, 4, 1), permutations=10)


def test_the_permutation_test_takes_what_an_encoder_returns() -> None:
    """A batch of one is that sample; more than one are several tests. Offsets do not matter."""
    F, S = features(3, 20, 1), features(3, 25, 2, 0.7)
    expected = permutation_test(F, S, permutations=99)
    assert expected < 0.05
    for k in (None, nstlib.kernels.linear, nstlib.kernels.polynomial(1.0)):
        p = permutation_test(F, S, k, permutations=99)
        assert permutation_test(F[None], S[None], k, permutations=99) == p
        assert permutation_test(F[None].float(), S, k, permutations=99) == pytest.approx(p, abs=0.03)
    assert permutation_test(F + 1e8, S + 1e8, permutations=99) == expected
    for f, s in ((F[None].repeat(2, 1, 1), S[None]), (F, S.repeat(2, 1, 1)), (F.repeat(2, 2, 1, 1),) * 2):
        with pytest.raises(ValueError, match="one sample with one"):
            permutation_test(f, s)
    for k in (nstlib.kernels.gaussian(2.0), nstlib.kernels.linear):  # NaN is no smaller p-value
        for value in (torch.nan, torch.inf):
            with pytest.raises(ValueError, match="NaN, infinite"):
                permutation_test(torch.where(F == F.max(), value, F), S, k, permutations=99)


def smooth(seed: int, side: int = 36, reach: int = 3) -> Tensor:
    """A map of noise (2, side, side) averaged over squares: neighbours are alike."""
    noise = torch.randn(
        1, 2, side + 2 * reach, side + 2 * reach, generator=torch.Generator().manual_seed(seed)
    )
    return torch.nn.functional.avg_pool2d(noise, 2 * reach + 1, stride=1)[0] * (2 * reach + 1)


def test_neighbours_mislead_the_test_and_thinning_mends_it() -> None:
    assert 3 <= correlation_length(smooth(0)) <= 7
    assert correlation_length(torch.randn(3, 20, 20, generator=torch.Generator().manual_seed(0))) == 1
    neighbours, thinned = 0, 0
    for i in range(30):
        a, b = smooth(i), smooth(500 + i)
        neighbours += (
            permutation_test(a[:, :8, :8].flatten(1), b[:, :8, :8].flatten(1), permutations=99) <= 0.05
        )
        thinned += permutation_test(subsample(a, 7), subsample(b, 7), permutations=99) <= 0.05
    assert neighbours >= 15  # equal distributions, rejected most of the time
    assert thinned <= 6


def test_apart_is_a_centred_lattice() -> None:
    grid = torch.arange(25.0).view(1, 5, 5)
    assert subsample(grid, 2).tolist() == [[0, 2, 4, 10, 12, 14, 20, 22, 24]]
    assert subsample(grid, 4).tolist() == [[0, 4, 20, 24]]
    assert subsample(grid, 3).tolist() == [[0, 3, 15, 18]]
    batch = torch.stack([grid, grid + 25, grid + 50])  # (B, N, H, W)
    assert subsample(batch, 2).tolist() == [subsample(maps, 2).tolist() for maps in batch]


def test_a_texture_cannot_be_told_from_its_style(style: Tensor) -> None:
    encoder = nstlib.load_encoder(device="cpu")
    *_, last = nstlib.reconstruct_style(style, 2, encoder=encoder, method="gaussian", iterations=60)
    noise = torch.rand(style.shape, generator=torch.Generator().manual_seed(0))
    before = nstlib.synthesis.p_values(noise, style, encoder, ("relu1_1", "relu2_1"))
    after = nstlib.synthesis.p_values(last.image, style, encoder, ("relu1_1", "relu2_1"))
    assert max(before.values()) < 0.05 < min(after.values())


def test_a_permutation_test_takes_the_bandwidth_of_an_encoders_features() -> None:
    generator = torch.Generator().manual_seed(0)
    F, S = torch.rand(2, 1, 4, 30, generator=generator)
    sigma = nstlib.kernels.bandwidth(F, S)
    assert sigma.shape == (1,)
    batch = nstlib.permutation_test(F, S, nstlib.kernels.gaussian(sigma))
    assert batch == nstlib.permutation_test(F[0], S[0], nstlib.kernels.gaussian(sigma[0]))
