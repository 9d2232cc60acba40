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

Reading order: kernels → discrepancy (the paper) → objective → synthesis → features → recipes.
"""

from nstlib import kernels
from nstlib.checkpoints import WeightsError
from nstlib.discrepancy import BNStatistics, Discrepancy, Fusion, LinearMMD, PolynomialMMD, mmd2
from nstlib.features import ENCODERS, Encoder, load_encoder
from nstlib.gaussian import GaussianMMD
from nstlib.images import ImageError, load_image, read_recipe, save_image, to_pil
from nstlib.methods import METHODS, method
from nstlib.objective import Objective, calibrate
from nstlib.recipes import reconstruct_content, reconstruct_style, stylize, transfer
from nstlib.settings import PRESETS, Settings
from nstlib.synthesis import Step, synthesize
from nstlib.version import __version__

__all__ = [
    "ENCODERS",
    "METHODS",
    "PRESETS",
    "BNStatistics",
    "Discrepancy",
    "Encoder",
    "Fusion",
    "GaussianMMD",
    "ImageError",
    "LinearMMD",
    "Objective",
    "PolynomialMMD",
    "Settings",
    "Step",
    "WeightsError",
    "__version__",
    "calibrate",
    "kernels",
    "load_encoder",
    "load_image",
    "method",
    "mmd2",
    "read_recipe",
    "reconstruct_content",
    "reconstruct_style",
    "save_image",
    "stylize",
    "synthesize",
    "to_pil",
    "transfer",
]
