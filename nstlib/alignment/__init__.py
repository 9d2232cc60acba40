"""The mathematics of the paper: discrepancies between distributions of features. It uses tensors, no network.

    kernels        k(x, y): linear, polynomial, Gaussian, Laplace; the bandwidth rule
    discrepancy    MMD² by definition; the base class; linear, polynomial, BN, fusions
    gaussian       the Gaussian kernel by random Fourier features
    linear_time    the Gaussian kernel by the paper's random pairs
    wasserstein    moments: Gaussian Wasserstein-2, CORAL, central moments
    sliced         whole distributions, direction by direction: sliced Wasserstein, the energy distance
    sketches       other kernels: Laplace, cubic, and any kernel of your own
    methods        reads methods by name, "bn:0.7+poly:0.3"; `register` adds names
    transports     maps that make a discrepancy zero, in closed form or by Newton steps
    rearrangement  maps without a closed form: they match sorted projections
    fitted         the maps of `transports` for features that do not fit into memory at once
    witness        where two distributions differ; a permutation test
    palette        distance of pixels to the nearest colour of the style
    samples, options, pairs, moments, random_features      helpers

For the paper, read kernels, discrepancy, gaussian, then synthesis/objective, and then any other module.
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
