"""The paper: what it means for two distributions of features to be alike. Knows tensors, no network.

    kernels       k(x, y): linear, polynomial, Gaussian; the bandwidth rule
    discrepancy   MMD² by definition; what a method is; linear, polynomial, BN, fusions
    gaussian      the Gaussian kernel's two estimators
    wasserstein   means and covariances, by the cost of moving one Gaussian onto the other
    methods       methods by name: "bn:0.7+poly:0.3"
    transports    the maps that send each of them to zero
    moments       means, variances and Gram matrices, with one-pass gradients
    pointwise     matrix products over positions, the fast way

Read kernels, discrepancy, gaussian, wasserstein, methods; the last two are how, not what.
"""

from nstlib.alignment import kernels
from nstlib.alignment.discrepancy import BNStatistics, Discrepancy, Fusion, LinearMMD, PolynomialMMD, mmd2
from nstlib.alignment.gaussian import GaussianMMD
from nstlib.alignment.methods import METHODS, method
from nstlib.alignment.transports import transport
from nstlib.alignment.wasserstein import Wasserstein

__all__ = [
    "METHODS",
    "BNStatistics",
    "Discrepancy",
    "Fusion",
    "GaussianMMD",
    "LinearMMD",
    "PolynomialMMD",
    "Wasserstein",
    "kernels",
    "method",
    "mmd2",
    "transport",
]
