"""The paper: what it means for two distributions of features to be alike. Knows tensors, no network.

    kernels       k(x, y): linear, polynomial, Gaussian; the bandwidth rule
    discrepancy   MMD² by definition; what a method is; linear, polynomial, BN, fusions
    gaussian      the Gaussian kernel's two estimators
    wasserstein   means and covariances, by the cost of moving one Gaussian onto the other
    sliced        whole distributions, direction by direction: sliced Wasserstein, the energy distance
    laplace       the Laplace kernel, by the Gaussian's means
    cubic         the polynomial kernel of degree 3, sketched
    central       covariance alone (CORAL), and central moments channel by channel
    landmarks     any kernel of your own
    witness       where distributions still differ; a test whether they do
    registry      names for methods from outside the package
    palette       which colours a style has at all
    methods       methods by name: "bn:0.7+poly:0.3"
    transports    the maps that send them to zero; rearrangement: one for those without a closed form
    moments       means, variances and Gram matrices, with one-pass gradients
    pairs         sums over pairs of positions, in bounded memory
    spectra       random frequencies and directions
    pointwise     matrix products over positions, the fast way

Read kernels, discrepancy, gaussian, methods: the paper. Then wasserstein, sliced and the other
discrepancies, each on its own. The last four are how, not what.
"""

from nstlib.alignment import kernels, rearrangement
from nstlib.alignment.central import CentralMoments, Coral
from nstlib.alignment.cubic import CubicMMD
from nstlib.alignment.discrepancy import BNStatistics, Discrepancy, Fusion, LinearMMD, PolynomialMMD, mmd2
from nstlib.alignment.gaussian import GaussianMMD
from nstlib.alignment.landmarks import KernelMMD
from nstlib.alignment.laplace import LaplaceMMD
from nstlib.alignment.methods import METHODS, method, register
from nstlib.alignment.sliced import EnergyDistance, SlicedWasserstein
from nstlib.alignment.transports import transport
from nstlib.alignment.wasserstein import Wasserstein
from nstlib.alignment.witness import permutation_test, pull, witness

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
    "pull",
    "rearrangement",
    "register",
    "transport",
    "witness",
]
