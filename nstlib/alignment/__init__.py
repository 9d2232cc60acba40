"""The paper: what it means for two distributions of features to be alike. It uses tensors and no network.

    kernels        k(x, y): linear, polynomial, Gaussian, Laplace; the bandwidth rule
    discrepancy    MMD² by definition; what a method is; linear, polynomial, BN, fusions
    gaussian       the Gaussian kernel by random Fourier features
    linear_time    the Gaussian kernel by the paper's random pairs
    wasserstein    moments: Gaussian Wasserstein-2, CORAL, central moments
    sliced         whole distributions, direction by direction: sliced Wasserstein, the energy distance
    sketches       other kernels: Laplace, cubic, and any kernel of your own
    methods        methods by name, "bn:0.7+poly:0.3"; `register` for others
    transports     the maps that send a discrepancy to zero; rearrangement: those without a closed form
    fitted         the same maps from the moments of features that are not in memory at once
    witness        where distributions differ; a test whether they do
    palette        every pixel near a colour of the style
    samples, options, pairs, moments      helpers: checks, fields of methods, sums over pairs, means
    random_features                       helper: means of random Fourier features

For the paper, read kernels, discrepancy, gaussian, then synthesis/objective. Each of the others stands alone.
"""

from nstlib.alignment import kernels, rearrangement
from nstlib.alignment.discrepancy import BNStatistics, Discrepancy, Fusion, LinearMMD, PolynomialMMD, mmd2
from nstlib.alignment.gaussian import GaussianMMD
from nstlib.alignment.methods import METHODS, method, register
from nstlib.alignment.sketches import CubicMMD, KernelMMD, LaplaceMMD
from nstlib.alignment.sliced import EnergyDistance, SlicedWasserstein
from nstlib.alignment.transports import transport
from nstlib.alignment.wasserstein import CentralMoments, Coral, Wasserstein
from nstlib.alignment.witness import permutation_test, witness

__all__ = [
    "METHODS",
    "BNStatistics",
    "CentralMoments",
    "Coral",
    "CubicMMD",
    "Discrepancy",
    "EnergyDistance",
    "Fusion",
    "GaussianMMD",
    "KernelMMD",
    "LaplaceMMD",
    "LinearMMD",
    "PolynomialMMD",
    "SlicedWasserstein",
    "Wasserstein",
    "kernels",
    "method",
    "mmd2",
    "permutation_test",
    "rearrangement",
    "register",
    "transport",
    "witness",
]
