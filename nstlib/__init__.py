"""nstlib: style transfer as distribution alignment.

The package implements and extends Li, Wang, Liu and Hou, *Demystifying Neural Style Transfer* (IJCAI 2017). A
style is a distribution of features over positions. A style transfer makes two such distributions alike.

    image ─► encoder ─► F (N_l × M_l) per layer ─► discrepancy(F, S) ─► content + γ·style ─► optimiser ┐
      └───────────────────────────────◄───────────────────────────────◄────────────────────────────────┘

    content = nstlib.load_image("photo.jpg", size=512)
    style = nstlib.load_image("painting.jpg", size=512)
    for step in nstlib.transfer(content, style, method="linear", gamma=2.0):
        print(step.index, step.terms)
    nstlib.save_image(step.image, "out.png")

The symbols are the paper's:

    x*            generated image                     G = FFᵀ, A = SSᵀ   Gram matrices
    l             layer                               w_l                layer weight
    N_l           channels of layer l                 Z_l^k              normaliser of layer l, kernel k
    M_l           positions (height × width)          α, β               content and style weights
    F, P, S       features of x*, content, style,     γ  (`gamma`)       balance factor
                  each ∈ R^{N_l × M_l}                `sigma`            bandwidth of a kernel, never γ
    k             kernel                              `c`, `d`           polynomial offset and degree

Reading order: alignment/kernels → alignment/discrepancy (the paper) → synthesis/objective →
synthesis/optimize → encoders/encoder → recipes.
"""

import importlib
import sys
import warnings
from typing import TYPE_CHECKING, Any

import nstlib.threads  # noqa: F401 - must precede torch
from nstlib.version import __version__

if TYPE_CHECKING:
    from nstlib import alignment, encoders, feedforward, figures, images, kernels, synthesis  # noqa: F401
    from nstlib.alignment import (
        METHODS,
        BNStatistics,
        Discrepancy,
        Fusion,
        GaussianMMD,
        LinearMMD,
        PolynomialMMD,
        method,
        mmd2,
        permutation_test,
        register,
        transport,
    )
    from nstlib.encoders import WeightsError, load_encoder
    from nstlib.feedforward import load_feedforward, onepass, prepare, train_feedforward
    from nstlib.images import ImageError, load_image, read_recipe, save_image, to_pil
    from nstlib.recipes import reconstruct_content, reconstruct_style, stylize, transfer
    from nstlib.synthesis import PRESETS, Settings, Step

__all__ = [
    "METHODS",
    "PRESETS",
    "BNStatistics",
    "Discrepancy",
    "Fusion",
    "GaussianMMD",
    "ImageError",
    "LinearMMD",
    "PolynomialMMD",
    "Settings",
    "Step",
    "WeightsError",
    "__version__",
    "load_encoder",
    "load_feedforward",
    "load_image",
    "method",
    "mmd2",
    "onepass",
    "permutation_test",
    "prepare",
    "read_recipe",
    "reconstruct_content",
    "reconstruct_style",
    "register",
    "save_image",
    "stylize",
    "to_pil",
    "train_feedforward",
    "transfer",
    "transport",
]

_MODULES = """
    images encoders alignment synthesis feedforward recipes figures kernels export
""".split()  # noqa: SIM905


def _homes(**names: str) -> dict[str, str]:
    """Returns {name: the package that defines it}."""
    return {name: package for package, listed in names.items() for name in listed.split()}


_PUBLIC = _homes(
    alignment="METHODS BNStatistics Discrepancy Fusion GaussianMMD LinearMMD PolynomialMMD method mmd2 "
    "permutation_test register transport",
    encoders="WeightsError load_encoder",
    feedforward="load_feedforward onepass prepare train_feedforward",
    images="ImageError load_image read_recipe save_image to_pil",
    recipes="reconstruct_content reconstruct_style stylize transfer",
    synthesis="PRESETS Settings Step",
)
_DEPRECATED = _homes(
    alignment="CentralMoments Coral CubicMMD EnergyDistance KernelMMD LaplaceMMD SlicedWasserstein "
    "Wasserstein witness",
    encoders="ENCODERS Encoder",
    feedforward="FeedForward OnePass Prepared",
    images="load_mask",
    synthesis="Objective calibrate p_values synthesize witnesses",
)


def __getattr__(name: str) -> Any:
    """Imports a module or a name when it is first used, because torch takes a second to import."""
    if name in _MODULES:
        return importlib.import_module(f"nstlib.{name}")
    if name not in _PUBLIC | _DEPRECATED:
        raise AttributeError(f"module 'nstlib' has no attribute {name!r}")
    home = f"nstlib.{(_PUBLIC | _DEPRECATED)[name]}"
    value = getattr(importlib.import_module(home), name)
    if name in _PUBLIC:
        globals()[name] = value
    elif sys._getframe(1).f_code.co_name != "_handle_fromlist":  # `from nstlib import …` calls this twice
        words = f"nstlib.{name} is deprecated and will be removed in the next release: use {home}.{name}"
        warnings.warn(words, DeprecationWarning, stacklevel=2)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
