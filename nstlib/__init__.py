"""nstlib: style transfer as distribution alignment.

After Li, Wang, Liu and Hou, *Demystifying Neural Style Transfer* (IJCAI 2017). A style is a distribution
of features over positions; transferring it is making two distributions alike.

    image ─► encoder ─► F (N_l × M_l) per layer ─► discrepancy(F, S) ─► content + γ·style ─► optimiser ┐
      └───────────────────────────────◄───────────────────────────────◄────────────────────────────────┘

    content = nstlib.load_image("photo.jpg", size=512)
    style = nstlib.load_image("painting.jpg", size=512)
    for step in nstlib.transfer(content, style, method="linear", gamma=2.0):
        print(step.index, step.terms)
    nstlib.save_image(step.image, "out.png")

Symbols, the paper's:

    x*            generated image                     G = FFᵀ, A = SSᵀ   Gram matrices
    l             layer                               w_l                layer weight
    N_l           channels of layer l                 Z_l^k              normaliser of layer l, kernel k
    M_l           positions (height × width)          α, β               content and style weights
    F, P, S       features of x*, content, style,     γ  (`gamma`)       balance factor
                  each ∈ R^{N_l × M_l}                `sigma`            bandwidth; γ is never one
    k             kernel                              `c`, `d`           polynomial offset and degree

Reading order: alignment/kernels → alignment/discrepancy (the paper) → synthesis/objective → synthesis/loop
→ encoders/encoder → recipes.
"""

import sys

import nstlib.console.start  # before torch
import nstlib.threads  # noqa: F401 - before torch
from nstlib.alignment import (
    METHODS,
    BNStatistics,
    CentralMoments,
    Coral,
    CubicMMD,
    Discrepancy,
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
    method,
    mmd2,
    permutation_test,
    pull,
    register,
    transport,
    witness,
)
from nstlib.encoders import ENCODERS, Encoder, WeightsError, load_encoder
from nstlib.feedforward import (
    FeedForward,
    OnePass,
    Prepared,
    load_feedforward,
    onepass,
    prepare,
    train_feedforward,
)
from nstlib.images import ImageError, load_image, load_mask, read_recipe, save_image, to_pil
from nstlib.recipes import reconstruct_content, reconstruct_style, stylize, transfer
from nstlib.synthesis import (
    PRESETS,
    Objective,
    Settings,
    Step,
    calibrate,
    p_values,
    synthesize,
    witnesses,
)
from nstlib.version import __version__

sys.modules["nstlib.kernels"] = kernels  # `from nstlib.kernels import gaussian` is a public spelling, too

__all__ = [
    "ENCODERS",
    "METHODS",
    "PRESETS",
    "BNStatistics",
    "CentralMoments",
    "Coral",
    "CubicMMD",
    "Discrepancy",
    "Encoder",
    "EnergyDistance",
    "FeedForward",
    "Fusion",
    "GaussianMMD",
    "ImageError",
    "KernelMMD",
    "LaplaceMMD",
    "LinearMMD",
    "Objective",
    "OnePass",
    "PolynomialMMD",
    "Prepared",
    "Settings",
    "SlicedWasserstein",
    "Step",
    "Wasserstein",
    "WeightsError",
    "__version__",
    "calibrate",
    "kernels",
    "load_encoder",
    "load_feedforward",
    "load_image",
    "load_mask",
    "method",
    "mmd2",
    "onepass",
    "p_values",
    "permutation_test",
    "prepare",
    "pull",
    "read_recipe",
    "reconstruct_content",
    "reconstruct_style",
    "register",
    "save_image",
    "stylize",
    "synthesize",
    "to_pil",
    "train_feedforward",
    "transfer",
    "transport",
    "witness",
    "witnesses",
]
