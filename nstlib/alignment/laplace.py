"""The Laplace kernel: a Gaussian of many bandwidths at once.

k(x, y) = exp(−‖x − y‖/σ) falls off slowly, so a feature far from every feature of the style still feels a
pull, and has a cusp at x = y, so near ones do, too. Characteristic, as the Gaussian; of D cosines the same
holds.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from nstlib.alignment.gaussian import GaussianMMD
from nstlib.alignment.spectra import cauchy

NARROWEST = 0.5  # of σ


@dataclass(frozen=True)
class LaplaceMMD(GaussianMMD):
    """k(x, y) = exp(−‖x − y‖/σ) by random cosines, as the Gaussian: MMD² ≈ ‖mean z(f) − mean z(s)‖²,
    O(NDM).

    sigma, factor, features, seed, sampling: as GaussianMMD's. It has no paired estimator and one bandwidth.
    Departure: the kernel is a mixture of Gaussian kernels of all widths; those narrower than σ/2 are given
    the width σ/2. Their cosines turn so fast that they are noise to an optimiser: with them the pictures
    hardly changed (`kernels.laplace` is exact).
    """

    def __post_init__(self) -> None:
        if self.estimator != "features" or self.scales != 1:
            raise ValueError("laplace has the estimator 'features' and one bandwidth only")
        super().__post_init__()

    def __str__(self) -> str:
        return super().__str__().replace("gaussian", "laplace")

    def spectrum(self, D: int, N: int, generator: torch.Generator) -> Tensor:
        return cauchy(D, N, generator, self.sampling, NARROWEST)
